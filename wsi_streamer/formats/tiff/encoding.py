"""How a TIFF file writes numbers and tags, and where the values of a tag lie.

No value is read here but those that lie in the tag itself, so that a caller can judge by type
and count first. Layouts are those of TIFF 6.0 (section 2) and BigTIFF.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass

# Bytes of one value, by its type.
VALUE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
VALUE_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file writes numbers: its byte order as `struct` and numpy name it, and its width."""

    order: str
    is_bigtiff: bool

    @property
    def offset_size(self) -> int:
        """Bytes of an offset, and of a value that lies in the tag itself."""
        return 8 if self.is_bigtiff else 4

    @property
    def count_size(self) -> int:
        """Bytes of the number of tags, with which an IFD begins."""
        return 8 if self.is_bigtiff else 2

    @property
    def tag_size(self) -> int:
        """Bytes of a tag in its IFD."""
        return 20 if self.is_bigtiff else 12

    def unpack(self, code: str, data: bytes) -> int:
        """Return the number that `data` begins with."""
        return int(struct.unpack_from(self.order + code, data)[0])

    def offset(self, data: bytes) -> int:
        """Return the offset that `data` begins with."""
        return self.unpack("Q" if self.is_bigtiff else "I", data)

    def count(self, data: bytes) -> int:
        """Return the number of tags of the IFD that `data` begins with."""
        return self.unpack("Q" if self.is_bigtiff else "H", data)

    def parse_tags(self, data: bytes, at: int, codes: Collection[int]) -> dict[int, "Entry"]:
        """Return the tags in `codes` of an IFD whose tags, and nothing else, are `data`.

        `at` is where `data` lies in the file.
        """
        form = struct.Struct(self.order + ("HHQ8s" if self.is_bigtiff else "HHI4s"))
        entries: dict[int, Entry] = {}
        for code, kind, count, place in form.iter_unpack(data):
            tag, at = at, at + form.size
            # Of tags that come twice the first counts, as in libtiff.
            if code not in codes or kind not in VALUE_SIZES or not count or code in entries:
                continue
            length = VALUE_SIZES[kind] * count
            if length <= self.offset_size:
                entries[code] = Entry(kind, count, tag, at - self.offset_size, place[:length])
            else:
                entries[code] = Entry(kind, count, tag, self.offset(place))
        return entries


@dataclass(frozen=True, slots=True)
class Entry:
    """One tag of an IFD, which lies at `tag`, and its values at `offset`.

    `inside` holds the values themselves if they lie in the tag.
    """

    kind: int
    count: int
    tag: int
    offset: int
    inside: bytes = b""

    @property
    def length(self) -> int:
        """Bytes of all values."""
        return VALUE_SIZES[self.kind] * self.count
