"""SlideIndex as bytes: what is known of an open slide, to open it again without any request.

Plain values only: a header in JSON, then the arrays of loaded chunks, all of it compressed. What
comes back is checked as if it were a stranger's file: against the limits, the object's size and
version, and the rules for levels of `stored_level.py`.
"""

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.levels import check_smallest, is_reduced, make_levels
from wsi_streamer.formats.tiff.directory import INTEGER_KINDS
from wsi_streamer.formats.tiff.index_header import (
    Fields,
    info_fields,
    layout_fields,
    read_info,
    read_layout,
)
from wsi_streamer.formats.tiff.stored_level import StoredLevel, check_level
from wsi_streamer.formats.tiff.strips import check_area
from wsi_streamer.formats.tiff.tile_table import (
    CHUNK_TILES,
    Chunk,
    Column,
    Integers,
    TileTable,
)
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.slide import Level, SlideInfo
from wsi_streamer.storage.base import RangeReader

# The number grows with each change of what follows, or of what a file's levels are.
MAGIC = b"WSI index 1\n"
# Texts of a slide take some kilobytes; one with more is not restored but opened.
MAX_HEADER = 2**20
MAX_SIDE = 2**31 - 1
LENGTH = struct.Struct("<I")
# Types of the arrays of a chunk, and of lists in the file.
CHUNK_KINDS = ("<u2", "<u4", "<u8")
COLUMN_KINDS = {order + kind for order in "<>" for kind in INTEGER_KINDS.values()}
BROKEN = (
    ValueError,
    UnsupportedFormat,
    zlib.error,
    struct.error,
    RecursionError,
    OverflowError,
)


@dataclass(frozen=True)
class SlideIndex:
    """Everything that serving a slide needs besides the bytes of its tiles."""

    size: int
    version: str
    info: SlideInfo
    levels: tuple[StoredLevel, ...]


def write_index(index: SlideIndex) -> bytes:
    """Return the index as bytes that `read_index` understands."""
    levels, arrays = [], list[bytes]()
    for level in index.levels:
        chunks = []
        for place, chunk in level.table.chunks.items():
            kinds = []
            for values in (chunk.offsets, chunk.counts):
                kinds.append(f"<u{values.itemsize}")
                arrays.append(values.astype(kinds[-1], copy=False).tobytes())
            chunks.append([place, chunk.base, *kinds])
        levels.append(_level_fields(level) | {"chunks": chunks})
    fields = {"size": index.size, "version": index.version, "levels": levels}
    header = json.dumps(fields | info_fields(index.info)).encode()
    return MAGIC + zlib.compress(b"".join([LENGTH.pack(len(header)), header, *arrays]), 1)


def read_index(data: bytes, reader: RangeReader, limits: Limits) -> SlideIndex:
    """Return what `write_index` wrote of the version that `reader` reads; reads nothing of it.

    Raises ValueError for anything else, and for a slide that is not to be served any more.
    """
    try:
        return _read_index(data, reader, limits)
    except BROKEN as exc:
        raise ValueError(f"not an index of this slide: {exc}") from exc


def _level_fields(level: StoredLevel) -> dict[str, object]:
    image, tile = level.grid.image, level.grid.tile
    columns = level.table.columns or ()
    return {
        "width": image.width,
        "height": image.height,
        "tile_width": tile.width,
        "tile_height": tile.height,
        "is_stripped": level.is_stripped,
        "layout": layout_fields(level.layout),
        "columns": [{"kind": column.kind, "offset": column.offset} for column in columns],
    }


def _read_index(data: bytes, reader: RangeReader, limits: Limits) -> SlideIndex:
    payload = _unpack(data, MAX_HEADER + LENGTH.size + 16 * limits.max_tiles)
    length = LENGTH.unpack_from(payload)[0]
    arrays = _Arrays(payload, LENGTH.size + length)
    if length > MAX_HEADER or arrays.position > len(payload):
        raise ValueError("a header of another length")
    fields = Fields(json.loads(payload[LENGTH.size : arrays.position]))
    if fields.value("size") != reader.size or fields.value("version") != reader.version:
        raise ValueError("it is of another version")
    levels, left = list[StoredLevel](), limits.max_tiles
    for it in fields.items("levels"):
        # All levels together share the number of tiles.
        level = _read_level(Fields(it), arrays, reader.size, replace(limits, max_tiles=left))
        left -= level.table.count
        levels.append(level)
    if not levels or arrays.position != len(payload):
        raise ValueError("levels or tiles are missing, or too many")
    info = read_info(fields, _make_levels(levels, limits))
    return SlideIndex(reader.size, reader.version, info, tuple(levels))


