"""Rewrites a TIFF file in the order of libtiff, and so of Aperio: data first, then its IFD.

tifffile writes an IFD before its data. The same slide then has its directories at the other end of
the file, which decides how many reads it takes to open.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Bytes of a value and its letter, by type. (TIFF 6.0, section 2)
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 11: 4, 12: 8}
LETTERS = {3: "H", 4: "I"}
LONG = 4
STRIPS, TILES = (273, 279), (324, 325)


@dataclass(frozen=True)
class Entry:
    """An entry of an IFD with the bytes of its values."""

    tag: int
    kind: int
    count: int
    values: bytes

    def numbers(self) -> tuple[int, ...]:
        """Return the values of an entry of type SHORT or LONG."""
        return struct.unpack(f"<{self.count}{LETTERS[self.kind]}", self.values)


def to_libtiff_layout(source: Path, target: Path) -> None:
    """Write `source`, a little-endian classic TIFF, to `target` in the order of libtiff."""
    with source.open("rb") as reader, target.open("wb") as writer:
        writer.write(b"II*\0\0\0\0\0")
        link = 4
        reader.seek(link)
        while offset := _long(reader):
            reader.seek(offset)
            entries = _read_entries(reader)
            following = reader.tell()
            link = write_ifd(writer, _copy_data(reader, writer, entries), link)
            reader.seek(following)


def write_ifd(writer: BinaryIO, entries: Sequence[Entry], link: int) -> int:
    """Write an IFD and its values at the end of a file and let the offset at `link` point there.

    Returns where the offset of the next IFD stands.
    """
    writer.write(b"\0" * (writer.tell() % 2))
    start = writer.tell()
    after = start + 2 + 12 * len(entries)
    body, values = struct.pack("<H", len(entries)), b""
    for entry in entries:
        place = struct.pack("<I", after + 4 + len(values))
        if len(entry.values) <= 4:
            place = entry.values.ljust(4, b"\0")
        else:
            values += entry.values + b"\0" * (len(entry.values) % 2)
        body += struct.pack("<HHI", entry.tag, entry.kind, entry.count) + place
    writer.write(body + b"\0\0\0\0" + values)
    end = writer.tell()
    writer.seek(link)
    writer.write(struct.pack("<I", start))
    writer.seek(end)
    return after


def _copy_data(reader: BinaryIO, writer: BinaryIO, entries: list[Entry]) -> list[Entry]:
    """Copy the tiles or strips of a page and return its entries with their new offsets."""
    by_tag = {entry.tag: entry for entry in entries}
    offsets, counts = (by_tag[tag] for tag in (TILES if TILES[0] in by_tag else STRIPS))
    places = []
    for offset, count in zip(offsets.numbers(), counts.numbers(), strict=True):
        reader.seek(offset)
        places.append(writer.tell())
        writer.write(reader.read(count))
    packed = struct.pack(f"<{len(places)}I", *places)
    moved = Entry(offsets.tag, LONG, len(places), packed)
    return [moved if entry.tag == offsets.tag else entry for entry in entries]


def _read_entries(reader: BinaryIO) -> list[Entry]:
    (count,) = struct.unpack("<H", reader.read(2))
    rows = [struct.unpack("<HHI4s", reader.read(12)) for _ in range(count)]
    following = reader.tell()
    entries = []
    for tag, kind, number, place in rows:
        length = SIZES[kind] * number
        values = place[:length]
        if length > 4:
            reader.seek(struct.unpack("<I", place)[0])
            values = reader.read(length)
        entries.append(Entry(tag, kind, number, values))
    reader.seek(following)
    return entries


def _long(reader: BinaryIO) -> int:
    return int(struct.unpack("<I", reader.read(4))[0])
