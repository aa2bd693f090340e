"""RegionReader: pixels of any region at any scale, made of stored tiles.

Work is bounded twice: a region is refused if more than `max_pixels` stored pixels would have to
be read for it, and more than a few megapixels are never in memory at once: each stored tile of a
larger region is read once, added to the averages, and forgotten. Where it can, a tile is decoded
at the smaller scale already, which costs less and gives nearly the same pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, gcd
from typing import Protocol

import numpy as np

from wsi_streamer.errors import RegionTooLarge
from wsi_streamer.imaging.color import Pixels
from wsi_streamer.imaging.decode import BACKGROUND, MAX_REDUCE, decode_tile
from wsi_streamer.imaging.resample import LARGEST_EXACT_FACTOR, Average, reduce_by, resize
from wsi_streamer.model.geometry import Region, Size, TileGrid
from wsi_streamer.model.slide import Level, SlideInfo
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.pixel_cache import PixelCache, PixelKey

# Up to so many pixels (12 MB) a region is put together as a whole.
WHOLE_PIXELS = 4_000_000
# A reduction to at least this many times the final size leaves enough for a good last step.
LAST_STEP = 1.5
# Stored tiles asked for at once: so many pixels, and so many tiles.
BATCH_PIXELS, BATCH_TILES = 4_000_000, 256


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a level with fractions of pixels: left, upper, right and lower edge."""

    left: float
    top: float
    right: float
    bottom: float

    def scaled(self, across: float, down: float) -> "Box":
        """Return the box in pixels of another size."""
        return Box(self.left * across, self.top * down, self.right * across, self.bottom * down)

    def cover(self, size: Size) -> Region:
        """Return the pixels of an image of `size` that the box touches; at least one."""
        left = min(max(floor(self.left), 0), size.width - 1)
        top = min(max(floor(self.top), 0), size.height - 1)
        right = max(min(ceil(self.right), size.width), left + 1)
        bottom = max(min(ceil(self.bottom), size.height), top + 1)
        return Region(left, top, right - left, bottom - top)


