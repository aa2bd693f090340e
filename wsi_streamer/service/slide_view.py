"""SlideView: an open slide as regions are read from it."""

from collections.abc import Sequence

from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.stored_tiles import StoredTiles


class SlideView:
    """A slide whose tiles are read ahead where requests move through it."""

    def __init__(self, opened: OpenedSlide, tiles: StoredTiles) -> None:
        self._opened = opened
        self._tiles = tiles
        self.info = opened.slide.info
        self.version = opened.slide.version

    def read_tiles(self, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles; see `formats.base.Slide`."""
        return self._tiles.read_all(self._opened, addresses)
