"""One level as a TIFF file stores it: where its tiles or strips lie and how they are compressed."""

from collections.abc import Iterable
from dataclasses import dataclass

from wsi_streamer.errors import DecodeError, UnsupportedFormat
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.tiff.directory import Ifd, Table
from wsi_streamer.formats.tiff.pixel_layout import read_layout
from wsi_streamer.formats.tiff.strips import read_strips
from wsi_streamer.formats.tiff.tile_table import TileTable, open_table, read_table
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import Codec, PixelLayout
from wsi_streamer.storage.base import RangeReader

# What a compressed tile may take besides four times its pixels: headers and tables of its own.
TILE_OVERHEAD = 4096
MAX_TILE_BYTES = 16 * 1024 * 1024
# Tiles are multiples of 16 pixels (TIFF 6.0, page 67), except for an image that is one tile.
MIN_TILE_SIDE = 16
# A row of more pixels is nonsense, and so is a strip of more rows.
MAX_STRIP_SIDE = 2**20


@dataclass(frozen=True)
class StoredLevel:
    """The tiles (or strips) of one IFD.

    `table` has one place a tile, row by row, and for planar files once for each sample, one
    sample after another.
    """

    grid: TileGrid
    layout: PixelLayout
    is_stripped: bool
    table: TileTable

    def load(self, tiles: Iterable[tuple[int, int]], reader: RangeReader) -> None:
        """Have the places of (col, row) tiles at hand; at most one round trip.

        Raises DecodeError where they are no places, and StorageErrors.
        """
        self.table.load((index for tile in tiles for index in self._indexes(*tile)), reader)

    def ranges(self, col: int, row: int, file_size: int) -> list[tuple[int, int]]:
        """Return (offset, length) of each part of a loaded tile; none for one that is left out.

        Raises DecodeError for a tile that cannot be where the file says it is.
        """
        places = [self.table.place(index) for index in self._indexes(col, row)]
        # Sparse files leave tiles out: both numbers, or just the length, are 0 (GDAL, libtiff).
        if all(length == 0 for _, length in places):
            return []
        raw = self.raw_bytes(self.stored_size(col, row))
        return [self._check_place(offset, length, raw, file_size) for offset, length in places]

    def _indexes(self, col: int, row: int) -> range:
        columns = self.grid.columns
        return range(row * columns + col, self.table.count, columns * self.grid.rows)

    def stored_size(self, col: int, row: int) -> Size:
        """Return the size of a tile as it is stored: padded to a full tile, the last strip not."""
        return self.grid.region(col, row).size if self.is_stripped else self.grid.tile

    def raw_bytes(self, size: Size) -> int:
        """Return how many bytes so many pixels take in one part of a tile, uncompressed."""
        samples = 1 if self.layout.planar else self.layout.samples
        return size.pixels * samples * self.layout.bits // 8

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
    _check_size(size)
    layout = read_layout(ifd, is_big_endian=is_big_endian)
    is_stripped = not ifd.is_tiled
    tile = _strip_size(ifd, size) if is_stripped else Size(ifd.number(322), ifd.number(323))
    grid = TileGrid(size, tile)
    wanted = check_level(grid, layout, is_stripped=is_stripped, limits=limits)
    offsets = _find_table(ifd, 273 if is_stripped else 324, wanted)
    counts = _find_table(ifd, 279 if is_stripped else 325, wanted)
    columns = offsets.column(wanted), counts.column(wanted)
    if is_stripped:
        grid, table = read_strips(grid, layout, read_table(wanted, columns, offsets.reader), limits)
    else:
        table = open_table(wanted, columns, offsets.reader)
    return StoredLevel(grid, layout, is_stripped, table)


def _find_table(ifd: Ifd, code: int, wanted: int) -> Table:
    table = ifd.tables.get(code)
    if table is None or table.count < wanted:
        named = table.count if table else 0
        raise UnsupportedFormat(f"The TIFF image names {named} tiles or strips, not {wanted}")
    return table


def _strip_size(ifd: Ifd, size: Size) -> Size:
    # RowsPerStrip is by default "infinite": the image is one strip (TIFF 6.0, page 39).
    rows = ifd.number(278, size.height)
    return Size(size.width, min(rows if rows > 0 else size.height, size.height))


def check_level(grid: TileGrid, layout: PixelLayout, *, is_stripped: bool, limits: Limits) -> int:
    """Return how many tiles or strips a level has, those of each plane counted.

    Raises UnsupportedFormat for a level that nobody can have written, or that is too costly.
    """
    tile = grid.tile
    _check_size(grid.image)
    if layout.codec is Codec.JPEG2000 and not limits.jpeg2000:
        raise UnsupportedFormat("JPEG 2000 is switched off on this server (WSI_JPEG2000)")
    if tile.width < 1 or tile.height < 1:
        raise UnsupportedFormat(f"The TIFF image has tiles of {tile.width} x {tile.height} pixels")
    parts = grid.columns * grid.rows * (layout.samples if layout.planar else 1)
    if parts > limits.max_tiles:
        raise UnsupportedFormat(
            f"A level of {parts} tiles is more than {limits.max_tiles} (WSI_MAX_TILES)"
        )
    if is_stripped:
        _check_strip(grid)
    else:
        _check_tile(grid, limits)
    return parts


def _check_size(size: Size) -> None:
    if not (0 < size.width < 2**31 and 0 < size.height < 2**31):
        raise UnsupportedFormat(f"The TIFF image has an impossible size {size}")


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
