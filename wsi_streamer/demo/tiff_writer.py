"""Writes TIFF files front to back in the layout of libtiff, and so of Aperio.

Each page is its data first, then its IFD, then the values that do not fit into the IFD. It takes
tiles and strips that are already encoded and knows nothing of pictures or codecs.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from wsi_streamer.errors import EncodeError
from wsi_streamer.model.geometry import Size, TileGrid

# (TIFF 6.0, section 2, types; BigTIFF adds LONG8)
ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 2, 3, 4, 5, 7, 16
_LETTERS = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}


class Compression(IntEnum):
    """How the strips or tiles of a page are compressed (TIFF tag 259)."""

    NONE = 1
    LZW = 5
    JPEG = 7


@dataclass(frozen=True)
class Page:
    """What the tags of a page of three 8-bit samples a pixel say.

    With `jpeg_tables` the tiles are abbreviated streams that share these tables, and the samples
    are YCbCr with the given subsampling, else they are RGB. `predictor` 2 means differences.
    """

    size: Size
    description: str
    compression: Compression
    subfile_type: int = 0
    jpeg_tables: bytes = b""
    subsampling: tuple[int, int] = (2, 1)
    predictor: int = 1


@dataclass(frozen=True)
class _Tag:
    code: int
    kind: int
    values: bytes | tuple[int, ...]


class TiffWriter:
    """Writes pages to a file that is open for writing and can seek.

    `byte_order` is "<" or ">"; a classic file may hold 4 GB, a BigTIFF any size.
    """

    def __init__(self, file: BinaryIO, *, byte_order: str = "<", big: bool = False) -> None:
        self._file = file
        self._order = byte_order
        self._offset = "Q" if big else "I"
        # Number of entries, count of values, and the alignment of an IFD.
        self._entries, self._count, self._word = ("Q", "Q", 8) if big else ("H", "I", 2)
        mark = b"II" if byte_order == "<" else b"MM"
        head = self._pack("HHH", 43, 8, 0) if big else self._pack("H", 42)
        file.write(mark + head)
        self._link = file.tell()
        # Aperio begins its data at 16 in classic files too.
        file.write(self._pack(self._offset, 0).ljust(16 - self._link, b"\0"))

    def add_tiled_page(self, page: Page, tile: Size, tiles: Iterable[bytes]) -> None:
        """Write a page from its encoded tiles, row by row.

        Raises EncodeError if their number is wrong or the file grows too large.
        """
        grid = TileGrid(page.size, tile)
        shape = [_Tag(322, SHORT, (tile.width,)), _Tag(323, SHORT, (tile.height,))]
        self._add(page, shape, (324, 325), self._write_all(tiles, grid.columns * grid.rows))

    def add_strip_page(self, page: Page, rows_per_strip: int, strips: Iterable[bytes]) -> None:
        """Write a page from its encoded strips, from top to bottom.

        Raises EncodeError if their number is wrong or the file grows too large.
        """
        shape = [_Tag(278, SHORT, (rows_per_strip,))]
        expected = -(-page.size.height // rows_per_strip)
        self._add(page, shape, (273, 279), self._write_all(strips, expected))

    def _write_all(self, parts: Iterable[bytes], expected: int) -> list[tuple[int, int]]:
        """Write the parts and return the offset and length of each."""
        places = []
        for part in parts:
            places.append((self._file.tell(), len(part)))
            self._file.write(part)
        if len(places) != expected:
            raise EncodeError(f"a TIFF page needs {expected} tiles or strips, got {len(places)}")
        return places

    def _add(
        self, page: Page, shape: list[_Tag], codes: tuple[int, int], places: list[tuple[int, int]]
    ) -> None:
        kind = LONG8 if self._offset == "Q" else LONG
        tags = _page_tags(page) + shape
        tags.append(_Tag(codes[0], kind, tuple(offset for offset, _ in places)))
        tags.append(_Tag(codes[1], kind, tuple(length for _, length in places)))
        self._write_ifd(sorted(tags, key=lambda tag: tag.code))

    def _write_ifd(self, tags: list[_Tag]) -> None:
        self._file.write(b"\0" * (-self._file.tell() % self._word))
        start = self._file.tell()
        room = struct.calcsize("=" + self._offset)
        entry = struct.calcsize("=HH" + self._count) + room
        after = start + struct.calcsize("=" + self._entries) + len(tags) * entry + room
        entries, values = self._pack(self._entries, len(tags)), b""
        for tag in tags:
            count, value = self._value(tag)
            if len(value) > room:
                place = self._pack(self._offset, after + len(values))
                values += value + b"\0" * (len(value) % 2)
            else:
                place = value.ljust(room, b"\0")
            entries += self._pack("HH" + self._count, tag.code, tag.kind, count) + place
        self._file.write(entries + self._pack(self._offset, 0) + values)
        end = self._file.tell()
        self._file.seek(self._link)
        self._file.write(self._pack(self._offset, start))
        self._file.seek(end)
        self._link = after - room

    def _value(self, tag: _Tag) -> tuple[int, bytes]:
        """Return the number of values and their bytes."""
        if isinstance(tag.values, bytes):
            return len(tag.values), tag.values
        packed = self._pack(f"{len(tag.values)}{_LETTERS[tag.kind]}", *tag.values)
        return len(tag.values) // (2 if tag.kind == RATIONAL else 1), packed

    def _pack(self, layout: str, *values: int) -> bytes:
        try:
            return struct.pack(self._order + layout, *values)
        except struct.error as exc:
            raise EncodeError("a classic TIFF file cannot be larger than 4 GB") from exc


def _page_tags(page: Page) -> list[_Tag]:
    """Return the tags that do not depend on tiles or strips."""
    photometric = 6 if page.jpeg_tables else 2
    tags = [
        _Tag(254, LONG, (page.subfile_type,)),
        _Tag(256, LONG, (page.size.width,)),
        _Tag(257, LONG, (page.size.height,)),
        _Tag(258, SHORT, (8, 8, 8)),
        _Tag(259, SHORT, (page.compression,)),
        _Tag(262, SHORT, (photometric,)),
        _Tag(270, ASCII, page.description.encode("ascii") + b"\0"),
        _Tag(277, SHORT, (3,)),
        _Tag(284, SHORT, (1,)),
    ]
    if page.predictor != 1:
        tags.append(_Tag(317, SHORT, (page.predictor,)))
    if page.jpeg_tables:
        tags.append(_Tag(347, UNDEFINED, page.jpeg_tables))
        tags.append(_Tag(530, SHORT, page.subsampling))
        # libtiff insists: without it the range of YCbCr would be that of video.
        tags.append(_Tag(532, RATIONAL, (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)))
    return tags
