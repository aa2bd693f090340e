"""TileService: the verbs of the server. Every dialect of HTTP calls these and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass

from wsi_streamer.errors import InvalidLevel, SlideChanged, TileOutOfBounds
from wsi_streamer.formats.base import Slide
from wsi_streamer.imaging.color import Pixels
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.encode import encode_jpeg
from wsi_streamer.mappers.base import Mapper
from wsi_streamer.model.geometry import Region, Size
from wsi_streamer.model.page import Page
from wsi_streamer.model.slide import Level, SlideInfo
from wsi_streamer.model.tile import RenderedImage, TileAddress
from wsi_streamer.service.named_locks import NamedLocks
from wsi_streamer.service.region_reader import RegionReader, fit
from wsi_streamer.service.slide_registry import SlideRegistry
from wsi_streamer.service.tile_store import TileKey, TileStore

JPEG = "image/jpeg"


@dataclass(frozen=True, slots=True)
class SlideDetails:
    """A slide's metadata and the version that they describe."""

    info: SlideInfo
    version: str


class TileService:
    """Answers for slides by id; safe to share between threads."""

    def __init__(
        self,
        mapper: Mapper,
        registry: SlideRegistry,
        regions: RegionReader,
        store: TileStore,
        *,
        default_quality: int,
    ) -> None:
        self._mapper = mapper
        self._registry = registry
        self._regions = regions
        self._store = store
        self._default_quality = default_quality
        self._making = NamedLocks()

    def list_slides(self, *, prefix: str, search: str, after: str, limit: int) -> Page:
        """Return slide ids after `after`; see `mappers.base.Mapper.list`."""
        return self._mapper.list(prefix=prefix, search=search, after=after, limit=limit)

    def details(self, slide_id: str) -> SlideDetails:
        """Return what is known of a slide.

        Raises SlideNotFound, UnsupportedFormat and StorageErrors.
        """
        slide = self._registry.get(slide_id)
        return SlideDetails(slide.info, slide.version)

    def tile(self, slide_id: str, address: TileAddress, quality: int | None) -> RenderedImage:
        """Return one tile of one level as JPEG, cropped to the level.

        Raises InvalidLevel, TileOutOfBounds, DecodeError, EncodeError and what `details` raises.
        """
        return self._for_slide(
            slide_id, lambda slide: self._tile(slide, slide_id, address, quality)
        )

    def region(
        self, slide_id: str, downsample: int, region: Region, quality: int | None
    ) -> RenderedImage:
        """Return a region of the slide scaled down by a power of two as JPEG.

        `region` counts in pixels of the scaled slide, inside of it. Where a level of the file
        has that scale and a tile in that place, this is the tile. Raises as `tile` does, and
        RegionTooLarge.
        """
        return self._for_slide(
            slide_id, lambda slide: self._region(slide, slide_id, downsample, region, quality)
        )

    def thumbnail(self, slide_id: str, max_size: int, quality: int | None) -> RenderedImage:
        """Return the whole slide as a JPEG of at most `max_size` pixels a side, never enlarged.

        Raises as `region` does.
        """
        return self._for_slide(
            slide_id, lambda slide: self._thumbnail(slide, slide_id, max_size, quality)
        )

    def _for_slide(self, slide_id: str, render: Callable[[Slide], RenderedImage]) -> RenderedImage:
        """Render from the open slide, once more if its object was replaced meanwhile."""
        slide = self._registry.get(slide_id)
        try:
            return render(slide)
        except SlideChanged:
            self._registry.drop(slide_id, slide)
        return render(self._registry.get(slide_id))

    def _tile(
        self, slide: Slide, slide_id: str, address: TileAddress, quality: int | None
    ) -> RenderedImage:
        level = _find_level(slide.info, address)
        key = self._key(slide, slide_id, "tile", address, quality)
        return self._render(
            key, quality, lambda: self._tile_pixels(slide, slide_id, level, address)
        )

    def _tile_pixels(
        self, slide: Slide, slide_id: str, level: Level, address: TileAddress
    ) -> Pixels:
        if level.is_served_as_stored:
            return decode_tile(slide.read_tiles([address])[0])
        region = level.grid.region(address.col, address.row)
        if level.stored_tile_size:
            return self._regions.read(slide, slide_id, level, region)
        return self._regions.read_downsampled(slide, slide_id, round(level.downsample), region)

    def _region(
        self,
        slide: Slide,
        slide_id: str,
        downsample: int,
        region: Region,
        quality: int | None,
    ) -> RenderedImage:
        scaled = Size(
            -(-slide.info.size.width // downsample), -(-slide.info.size.height // downsample)
        )
        if region.clipped(scaled) != region or not region.size.pixels:
            raise TileOutOfBounds(f"{region} does not lie in the slide at 1:{downsample}")
        address = _find_tile(slide.info, downsample, region)
        if address:
            return self._tile(slide, slide_id, address, quality)
        place = TileAddress(downsample, region.x, region.y)
        key = self._key(slide, slide_id, f"{region.width}x{region.height}", place, quality)
        return self._render(
            key,
            quality,
            lambda: self._regions.read_downsampled(slide, slide_id, downsample, region),
        )

    def _thumbnail(
        self, slide: Slide, slide_id: str, max_size: int, quality: int | None
    ) -> RenderedImage:
        size = fit(slide.info.size, max_size)
        place = TileAddress(0, size.width, size.height)
        key = self._key(slide, slide_id, "thumbnail", place, quality)
        return self._render(
            key, quality, lambda: self._regions.read_thumbnail(slide, slide_id, max_size)
        )

    def _render(
        self, key: TileKey, quality: int | None, make: Callable[[], Pixels]
    ) -> RenderedImage:
        """Return an image from the store, or make it: one thread at a time, the others wait."""
        used = quality or self._default_quality
        data = self._store.get(key)
        if data is not None:
            return RenderedImage(data, JPEG, used, key.etag, cache_hit=True)
        with self._making.hold(key.text):
            data = self._store.get(key)
            is_hit = data is not None
            if data is None:
                data = encode_jpeg(make(), used)
                self._store.put(key, data)
        return RenderedImage(data, JPEG, used, key.etag, is_hit)

    def _key(
        self, slide: Slide, slide_id: str, kind: str, place: TileAddress, quality: int | None
    ) -> TileKey:
        return TileKey(
            storage=self._mapper.locate(slide_id).storage.name,
            slide_id=slide_id,
            version=slide.version,
            kind=kind,
            level=place.level,
            col=place.col,
            row=place.row,
            encoding=f"jpeg-{quality or self._default_quality}",
        )


def _find_level(info: SlideInfo, address: TileAddress) -> Level:
    if not 0 <= address.level < len(info.levels):
        raise InvalidLevel(
            f"Invalid level: {address.level} (valid range: 0-{len(info.levels) - 1})"
        )
    level = info.levels[address.level]
    if not level.grid.contains(address.col, address.row):
        raise TileOutOfBounds(
            f"Tile ({address.col}, {address.row}) is out of bounds for level {address.level} "
            f"(valid range: x 0-{level.grid.columns - 1}, y 0-{level.grid.rows - 1})"
        )
    return level


def _find_tile(info: SlideInfo, downsample: int, region: Region) -> TileAddress | None:
    """Return the served tile that shows exactly `region` of the slide scaled down."""
    for level in info.levels:
        if info.whole_downsample(level) != downsample:
            continue
        tile = level.tile_size
        address = TileAddress(level.index, region.x // tile.width, region.y // tile.height)
        if level.grid.region(address.col, address.row) == region:
            return address
    return None
