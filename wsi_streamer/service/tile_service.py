"""TileService: the verbs of the server. Every dialect of HTTP calls these and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from wsi_streamer.errors import InvalidLevel, SlideChanged, TileOutOfBounds
from wsi_streamer.imaging.color import Pixels
from wsi_streamer.mappers.base import Mapper
from wsi_streamer.model.geometry import ScaledRegion, Size
from wsi_streamer.model.page import Page
from wsi_streamer.model.slide import Level, SlideInfo
from wsi_streamer.model.tile import RenderedImage, TileAddress
from wsi_streamer.service.encoding import Encoding
from wsi_streamer.service.finished_image import FinishedImage
from wsi_streamer.service.image_cache import ImageCache
from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.named_locks import NamedLocks
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.places import find_level, find_tile
from wsi_streamer.service.region_reader import RegionReader, fit
from wsi_streamer.service.slide_registry import SlideRegistry
from wsi_streamer.service.slide_view import SlideView
from wsi_streamer.service.stored_tiles import StoredTiles
from wsi_streamer.service.tile_request import Request, StoredTile
from wsi_streamer.waiting import BeforeWaiting

JPEG = "image/jpeg"

# Says of an ETag, without its quotes, whether who asks has that image already.
Have = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class SlideDetails:
    """A slide's metadata and the version that they describe."""

    info: SlideInfo
    version: str


