"""A file object over a range reader, for tifffile to parse with; used only while opening."""

import io
from bisect import bisect_left
from collections.abc import Iterable

from wsi_streamer.storage.base import RangeReader

# A number that no tag of ours has (TIFF 6.0, section 2: codes from 32768 on are private).
HIDDEN = b"\xff\xff"


class RangeFile(io.RawIOBase):
    """Read-only and seekable; every read is a range of the reader, cut at the object's end.

    The TIFF tags at the offsets `hidden` show another code than theirs, so that what they claim
    is nothing to the parser: tifffile reads tables of tiles and other lists as soon as it sees
    them, however long they are.
    """

    def __init__(self, reader: RangeReader, hidden: Iterable[int]) -> None:
        super().__init__()
        self._reader = reader
        self._position = 0
        self._hidden = sorted(hidden)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset` from the start, the position or the end; return the new position."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._reader.size}
        self._position = max(origin[whence] + offset, 0)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` from the position on; return how many bytes there were."""
        length = min(len(buffer), max(self._reader.size - self._position, 0))
        if length:
            buffer[:length] = self._reader.read(self._position, length)
            self._hide(buffer, length)
            self._position += length
        return length

    def _hide(self, buffer: memoryview, length: int) -> None:
        start, end = self._position, self._position + length
        first = bisect_left(self._hidden, start - len(HIDDEN) + 1)
        last = bisect_left(self._hidden, end)
        for tag in self._hidden[first:last]:
            for place, value in enumerate(HIDDEN, tag - start):
                if 0 <= place < length:
                    buffer[place] = value
