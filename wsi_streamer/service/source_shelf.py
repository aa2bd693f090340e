"""SourceShelf: stored JPEG tiles as they leave, spliced into whole files and not decoded."""

from collections.abc import Callable

from wsi_streamer.errors import WsiError
from wsi_streamer.imaging.source_jpeg import find_source_jpeg
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.finished_image import FinishedImage
from wsi_streamer.service.flights import Tiles
from wsi_streamer.service.image_cache import ImageCache
from wsi_streamer.service.keys import ImageKey, SlideKeys


class SourceShelf:
    """The tiles of one version of a slide, in the cache of finished images."""

    def __init__(self, cache: ImageCache, keys: SlideKeys) -> None:
        self._cache = cache
        self._keys = keys

    def key(self, address: TileAddress) -> ImageKey:
        """Return the key under which a tile is kept."""
        return self._keys.make("tile", address.level, address.col, address.row, "source")

    def find(self, address: TileAddress) -> FinishedImage | None:
        """Return a tile from memory or from the disk, None if it is in neither."""
        return self._cache.find(self.key(address))

    def find_stored(self, address: TileAddress) -> FinishedImage | None:
        """Return a tile from the disk, None if it is not there."""
        return self._cache.find_stored(self.key(address))

    def keep(self, tiles: Tiles, stored: Callable[[], None]) -> Tiles:
        """Keep tiles, and return those that cannot leave as they are.

        `stored` is called when other workers can find them.
        """
        images, left = [], {}
        for address, tile in tiles.items():
            image = _find_sound(tile)
            if image:
                images.append((self.key(address), image))
            else:
                left[address] = tile
        self._cache.keep_all(images, stored)
        return left


def find_source_image(tile: EncodedTile) -> FinishedImage | None:
    """Return a stored tile as it leaves, None if it has to be decoded; raises DecodeError."""
    source = find_source_jpeg(tile)
    return FinishedImage(source.data, source.quality, source.is_source) if source else None


def _find_sound(tile: EncodedTile) -> FinishedImage | None:
    try:
        return find_source_image(tile)
    except WsiError:
        # Who asks for this one is told what is wrong with it.
        return None
