"""The chain of IFDs as it lies in a TIFF file: which tags there are, and where their values lie.

No value is read here but those that lie in the tag itself, so that a caller can judge by type
and count first. Layouts are those of TIFF 6.0 (section 2) and BigTIFF.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.storage.base import RangeReader

# Bytes of one value, by its type.
VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
VALUE_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
# No writer comes near it; BigTIFF has room for 2^64.
MAX_TAGS = 4096


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file writes numbers: its byte order as `struct` and numpy name it, and its width."""

    order: str
    is_bigtiff: bool

    @property
    def offset_size(self) -> int:
        """Bytes of an offset, and of a value that lies in the tag itself."""
        return 8 if self.is_bigtiff else 4

    def unpack(self, code: str, data: bytes) -> int:
        """Return the number that `data` begins with."""
        return int(struct.unpack_from(self.order + code, data)[0])

    def offset(self, data: bytes) -> int:
        """Return the offset that `data` begins with."""
        return self.unpack("Q" if self.is_bigtiff else "I", data)


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of an IFD; `place` holds its values where they fit, or else their offset."""

    kind: int
    count: int
    place: bytes

    @property
    def length(self) -> int:
        """Bytes of all values."""
        return VALUE_SIZES[self.kind] * self.count

    def read(self, reader: RangeReader, encoding: Encoding, count: int) -> bytes | None:
        """Return the bytes of the first `count` values, None if they do not lie in the file."""
        length = VALUE_SIZES[self.kind] * count
        if self.length <= len(self.place):
            return self.place[:length]
        offset = encoding.offset(self.place)
        return reader.read(offset, length) if offset + length <= reader.size else None


def read_chain(
    reader: RangeReader, max_ifds: int, codes: Collection[int]
) -> tuple[Encoding, list[dict[int, Entry]]]:
    """Return how a file writes numbers, and of each of its IFDs the tags in `codes`.

    Raises UnsupportedFormat if this is no TIFF file, or has more than `max_ifds` IFDs, and
    StorageError.
    """
    encoding, offset = _read_header(reader)
    ifds: list[dict[int, Entry]] = []
    seen: set[int] = set()
    # A chain that comes back to an earlier IFD, or leaves the file, ends; what came before stands.
    while 0 < offset < reader.size and offset not in seen:
        if len(ifds) == max_ifds:
            raise UnsupportedFormat(f"The TIFF file has more than {max_ifds} images")
        seen.add(offset)
        found = _read_ifd(reader, encoding, offset, codes)
        if found is None:
            break
        entries, offset = found
        ifds.append(entries)
    if not ifds:
        raise UnsupportedFormat("Not a readable TIFF file: no images found")
    return encoding, ifds


def _read_header(reader: RangeReader) -> tuple[Encoding, int]:
    head = reader.read(0, min(reader.size, 16))
    if len(head) < 8:
        raise UnsupportedFormat("File is too small to be a valid TIFF")
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise UnsupportedFormat("Not a valid TIFF file (invalid magic bytes)")
    encoding = Encoding("<" if head[:1] == b"I" else ">", b"+" in head[2:4])
    if not encoding.is_bigtiff:
        return encoding, encoding.offset(head[4:])
    if len(head) < 16 or encoding.unpack("I", head[4:]) not in (8, 8 << 16):
        raise UnsupportedFormat("Not a readable TIFF file: a BigTIFF header without 64-bit offsets")
    return encoding, encoding.offset(head[8:])


def _read_ifd(
    reader: RangeReader, encoding: Encoding, offset: int, codes: Collection[int]
) -> tuple[dict[int, Entry], int] | None:
    """Return the tags of an IFD and where the next one lies, None if it is cut off."""
    count_code, count_size = ("Q", 8) if encoding.is_bigtiff else ("H", 2)
    form = struct.Struct(encoding.order + ("HHQ8s" if encoding.is_bigtiff else "HHI4s"))
    start = offset + count_size
    if start > reader.size:
        return None
    count = encoding.unpack(count_code, reader.read(offset, count_size))
    if count > MAX_TAGS:
        raise UnsupportedFormat(f"Not a readable TIFF file: an image with {count} tags")
    end = start + count * form.size
    if end > reader.size:
        return None
    entries: dict[int, Entry] = {}
    for code, kind, values, place in form.iter_unpack(reader.read(start, end - start)):
        # Of tags that come twice the first counts, as in libtiff.
        if code in codes and kind in VALUE_SIZES and values and code not in entries:
            entries[code] = Entry(kind, values, place)
    if end + encoding.offset_size > reader.size:
        return entries, 0
    return entries, encoding.offset(reader.read(end, encoding.offset_size))
