"""Strips: cut into pieces of a tile's size where they are long and the codec lets them be cut."""

import numpy as np

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.tiff.tile_table import Places, TileTable, make_table
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import Codec, PixelLayout

STRIP_ROWS = 256
NOWHERE = np.uint64(2**64 - 1)


def read_strips(
    grid: TileGrid, layout: PixelLayout, places: Places, limits: Limits
) -> tuple[TileGrid, TileTable]:
    """Return how a level of strips is cut, long uncompressed ones to about 256 rows, and where.

    Raises UnsupportedFormat for strips that are too large to be decoded and cannot be cut.
    """
    rows, side = grid.tile.height, limits.max_tile_side
    # Of these no pieces are needed: `check_smallest` says what to do with such a file.
    if grid.image.pixels > limits.flat_max_pixels:
        return grid, make_table(*places)
    height = _find_piece_rows(grid, layout, side)
    check_area(Size(grid.tile.width, height), limits)
    if height == rows:
        return grid, make_table(*places)
    cut = TileGrid(grid.image, Size(grid.tile.width, height))
    row_bytes = grid.image.width * layout.samples * layout.bits // 8
    first_rows = np.arange(cut.rows, dtype=np.uint64) * np.uint64(height)
    strip = first_rows // np.uint64(rows)
    within = (first_rows - strip * np.uint64(rows)) * np.uint64(row_bytes)
    starts, stored = places[0][strip], places[1][strip]
    # Only a strip of 0 bytes is left out; pieces that a strip is too short for are lost.
    is_there = (stored > within) & (starts <= NOWHERE - within)
    counts = np.where(is_there, np.minimum(stored - within, np.uint64(height * row_bytes)), 1)
    counts = np.where(stored == 0, 0, counts).astype(np.uint64)
    return cut, make_table(np.where(is_there, starts + within, NOWHERE), counts)


def check_area(strip: Size, limits: Limits) -> None:
    """Raise UnsupportedFormat if a strip has more pixels than a tile may have."""
    side = limits.max_tile_side
    if strip.pixels > side * side:
        raise UnsupportedFormat(
            f"Strips of {strip.width} x {strip.height} pixels are larger than {side} x {side} "
            "(WSI_MAX_TILE_SIDE)"
        )


def _find_piece_rows(grid: TileGrid, layout: PixelLayout, side: int) -> int:
    """Return how many rows the pieces of a strip have; all of them if it cannot be cut."""
    rows = grid.tile.height
    most = min(STRIP_ROWS, max(side * side // grid.tile.width, 1))
    # Rows of uncompressed pixels lie one behind the other, so any of them can be read alone.
    is_raw = layout.codec is Codec.RAW and layout.predictor == 1 and not layout.planar
    if rows <= most or not is_raw:
        return rows
    if grid.rows == 1:
        return most
    # Only a divisor keeps all pieces but the last of the image equally high.
    divisors = (n for n in range(most, min(most, 16) - 1, -1) if rows % n == 0)
    return next(divisors, rows)