def _unpack(data: bytes, most: int) -> bytes:
    if not data.startswith(MAGIC):
        raise ValueError("it is of another kind")
    unpacker = zlib.decompressobj()
    payload = unpacker.decompress(data[len(MAGIC) :], most)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("it is too long, or cut off")
    return payload


def _make_levels(stored: Sequence[StoredLevel], limits: Limits) -> tuple[Level, ...]:
    is_stripped = stored[0].is_stripped
    sizes = [level.grid.image for level in stored]
    if (is_stripped and len(stored) > 1) or any(
        not is_reduced(sizes[0], size) for size in sizes[1:]
    ):
        raise ValueError("these are no levels of one slide")
    levels = make_levels([level.grid for level in stored], is_stripped=is_stripped)
    check_smallest(levels, is_stripped=is_stripped, max_pixels=limits.flat_max_pixels)
    return levels


def _read_level(fields: Fields, arrays: "_Arrays", file_size: int, limits: Limits) -> StoredLevel:
    names = ("width", "height", "tile_width", "tile_height")
    width, height, tile_width, tile_height = (fields.integer(it, 1, MAX_SIDE) for it in names)
    grid = TileGrid(Size(width, height), Size(tile_width, tile_height))
    layout = read_layout(Fields(fields.value("layout")))
    is_stripped = fields.flag("is_stripped")
    count = check_level(grid, layout, is_stripped=is_stripped, limits=limits)
    if is_stripped:
        check_area(grid.tile, limits)
    columns = [_read_column(Fields(it), count, file_size) for it in fields.items("columns")]
    chunks = dict(_read_chunk(it, count, arrays) for it in fields.items("chunks"))
    is_complete = len(chunks) == -(-count // CHUNK_TILES)
    if len(columns) != 2 and (columns or not is_complete):
        raise ValueError("nothing tells where the tiles lie")
    table = TileTable(count, (columns[0], columns[1]) if columns else None, chunks)
    return StoredLevel(grid, layout, is_stripped, table)


def _read_column(fields: Fields, count: int, file_size: int) -> Column:
    column = Column(fields.text("kind"), fields.integer("offset", 0, file_size))
    if column.kind not in COLUMN_KINDS or sum(column.range(0, count)) > file_size:
        raise ValueError("a list of tiles does not lie in the file")
    return column


def _read_chunk(value: object, count: int, arrays: "_Arrays") -> tuple[int, Chunk]:
    if not isinstance(value, list) or len(value) != 4:
        raise ValueError("a chunk of another kind")
    fields = Fields(dict(zip(("index", "base", "offsets", "counts"), value, strict=True)))
    index = fields.integer("index", 0, (count - 1) // CHUNK_TILES)
    tiles = min(CHUNK_TILES, count - index * CHUNK_TILES)
    base = fields.integer("base", 0, 2**64 - 1)
    offsets, counts = (arrays.take(fields.text(it), tiles) for it in ("offsets", "counts"))
    return index, Chunk(base, offsets, counts)


class _Arrays:
    """The arrays behind the header, taken one after another."""

    def __init__(self, payload: bytes, position: int) -> None:
        self._payload = payload
        self.position = position

    def take(self, kind: str, count: int) -> Integers:
        """Return the next `count` numbers; raises ValueError if there are fewer."""
        if kind not in CHUNK_KINDS:
            raise ValueError("numbers of another type")
        values = np.frombuffer(self._payload, np.dtype(kind), count, self.position)
        self.position += values.nbytes
        # A copy lets go of the payload, and lies where numbers of its size should.
        return values.astype(values.dtype.newbyteorder("="))
