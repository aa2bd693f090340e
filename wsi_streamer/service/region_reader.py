"""RegionReader: pixels of any region at any scale, made of stored tiles.

Work is bounded twice: a region is refused if more than `max_pixels` stored pixels would have to
be read for it, and what is read goes through memory in blocks, each reduced before the next.
"""

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import numpy.typing as npt

from wsi_streamer.errors import RegionTooLarge
from wsi_streamer.formats.base import Slide
from wsi_streamer.imaging.decode import BACKGROUND, decode_tile
from wsi_streamer.imaging.resample import reduce_by, resize
from wsi_streamer.model.geometry import Region, Size
from wsi_streamer.model.slide import Level
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service.pixel_cache import PixelCache, PixelKey

Pixels = npt.NDArray[np.uint8]
# A block of this side takes 12 MB; with 4 threads that is the memory of a few tiles.
BLOCK_SIDE = 2048
# A reduction to at least this many times the final size leaves enough for a good last step.
LAST_STEP = 1.5


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a level with fractions of pixels: left, upper, right and lower edge."""

    left: float
    top: float
    right: float
    bottom: float


class RegionReader:
    """Reads regions of slides; safe to share between threads."""

    def __init__(self, cache: PixelCache, *, max_pixels: int) -> None:
        self._cache = cache
        self._max_pixels = max_pixels

    def read(self, slide: Slide, slide_id: str, level: Level, region: Region) -> Pixels:
        """Return the pixels of `region` of a stored level as (height, width, 3) uint8.

        Pixels outside the level are white. Raises RegionTooLarge, DecodeError, StorageError.
        """
        self._check(region.clipped(level.size))
        return self._read(slide, slide_id, level, region)

    def read_downsampled(
        self, slide: Slide, slide_id: str, downsample: int, region: Region
    ) -> Pixels:
        """Return `region` of the slide scaled down by a whole number: (height, width, 3) uint8.

        Pixel (x, y) of the scaled slide stands for the square of `downsample` pixels at
        (x, y) * `downsample` of level 0. `region` has to lie inside. Raises as `read` does.
        """
        level = slide.info.best_stored_level(downsample)
        step = slide.info.whole_downsample(level)
        if step and downsample % step == 0:
            factor = downsample // step
            source = _scaled(region, factor).clipped(level.size)
            self._check(source)
            pixels = self._read_reduced(slide, slide_id, level, source, factor)
            return _stretch_edge(pixels, region.size)
        scaled = _scaled(region, downsample).clipped(slide.info.size)
        box = Box(scaled.x, scaled.y, scaled.right, scaled.bottom)
        return self.read_scaled(slide, slide_id, box, region.size)

    def read_scaled(
        self, slide: Slide, slide_id: str, box: Box, size: Size, *, sharp: bool = False
    ) -> Pixels:
        """Return `box`, in pixels of level 0, scaled down to `size`: (height, width, 3) uint8.

        The source is the smallest stored level that has the resolution. `sharp` is for single
        pictures, the default for tiles, whose neighbours have to fit. Raises as `read` does.
        """
        scale = min((box.right - box.left) / size.width, (box.bottom - box.top) / size.height)
        level = slide.info.best_stored_level(scale)
        box = _clip(_to_level(box, slide.info.size, level.size), level.size)
        cover = _cover(box).clipped(level.size)
        self._check(cover)
        ratio = min((box.right - box.left) / size.width, (box.bottom - box.top) / size.height)
        factor = max(1, floor(ratio / LAST_STEP))
        pixels = self._read_reduced(slide, slide_id, level, cover, factor)
        left, top = (box.left - cover.x) / factor, (box.top - cover.y) / factor
        right, bottom = (box.right - cover.x) / factor, (box.bottom - cover.y) / factor
        inside = left, top, min(right, pixels.shape[1]), min(bottom, pixels.shape[0])
        return resize(pixels, size, inside, sharp=sharp)

    def _check(self, region: Region) -> None:
        if region.width * region.height > self._max_pixels:
            raise RegionTooLarge(
                f"{region.width * region.height} pixels would have to be read, more than "
                f"{self._max_pixels} (WSI_FLAT_MAX_PIXELS)"
            )

    def _read_reduced(
        self, slide: Slide, slide_id: str, level: Level, region: Region, factor: int
    ) -> Pixels:
        """Return a region reduced by a whole factor, read block by block."""
        if factor == 1:
            return self._read(slide, slide_id, level, region)
        width, height = ceil(region.width / factor), ceil(region.height / factor)
        reduced = np.empty((height, width, 3), np.uint8)
        step = max(BLOCK_SIDE // factor, 1)
        for row in range(0, height, step):
            for col in range(0, width, step):
                x, y = region.x + col * factor, region.y + row * factor
                right = min(x + step * factor, region.right)
                bottom = min(y + step * factor, region.bottom)
                block = self._read(slide, slide_id, level, Region(x, y, right - x, bottom - y))
                small = reduce_by(block, factor)
                reduced[row : row + small.shape[0], col : col + small.shape[1]] = small
        return reduced

    def _read(self, slide: Slide, slide_id: str, level: Level, region: Region) -> Pixels:
        grid = level.stored_grid
        if grid is None:
            raise ValueError(f"level {level.index} is not stored")
        columns, rows = grid.covering(region)
        places = [TileAddress(level.index, col, row) for row in rows for col in columns]
        if len(places) == 1 and grid.region(places[0].col, places[0].row) == region:
            return self._read_tiles(slide, slide_id, places)[places[0]]
        canvas = np.full((region.height, region.width, 3), BACKGROUND, np.uint8)
        for place, pixels in self._read_tiles(slide, slide_id, places).items():
            _paste(canvas, region, pixels, grid.region(place.col, place.row))
        return canvas

    def _read_tiles(
        self, slide: Slide, slide_id: str, places: list[TileAddress]
    ) -> dict[TileAddress, Pixels]:
        keys = {place: PixelKey(slide_id, slide.version, place) for place in places}
        tiles = {place: self._cache.get(keys[place]) for place in places}
        missing = [place for place, pixels in tiles.items() if pixels is None]
        found = {place: pixels for place, pixels in tiles.items() if pixels is not None}
        for place, tile in zip(missing, slide.read_tiles(missing), strict=True):
            found[place] = decode_tile(tile)
            self._cache.put(keys[place], found[place])
        return found


def _paste(canvas: Pixels, region: Region, pixels: Pixels, place: Region) -> None:
    left, top = max(region.x, place.x), max(region.y, place.y)
    right, bottom = min(region.right, place.right), min(region.bottom, place.bottom)
    canvas[top - region.y : bottom - region.y, left - region.x : right - region.x] = pixels[
        top - place.y : bottom - place.y, left - place.x : right - place.x
    ]


def _to_level(box: Box, full: Size, size: Size) -> Box:
    x, y = size.width / full.width, size.height / full.height
    return Box(box.left * x, box.top * y, box.right * x, box.bottom * y)


def _clip(box: Box, size: Size) -> Box:
    return Box(
        max(box.left, 0.0),
        max(box.top, 0.0),
        min(box.right, float(size.width)),
        min(box.bottom, float(size.height)),
    )


def _cover(box: Box) -> Region:
    left, top = floor(box.left), floor(box.top)
    return Region(left, top, max(ceil(box.right) - left, 1), max(ceil(box.bottom) - top, 1))


def _scaled(region: Region, factor: int) -> Region:
    return Region(
        region.x * factor, region.y * factor, region.width * factor, region.height * factor
    )


def _stretch_edge(pixels: Pixels, size: Size) -> Pixels:
    """Return an image with its last column and row repeated up to `size`."""
    down, right = size.height - pixels.shape[0], size.width - pixels.shape[1]
    if down <= 0 and right <= 0:
        return pixels
    return np.pad(pixels, ((0, max(down, 0)), (0, max(right, 0)), (0, 0)), mode="edge")
