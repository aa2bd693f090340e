"""Which levels a slide serves: those that its file holds and, for a flat file, made ones."""

from collections.abc import Sequence

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.slide import Level

SERVED_TILE = Size(256, 256)
# Made levels are cut like level 0, unless that would make a swarm of tiny tiles.
SMALLEST_MADE_TILE = 128


def is_reduced(full: Size, image: Size) -> bool:
    """Say whether an image can be `full` at a lower resolution: smaller, and of the same shape.

    Vendors cut off or round up at each step, so a side may be one pixel off for each halving.
    """
    if not (0 < image.width <= full.width and 0 < image.height <= full.height) or image == full:
        return False
    ratio = max(full.width / image.width, full.height / image.height)
    # A side of n pixels stands for (n - 1, n + 1) x ratio pixels of the full image.
    return (
        (image.width - 1) * ratio <= full.width + ratio
        and (image.width + 1) * ratio >= full.width - ratio
        and (image.height - 1) * ratio <= full.height + ratio
        and (image.height + 1) * ratio >= full.height - ratio
    )


def make_levels(grids: Sequence[TileGrid], *, is_stripped: bool) -> tuple[Level, ...]:
    """Return the levels of a slide whose file holds `grids`, the largest first.

    A level of strips is served in square tiles. Where there is only one level, smaller ones
    follow it, each half as large as the one before, until one fits into a tile.
    """
    full = grids[0].image
    levels = [
        Level(
            index=index,
            size=grid.image,
            tile_size=SERVED_TILE if is_stripped else grid.tile,
            downsample=_downsample(full, grid.image),
            stored_tile_size=grid.tile,
        )
        for index, grid in enumerate(grids)
    ]
    if len(levels) > 1:
        return tuple(levels)
    tile = levels[0].tile_size
    if min(tile.width, tile.height) < SMALLEST_MADE_TILE:
        tile = SERVED_TILE
    size, factor = full, 1
    while size.width > tile.width or size.height > tile.height:
        factor *= 2
        size = Size(-(-full.width // factor), -(-full.height // factor))
        levels.append(Level(len(levels), size, tile, float(factor), None))
    return tuple(levels)


def check_smallest(levels: Sequence[Level], *, is_stripped: bool, max_pixels: int) -> None:
    """Raise UnsupportedFormat if the smallest stored level is too large to make others from."""
    stored = [level for level in levels if level.stored_tile_size]
    if stored[-1].size.pixels <= max_pixels:
        return
    what = "File is not a pyramidal TIFF (single resolution only)"
    if is_stripped:
        what = "File uses strip organization instead of tiles"
    elif len(stored) > 1:
        what = "File lacks small levels of its pyramid"
    raise UnsupportedFormat(
        f"{what}, and its smallest level of {stored[-1].size.pixels} pixels is larger than "
        f"{max_pixels} (WSI_FLAT_MAX_PIXELS). Convert it: vips tiffsave IN OUT.tiff --tile "
        "--pyramid --bigtiff --compression jpeg --Q 90 --tile-width 256 --tile-height 256"
    )


def _downsample(full: Size, size: Size) -> float:
    # As OpenSlide does it: the mean of both sides, which rounding moves apart.
    return (full.width / size.width + full.height / size.height) / 2