class TileService:
    """Answers for slides by id; safe to share between threads.

    Nobody waits longer than `patience_s` for another thread that makes the same image.
    """

    def __init__(
        self,
        mapper: Mapper,
        registry: SlideRegistry,
        regions: RegionReader,
        tiles: StoredTiles,
        cache: ImageCache,
        *,
        encoding: Encoding,
        patience_s: float,
        before_waiting: BeforeWaiting | None = None,
    ) -> None:
        self._before_waiting = before_waiting or BeforeWaiting()
        self._mapper = mapper
        self._registry = registry
        self._regions = regions
        self._tiles = tiles
        self._cache = cache
        self._encoding = encoding
        self._making = NamedLocks(patience_s)

    def prepare(self) -> None:
        """Make ahead what the first request of a process would have to wait for; never raises."""
        self._mapper.prepare()
        self._cache.prepare()

    def list_slides(self, *, prefix: str, search: str, after: str, limit: int) -> Page:
        """Return slide ids after `after`; see `mappers.base.Mapper.list`."""
        self._before_waiting()
        return self._mapper.list(prefix=prefix, search=search, after=after, limit=limit)

    def details(self, slide_id: str) -> SlideDetails:
        """Return what is known of a slide.

        Raises SlideNotFound, UnsupportedFormat and StorageErrors.
        """
        slide = self._registry.get(slide_id).slide
        return SlideDetails(slide.info, slide.version)

    def tile(
        self,
        slide_id: str,
        address: TileAddress,
        quality: int | None,
        have: Have | None = None,
    ) -> RenderedImage:
        """Return one tile of one level as JPEG, cropped to the level.

        Without `quality`, a stored JPEG tile leaves as the file has it. Raises InvalidLevel,
        TileOutOfBounds, DecodeError, EncodeError and what `details` raises.
        """
        return self._for_slide(slide_id, lambda opened: self._tile(opened, address, quality, have))

    def region(
        self,
        slide_id: str,
        find_place: Callable[[SlideInfo], ScaledRegion],
        quality: int | None,
        have: Have | None = None,
    ) -> RenderedImage:
        """Return a region of the slide scaled down by a power of two as JPEG.

        `find_place` says which, of the slide that is open; it lies inside of the slide. Where a
        level of the file has that scale and a tile in that place, this is the tile. Raises as
        `tile` does, what `find_place` raises, and RegionTooLarge.
        """
        return self._for_slide(
            slide_id,
            lambda opened: self._region(opened, find_place(opened.slide.info), quality, have),
        )

    def thumbnail(
        self, slide_id: str, max_size: int, quality: int | None, have: Have | None = None
    ) -> RenderedImage:
        """Return the whole slide as a JPEG of at most `max_size` pixels a side, never enlarged.

        Raises as `region` does.
        """
        return self._for_slide(
            slide_id, lambda opened: self._thumbnail(opened, max_size, quality, have)
        )

    def _for_slide(
        self, slide_id: str, render: Callable[[OpenedSlide], RenderedImage]
    ) -> RenderedImage:
        """Render from the open slide, once more if its object was replaced meanwhile."""
        opened = self._registry.find(slide_id)
        try:
            return render(opened)
        except SlideChanged:
            self._registry.drop(opened)
        except (InvalidLevel, TileOutOfBounds):
            # True of the slide that is open; the object may be another one by now.
            if self._registry.get(slide_id) is opened:
                raise
        return render(self._registry.get(slide_id))

    def _tile(
        self, opened: OpenedSlide, address: TileAddress, quality: int | None, have: Have | None
    ) -> RenderedImage:
        level = find_level(opened.slide.info, address)
        if not level.is_served_as_stored:
            key = self._key(opened, "tile", address, quality)
            make = partial(self._made_pixels, opened, level, address)
            return self._render(opened, key, quality, make, have)
        name = self._encoding.tile_name(quality)
        key = opened.keys.make("tile", address.level, address.col, address.row, name)
        request = Request(opened, address, opened.movement.note(address))
        found = self._find_at_hand(opened, key, have)
        tile = None if found else self._tiles.take(request)
        if not found and tile is None:
            image, run = self._cache.find_either(key, self._tiles.run_key(request) or key)
            found = self._verified(opened, key, image)
            tile = self._tiles.open_run(request, run)
        if found:
            self._tiles.follow(request)
            return found
        if tile is not None and self._encoding.is_spliced(tile.tile, quality):
            # It is made in less time than it takes to see whether somebody else does.
            made = self._make_tile(tile, key, quality)
            return self._finished(opened, key, made, is_hit=True)
        self._before_waiting()
        with self._making.hold(key.text):
            image = self._cache.find_remembered(key)
            is_hit = image is not None
            if image is None:
                image = self._make_tile(tile or self._tiles.read(request), key, quality)
        return self._finished(opened, key, image, is_hit=is_hit)

    def _make_tile(self, stored: StoredTile, key: ImageKey, quality: int | None) -> FinishedImage:
        """Return the image of a stored tile, and keep it."""
        image = self._encoding.image_of(stored.tile, quality)
        if stored.is_kept and image.is_source:
            # All workers have the tile, of which it is made in a moment.
            self._cache.remember(key, image)
        else:
            self._cache.keep(key, image)
        return image

    def _made_pixels(self, opened: OpenedSlide, level: Level, address: TileAddress) -> Pixels:
        slide, slide_id = SlideView(opened, self._tiles), opened.slide_id
        region = level.grid.region(address.col, address.row)
        if level.stored_tile_size:
            return self._regions.read(slide, slide_id, level, region)
        return self._regions.read_downsampled(slide, slide_id, round(level.downsample), region)

    def _region(
        self,
        opened: OpenedSlide,
        scaled_region: ScaledRegion,
        quality: int | None,
        have: Have | None,
    ) -> RenderedImage:
        info = opened.slide.info
        downsample, region = scaled_region.downsample, scaled_region.region
        scaled = Size(-(-info.size.width // downsample), -(-info.size.height // downsample))
        if region.clipped(scaled) != region or not region.size.pixels:
            raise TileOutOfBounds(f"{region} does not lie in the slide at 1:{downsample}")
        address = find_tile(info, downsample, region)
        if address:
            return self._tile(opened, address, quality, have)
        place = TileAddress(downsample, region.x, region.y)
        key = self._key(opened, f"{region.width}x{region.height}", place, quality)
        view = SlideView(opened, self._tiles)
        make = partial(self._regions.read_downsampled, view, opened.slide_id, downsample, region)
        return self._render(opened, key, quality, make, have)

    def _thumbnail(
        self, opened: OpenedSlide, max_size: int, quality: int | None, have: Have | None
    ) -> RenderedImage:
        size = fit(opened.slide.info.size, max_size)
        key = self._key(opened, "thumbnail", TileAddress(0, size.width, size.height), quality)
        view = SlideView(opened, self._tiles)
        make = partial(self._regions.read_thumbnail, view, opened.slide_id, max_size)
        return self._render(opened, key, quality, make, have)

    def _render(
        self,
        opened: OpenedSlide,
        key: ImageKey,
        quality: int | None,
        make: Callable[[], Pixels],
        have: Have | None,
    ) -> RenderedImage:
        """Return an image from the cache, or make it: one thread at a time, the others wait."""
        found = self._find(opened, key, have)
        if found:
            return found
        self._before_waiting()
        with self._making.hold(key.text):
            image = self._cache.find_remembered(key)
            is_hit = image is not None
            if image is None:
                image = self._encoding.encode(make(), quality)
                self._cache.keep(key, image)
        return self._finished(opened, key, image, is_hit=is_hit)

    def _find(self, opened: OpenedSlide, key: ImageKey, have: Have | None) -> RenderedImage | None:
        """Return an image of the present version that needs no making, None if there is none."""
        return self._find_at_hand(opened, key, have) or self._find_stored(opened, key)

    def _find_at_hand(
        self, opened: OpenedSlide, key: ImageKey, have: Have | None
    ) -> RenderedImage | None:
        """Return an image that the client or the memory has."""
        if have and have(key.etag):
            self._registry.verify(opened)
            return RenderedImage(b"", JPEG, 0, key.etag, cache_hit=True, is_unchanged=True)
        return self._verified(opened, key, self._cache.find_remembered(key))

    def _find_stored(self, opened: OpenedSlide, key: ImageKey) -> RenderedImage | None:
        """Return an image that the disk has."""
        return self._verified(opened, key, self._cache.find_stored(key))

    def _verified(
        self, opened: OpenedSlide, key: ImageKey, image: FinishedImage | None
    ) -> RenderedImage | None:
        if image is None:
            return None
        self._registry.verify(opened)
        return _rendered(key, image, is_hit=True)

    def _finished(
        self, opened: OpenedSlide, key: ImageKey, image: FinishedImage, *, is_hit: bool
    ) -> RenderedImage:
        """Return an image that had to be waited for, if it is still one of the object."""
        self._registry.verify(opened)
        self._registry.keep(opened)
        return _rendered(key, image, is_hit=is_hit)

    def _key(
        self, opened: OpenedSlide, kind: str, place: TileAddress, quality: int | None
    ) -> ImageKey:
        name = self._encoding.name(quality)
        return opened.keys.make(kind, place.level, place.col, place.row, name)


def _rendered(key: ImageKey, image: FinishedImage, *, is_hit: bool) -> RenderedImage:
    return RenderedImage(image.data, JPEG, image.quality, key.etag, is_hit, image.is_source)
