"""One level as a TIFF file stores it: where its tiles or strips lie and how they are compressed."""

from dataclasses import dataclass, replace

import numpy as np

from wsi_streamer.errors import DecodeError, UnsupportedFormat
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.tiff.directory import Ifd, Integers
from wsi_streamer.formats.tiff.pixel_layout import read_layout
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import Codec, PixelLayout

# What a compressed tile may take besides four times its pixels: headers and tables of its own.
TILE_OVERHEAD = 4096
MAX_TILE_BYTES = 16 * 1024 * 1024
STRIP_ROWS = 256
# Tiles are multiples of 16 pixels (TIFF 6.0, page 67), except for an image that is one tile.
MIN_TILE_SIDE = 16
# A row of more pixels is nonsense, and so is a strip of more rows.
MAX_STRIP_SIDE = 2**20
NOWHERE = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class StoredLevel:
    """The tiles (or strips) of one IFD.

    `offsets` and `byte_counts` hold one number a tile, row by row, and for planar files once
    for each sample, one sample after another.
    """

    grid: TileGrid
    layout: PixelLayout
    is_stripped: bool
    offsets: Integers
    byte_counts: Integers

    def ranges(self, col: int, row: int, file_size: int) -> list[tuple[int, int]]:
        """Return (offset, length) of each part of a tile; none for a tile that is left out.

        Raises DecodeError for a tile that cannot be where the file says it is.
        """
        index = row * self.grid.columns + col
        stride = self.grid.columns * self.grid.rows
        places = [
            (int(self.offsets[at]), int(self.byte_counts[at]))
            for at in range(index, len(self.offsets), stride)
        ]
        # Sparse files leave tiles out: both numbers, or just the length, are 0 (GDAL, libtiff).
        if all(length == 0 for _, length in places):
            return []
        raw = self._raw_bytes(col, row)
        return [self._check_place(offset, length, raw, file_size) for offset, length in places]

    def stored_size(self, col: int, row: int) -> Size:
        """Return the size of a tile as it is stored: padded to a full tile, the last strip not."""
        return self.grid.region(col, row).size if self.is_stripped else self.grid.tile

    def _raw_bytes(self, col: int, row: int) -> int:
        samples = 1 if self.layout.planar else self.layout.samples
        return self.stored_size(col, row).pixels * samples * self.layout.bits // 8

    def _check_place(self, offset: int, length: int, raw: int, file_size: int) -> tuple[int, int]:
        """Return the bytes of one part that are worth reading, of which `raw` are its pixels."""
        if self.layout.codec is Codec.RAW:
            length = min(length, raw)
        most = 4 * raw + TILE_OVERHEAD + len(self.layout.jpeg_tables)
        if length > min(most, max(MAX_TILE_BYTES, raw)):
            raise DecodeError(f"a tile claims {length} bytes, far more than its pixels need")
        if offset < 8 or not length or offset + length > file_size:
            raise DecodeError(
                f"a tile lies at {offset} + {length} bytes, the file has {file_size}: "
                "was it copied completely?"
            )
        return offset, length


def read_level(ifd: Ifd, *, is_big_endian: bool, limits: Limits) -> StoredLevel:
    """Return the level that an IFD describes; raises UnsupportedFormat with the reason."""
    size = Size(ifd.number(256), ifd.number(257))
    if not (0 < size.width < 2**31 and 0 < size.height < 2**31):
        raise UnsupportedFormat(f"The TIFF image has an impossible size {size}")
    layout = read_layout(ifd, is_big_endian=is_big_endian)
    if layout.codec is Codec.JPEG2000 and not limits.jpeg2000:
        raise UnsupportedFormat("JPEG 2000 is switched off on this server (WSI_JPEG2000)")
    is_stripped = not ifd.is_tiled
    tile = _strip_size(ifd, size) if is_stripped else Size(ifd.number(322), ifd.number(323))
    grid = TileGrid(size, tile)
    wanted = _count_parts(grid, layout, limits)
    if is_stripped:
        _check_strip(grid)
    else:
        _check_tile(grid, limits)
    offsets = _read_table(ifd, 273 if is_stripped else 324, wanted)
    counts = _read_table(ifd, 279 if is_stripped else 325, wanted)
    level = StoredLevel(grid, layout, is_stripped, offsets, counts)
    return _cut_strips(level, limits) if is_stripped else level


