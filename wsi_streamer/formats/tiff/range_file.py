"""A file object over a range reader, for tifffile to parse with; used only while opening."""

import io

from wsi_streamer.storage.base import RangeReader


class RangeFile(io.RawIOBase):
    """Read-only and seekable; every read is a range of the reader, cut at the object's end."""

    def __init__(self, reader: RangeReader) -> None:
        super().__init__()
        self._reader = reader
        self._position = 0

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
            self._position += length
        return length
