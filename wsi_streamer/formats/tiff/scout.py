"""Scout: has the IFDs of a file at hand in as few round trips as its layout allows.

Where the next IFD lies is written only in the one before, and level by level they may be a
gigabyte apart. So whenever a round trip has to be made, whatever else is likely to be needed
comes along: values of tags that are known already, and the IFD that lies before the lowest one
at hand. libtiff and Aperio write the tiles of an image, then its IFD; so an IFD that is found in
the file's last bytes, by its looks, tells by its first tile where the IFD before it ends.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Literal

from wsi_streamer.formats.tiff.encoding import Encoding, Entry
from wsi_streamer.storage.base import Extent
from wsi_streamer.storage.block_cache import CachedReader

# What an IFD takes besides its lists of tiles: tags, text, tables of JPEG.
IFD_BYTES = 4096
BACK_BYTES = 64 * 1024
MAX_BACK_BYTES = 768 * 1024
# tifffile writes an IFD, then the tiles: nothing in the file's last bytes tells where the IFD
# before them lies. Once for a file, it is looked for in so much.
BLIND_BYTES = 1024 * 1024
# Values up to this size come along; longer lists of tiles are read when they are needed.
MAX_VALUE_BYTES = 256 * 1024
# Places of tiles and strips.
PLACES = (324, 273)
# No IFD that was ever seen in a slide has more tags.
LIKELY_TAGS = 100
# A file may be full of what looks like IFDs; the first of them is the one that counts.
MAX_HITS = 64
# A level has up to so many tiles for one of the next level.
TILES_FOR_ONE = 16


class Scout:
    """Brings what lies ahead of a walk along the chain of IFDs."""

    def __init__(self, reader: CachedReader, encoding: Encoding) -> None:
        self._reader = reader
        self._encoding = encoding
        self._values: list[tuple[int, int]] = []
        self._is_first = True
        self._blind = BLIND_BYTES if reader.is_far else 0

    def expect(self, entries: dict[int, Entry]) -> None:
        """Note values that will be needed, to be read when a round trip has to be made."""
        self._values += [
            (entry.offset, entry.length)
            for entry in entries.values()
            if not entry.inside and entry.length <= MAX_VALUE_BYTES
        ]

    def bring(self, offset: int) -> None:
        """Have the IFD at `offset` at hand; raises StorageError, and the reader's limits."""
        reader, is_first = self._reader, self._is_first
        self._is_first = False
        if self._is_held(offset):
            return
        length = reader.window
        if is_first and reader.is_far:
            # Before the thumbnail of an SVS lie the lists of all tiles of level 0: 8 or 16 bytes
            # for a tile of some 15 kB.
            length += reader.size * self._encoding.offset_size // 8192
        # However many IFDs there are, each must find something left.
        length = min(length, reader.bytes_left // (4 if is_first else 16))
        # Some writers put the values of an IFD before it.
        needed = [(offset - IFD_BYTES, IFD_BYTES + max(length, IFD_BYTES))]
        reader.load(needed, [*self._find_before(offset + length), *self._values])
        self._values.clear()

    def _is_held(self, offset: int) -> bool:
        encoding, reader = self._encoding, self._reader
        held = reader.held_from(offset)
        if held < encoding.count_size:
            return False
        count = encoding.count(reader.read(offset, encoding.count_size))
        length = encoding.count_size + count * encoding.tag_size + encoding.offset_size
        return held >= min(length, reader.size - offset)

    def _find_before(self, position: int) -> list[tuple[int, int]]:
        """Return where the IFD before the first one at hand behind `position` may lie, if any."""
        extent = self._reader.find_extent(position)
        entry = next(self._find_places(extent), None) if extent else None
        if extent is None or entry is None:
            return []
        size = self._encoding.offset_size
        start = self._first_value(entry)
        if start >= extent.offset:
            back, self._blind = min(self._blind, extent.offset - position), 0
            return [(extent.offset - back, back)]
        if start <= position:
            return []
        back = min(BACK_BYTES + 2 * size * entry.count * TILES_FOR_ONE, MAX_BACK_BYTES)
        return [(max(start - back, position), start - max(start - back, position))]

    def _find_places(self, extent: Extent) -> Iterator[Entry]:
        """Give the places of tiles of what looks like IFDs, as far as they are at hand."""
        encoding = self._encoding
        for start in _find_ifds(encoding, extent.data):
            count = encoding.count(extent.data[start : start + encoding.count_size])
            first = start + encoding.count_size
            tags = extent.data[first : first + count * encoding.tag_size]
            entries = encoding.parse_tags(tags, extent.offset + first, PLACES)
            for code in PLACES:
                if code in entries and self._reader.holds(entries[code].offset, 8):
                    yield entries[code]
                    break

    def _first_value(self, entry: Entry) -> int:
        wide = entry.kind in (16, 18)
        data = self._reader.read(entry.offset, 8)
        return self._encoding.unpack("Q" if wide else "I", data)


def _find_ifds(encoding: Encoding, data: bytes) -> Iterator[int]:
    """Give where IFDs seem to begin in some bytes of a file, by their ImageWidth."""
    for hit in islice(re.finditer(_width_pattern(encoding), data), MAX_HITS):
        # It is the first tag, or the second behind NewSubfileType.
        for tags_before in (1, 0):
            start = hit.start() - tags_before * encoding.tag_size - encoding.count_size
            if start >= 0 and _is_ifd(encoding, data, start):
                yield start
                break


def _width_pattern(encoding: Encoding) -> bytes:
    """Return what an ImageWidth begins with: tag 256, of type SHORT or LONG, one value."""
    byte_order: Literal["little", "big"] = "little" if encoding.order == "<" else "big"
    code, count = (256).to_bytes(2, byte_order), (1).to_bytes(encoding.offset_size, byte_order)
    kinds = b"|".join(re.escape(it.to_bytes(2, byte_order)) for it in (3, 4))
    return re.escape(code) + b"(?:" + kinds + b")" + re.escape(count)


def _is_ifd(encoding: Encoding, data: bytes, start: int) -> bool:
    """Say whether tags in ascending order lie at `start`, as many as are said to."""
    count = encoding.count(data[start : start + encoding.count_size])
    first = start + encoding.count_size
    if not 1 < count <= LIKELY_TAGS or first + count * encoding.tag_size > len(data):
        return False
    codes = [
        encoding.unpack("H", data[at : at + 2])
        for at in range(first, first + count * encoding.tag_size, encoding.tag_size)
    ]
    return codes == sorted(set(codes))