def _read_table(ifd: Ifd, code: int, wanted: int) -> Integers:
    table = ifd.tables.get(code)
    if table is None or table.count < wanted:
        named = table.count if table else 0
        raise UnsupportedFormat(f"The TIFF image names {named} tiles or strips, not {wanted}")
    return table.read(wanted)


def _strip_size(ifd: Ifd, size: Size) -> Size:
    # RowsPerStrip is by default "infinite": the image is one strip (TIFF 6.0, page 39).
    rows = ifd.number(278, size.height)
    return Size(size.width, min(rows if rows > 0 else size.height, size.height))


def _count_parts(grid: TileGrid, layout: PixelLayout, limits: Limits) -> int:
    """Return how many tiles or strips an image has, those of each plane counted."""
    tile = grid.tile
    if tile.width < 1 or tile.height < 1:
        raise UnsupportedFormat(f"The TIFF image has tiles of {tile.width} x {tile.height} pixels")
    parts = grid.columns * grid.rows * (layout.samples if layout.planar else 1)
    if parts > limits.max_tiles:
        raise UnsupportedFormat(
            f"A level of {parts} tiles is more than {limits.max_tiles} (WSI_MAX_TILES)"
        )
    return parts


def _check_tile(grid: TileGrid, limits: Limits) -> None:
    tile = grid.tile
    if max(tile.width, tile.height) > limits.max_tile_side:
        raise UnsupportedFormat(
            f"Tiles of {tile.width} x {tile.height} pixels are larger than "
            f"{limits.max_tile_side} (WSI_MAX_TILE_SIDE)"
        )
    if min(tile.width, tile.height) < MIN_TILE_SIDE and grid.columns * grid.rows > 1:
        raise UnsupportedFormat(
            f"Tiles of {tile.width} x {tile.height} pixels are smaller than {MIN_TILE_SIDE}"
        )


def _check_strip(grid: TileGrid) -> None:
    if max(grid.tile.width, grid.tile.height) > MAX_STRIP_SIDE:
        raise UnsupportedFormat(
            f"Strips of {grid.tile.width} x {grid.tile.height} pixels are longer than "
            f"{MAX_STRIP_SIDE}"
        )


def _cut_strips(level: StoredLevel, limits: Limits) -> StoredLevel:
    """Return a level of strips with long uncompressed strips cut to about 256 rows.

    Raises UnsupportedFormat for strips that are too large to be decoded and cannot be cut.
    """
    grid, rows, side = level.grid, level.grid.tile.height, limits.max_tile_side
    # Of these no pieces are needed: `check_smallest` says what to do with such a file.
    if grid.image.pixels > limits.flat_max_pixels:
        return level
    height = _find_piece_rows(level, side)
    if grid.tile.width * height > side * side:
        raise UnsupportedFormat(
            f"Strips of {grid.tile.width} x {height} pixels are larger than {side} x {side} "
            "(WSI_MAX_TILE_SIDE)"
        )
    if height == rows:
        return level
    cut = TileGrid(grid.image, Size(grid.tile.width, height))
    row_bytes = grid.image.width * level.layout.samples * level.layout.bits // 8
    first_rows = np.arange(cut.rows, dtype=np.uint64) * np.uint64(height)
    strip = first_rows // np.uint64(rows)
    within = (first_rows - strip * np.uint64(rows)) * np.uint64(row_bytes)
    starts, stored = level.offsets[strip], level.byte_counts[strip]
    # Only a strip of 0 bytes is left out; pieces that a strip is too short for are lost.
    is_there = (stored > within) & (starts <= NOWHERE - within)
    counts = np.where(is_there, np.minimum(stored - within, np.uint64(height * row_bytes)), 1)
    return replace(
        level,
        grid=cut,
        offsets=np.where(is_there, starts + within, NOWHERE),
        byte_counts=np.where(stored == 0, 0, counts).astype(np.uint64),
    )


def _find_piece_rows(level: StoredLevel, side: int) -> int:
    """Return how many rows the pieces of a strip have; all of them if it cannot be cut."""
    rows, layout = level.grid.tile.height, level.layout
    most = min(STRIP_ROWS, max(side * side // level.grid.tile.width, 1))
    # Rows of uncompressed pixels lie one behind the other, so any of them can be read alone.
    is_raw = layout.codec is Codec.RAW and layout.predictor == 1 and not layout.planar
    if rows <= most or not is_raw:
        return rows
    if level.grid.rows == 1:
        return most
    # Only a divisor keeps all pieces but the last of the image equally high.
    divisors = (n for n in range(most, min(most, 16) - 1, -1) if rows % n == 0)
    return next(divisors, rows)