class TileSource(Protocol):
    """What regions are read from: a slide, or a view of one."""

    @property
    def info(self) -> SlideInfo:
        """Metadata."""

    @property
    def version(self) -> str:
        """The version of the object that was opened."""

    def read_tiles(self, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles; see `formats.base.Slide`."""


@dataclass(frozen=True, slots=True)
class _Source:
    """A stored level of a slide."""

    slide: TileSource
    slide_id: str
    level: Level
    grid: TileGrid


class RegionReader:
    """Reads regions of slides; safe to share between threads."""

    def __init__(self, cache: PixelCache, *, max_pixels: int) -> None:
        self._cache = cache
        self._max_pixels = max_pixels

    def read(self, slide: TileSource, slide_id: str, level: Level, region: Region) -> Pixels:
        """Return the pixels of `region` of a stored level as (height, width, 3) uint8.

        Pixels outside the level are white. Raises RegionTooLarge, DecodeError, StorageError.
        """
        self._check(region.clipped(level.size).size)
        return self._read_whole(_source(slide, slide_id, level), region)

    def read_downsampled(
        self, slide: TileSource, slide_id: str, downsample: int, region: Region
    ) -> Pixels:
        """Return `region` of the slide scaled down by a whole number: (height, width, 3) uint8.

        Pixel (x, y) of the scaled slide stands for the square of `downsample` pixels at
        (x, y) * `downsample` of level 0. `region` has to lie inside. Raises as `read` does.
        """
        box = Box(region.x, region.y, region.right, region.bottom).scaled(downsample, downsample)
        level = self._best_level(slide.info, downsample, box)
        step = slide.info.whole_downsample(level)
        if not step or downsample % step:
            return self._read_box(_source(slide, slide_id, level), box, region.size)
        # Level pixels fall together with those of the scaled slide, up to the last odd one.
        factor = downsample // step
        cover = box.scaled(1 / step, 1 / step).cover(level.size)
        source = _source(slide, slide_id, level)
        return _stretch_edge(self._read_reduced(source, cover, (factor, factor)), region.size)

    def read_thumbnail(self, slide: TileSource, slide_id: str, max_side: int) -> Pixels:
        """Return the whole slide with no side above `max_side`, never enlarged.

        The picture is smaller where a level large enough would be too much to read.
        """
        full = slide.info.size
        size = fit(full, max_side)
        box = Box(0, 0, full.width, full.height)
        scale = min(full.width / size.width, full.height / size.height)
        level = self._best_level(slide.info, scale, box)
        size = Size(min(size.width, level.size.width), min(size.height, level.size.height))
        return self._read_box(_source(slide, slide_id, level), box, size, sharp=True)

    def _best_level(self, info: SlideInfo, downsample: float, box: Box) -> Level:
        """Return the smallest stored level that has the resolution, or the next that is feasible.

        `box` counts in pixels of level 0. Raises RegionTooLarge.
        """
        best = info.best_stored_level(downsample)
        for level in info.stored_levels:
            if level.index < best.index:
                continue
            cover = _to_level(box, info, level).cover(level.size)
            if cover.size.pixels <= self._max_pixels:
                return level
        raise self._too_large(cover.size)

    def _check(self, size: Size) -> None:
        if size.pixels > self._max_pixels:
            raise self._too_large(size)

    def _too_large(self, size: Size) -> RegionTooLarge:
        return RegionTooLarge(
            f"{size.pixels} pixels would have to be read, more than {self._max_pixels} "
            "(WSI_FLAT_MAX_PIXELS)"
        )

    def _read_box(self, source: _Source, box: Box, size: Size, *, sharp: bool = False) -> Pixels:
        """Return `box`, in pixels of level 0, scaled to `size`.

        A box that reaches beyond the level is filled up with its last column and row.
        """
        level = source.level
        box = _to_level(box, source.slide.info, level)
        cover = box.cover(level.size)
        across = max(1, floor((box.right - box.left) / size.width / LAST_STEP))
        down = max(1, floor((box.bottom - box.top) / size.height / LAST_STEP))
        across, down = _cheaper(source, cover, (across, down))
        pixels = self._read_reduced(source, cover, (across, down))
        part = Box(box.left - cover.x, box.top - cover.y, box.right - cover.x, box.bottom - cover.y)
        part = part.scaled(1 / across, 1 / down)
        pixels = _stretch_edge(pixels, Size(ceil(part.right), ceil(part.bottom)))
        edges = (part.left, part.top, part.right, part.bottom)
        return resize(pixels, size, edges, sharp=sharp)

    def _read_reduced(self, source: _Source, region: Region, factor: tuple[int, int]) -> Pixels:
        """Return the averages of rectangles of `factor` pixels; `region` lies in the level."""
        reduce = factor[0].bit_length() - 1
        if factor == (1 << reduce, 1 << reduce) and _can_halve(source, region, reduce):
            return self._read_whole(source, region, reduce)
        if region.size.pixels <= WHOLE_PIXELS and max(factor) <= LARGEST_EXACT_FACTOR:
            return reduce_by(self._read_whole(source, region), factor)
        average = Average(region.size, factor)
        for place, pixels in self._read_tiles(source, region, 0):
            inside = _common(place, region)
            average.add(_part(pixels, place, inside), _within(inside, region))
        return average.result()

    def _read_whole(self, source: _Source, region: Region, reduce: int = 0) -> Pixels:
        target = _halved(region, reduce)
        canvas = np.full((target.height, target.width, 3), BACKGROUND, np.uint8)
        for place, pixels in self._read_tiles(source, region, reduce):
            if place == target:
                return pixels
            inside = _common(place, target)
            into = _within(inside, target)
            canvas[into.y : into.bottom, into.x : into.right] = _part(pixels, place, inside)
        return canvas

    def _read_tiles(
        self, source: _Source, region: Region, reduce: int
    ) -> Iterator[tuple[Region, Pixels]]:
        """Give each stored tile that touches `region`: its place in the level and its pixels.

        Both are those of the level halved `reduce` times.
        """
        columns, rows = source.grid.covering(region)
        places = [TileAddress(source.level.index, col, row) for row in rows for col in columns]
        count = max(1, min(BATCH_TILES, BATCH_PIXELS // source.grid.tile.pixels))
        # What is read once only would push out what is needed again.
        keeps = len(places) * source.grid.tile.pixels <= 2 * WHOLE_PIXELS
        for start in range(0, len(places), count):
            batch = self._read_batch(source, places[start : start + count], reduce, keeps=keeps)
            for place, pixels in batch:
                yield _halved(source.grid.region(place.col, place.row), reduce), pixels

    def _read_batch(
        self, source: _Source, places: list[TileAddress], reduce: int, *, keeps: bool
    ) -> Iterator[tuple[TileAddress, Pixels]]:
        version = source.slide.version
        missing = []
        for place in places:
            pixels = self._cache.get(PixelKey(source.slide_id, version, place, reduce))
            if pixels is None:
                missing.append(place)
            else:
                yield place, pixels
        for place, tile in zip(missing, source.slide.read_tiles(missing), strict=True):
            pixels = decode_tile(tile, reduce)
            if keeps:
                self._cache.put(PixelKey(source.slide_id, version, place, reduce), pixels)
            yield place, pixels


def fit(size: Size, max_side: int) -> Size:
    """Return the largest size of the same shape with no side above `max_side`, never enlarged."""
    scale = min(1.0, max_side / max(size.width, size.height))
    return Size(max(1, round(size.width * scale)), max(1, round(size.height * scale)))


def _source(slide: TileSource, slide_id: str, level: Level) -> _Source:
    if level.stored_grid is None:
        raise ValueError(f"level {level.index} is not stored")
    return _Source(slide, slide_id, level, level.stored_grid)


def _to_level(box: Box, info: SlideInfo, level: Level) -> Box:
    # The true scale, not that of sizes which a vendor cut off or rounded up.
    step = info.whole_downsample(level)
    if step:
        return box.scaled(1 / step, 1 / step)
    return box.scaled(level.size.width / info.size.width, level.size.height / info.size.height)


def _can_halve(source: _Source, region: Region, times: int) -> bool:
    """Say whether tiles that are halved one by one make up the averages of a region.

    Their squares must not reach from one tile into the next, nor out of the region.
    """
    level, tile = source.level.size, source.grid.tile
    edges = [region.x, region.y]
    edges += [tile.width] if source.grid.columns > 1 else []
    edges += [tile.height] if source.grid.rows > 1 else []
    edges += [region.right] if region.right != level.width else []
    edges += [region.bottom] if region.bottom != level.height else []
    return times <= MAX_REDUCE and gcd(*edges) % (1 << times) == 0


def _cheaper(source: _Source, region: Region, factor: tuple[int, int]) -> tuple[int, int]:
    """Return the power of two below `factor` if tiles can be halved to it, `factor` otherwise."""
    times = min(factor).bit_length() - 1
    is_small = _halved(region, times).size.pixels <= WHOLE_PIXELS
    return (1 << times,) * 2 if is_small and _can_halve(source, region, times) else factor


def _halved(region: Region, times: int) -> Region:
    """Return the pixels of an image halved so often that stand for a region of it."""
    x, y = region.x >> times, region.y >> times
    right, bottom = -(-region.right >> times), -(-region.bottom >> times)
    return Region(x, y, right - x, bottom - y)


def _common(one: Region, other: Region) -> Region:
    x, y = max(one.x, other.x), max(one.y, other.y)
    return Region(x, y, min(one.right, other.right) - x, min(one.bottom, other.bottom) - y)


def _within(region: Region, outer: Region) -> Region:
    """Return a region counted from the upper left of another."""
    return Region(region.x - outer.x, region.y - outer.y, region.width, region.height)


def _part(pixels: Pixels, place: Region, wanted: Region) -> Pixels:
    """Return `wanted` of the pixels that lie at `place`."""
    at = _within(wanted, place)
    return pixels[at.y : at.bottom, at.x : at.right]


def _stretch_edge(pixels: Pixels, size: Size) -> Pixels:
    """Return an image with its last column and row repeated up to `size`."""
    down, right = size.height - pixels.shape[0], size.width - pixels.shape[1]
    if down <= 0 and right <= 0:
        return pixels
    return np.pad(pixels, ((0, max(down, 0)), (0, max(right, 0)), (0, 0)), mode="edge")
