"""A reader for the time in which a slide is being opened: windows in memory, and hard limits.

Parsing makes many small reads; a hostile file makes any number of large ones. Tiles are read
without this, by their exact ranges.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence

from wsi_streamer.errors import StorageUnreachable, UnsupportedFormat
from wsi_streamer.storage.base import Extent, HoldsBytes, RangeReader
from wsi_streamer.storage.bounds import check_range
from wsi_streamer.storage.spans import Spans, merged

Range = tuple[int, int]

# What brings no bytes along with opening is near: a second read costs less than copying on.
NEAR_WINDOW = 256 * 1024
# Reading on over so much is cheaper than another request.
LOAD_GAP = 64 * 1024


class CachedReader:
    """Reads another reader in windows of `window` bytes, which begin where something is missing.

    Bytes that the reader below knows are kept, and of those read the last `max_windows` windows
    used. Windows that are missing at the same time come in one round trip. Raises
    UnsupportedFormat, naming the limit, before more than `max_bytes` or `max_requests` are asked
    for, and for any read later than `deadline_s` seconds from now; StorageUnreachable if most of
    these went by waiting.
    """

    def __init__(
        self,
        reader: RangeReader,
        *,
        window: int,
        max_windows: int,
        max_bytes: int,
        max_requests: int,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.is_far = isinstance(reader, HoldsBytes)
        self.window = window if self.is_far else min(window, NEAR_WINDOW)
        self._reader = reader
        self._max_windows = max_windows
        self._max_bytes = max_bytes
        self._max_requests = max_requests
        self._deadline_s = deadline_s
        self._clock = clock
        self._end = clock() + deadline_s
        self._lock = threading.Lock()
        # By ascending offset, and none overlaps another.
        self._extents = list(reader.known) if isinstance(reader, HoldsBytes) else []
        self._last_used: dict[int, int] = {}
        self._reads = 0
        self._used = Spans()
        self._waited_s = 0.0
        self.bytes_read = 0
        self.requests = 0
        self.rounds = 0

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self._reader.size

    @property
    def version(self) -> str:
        """The version of the object."""
        return self._reader.version

    @property
    def bytes_left(self) -> int:
        """How many bytes may still be asked for."""
        return self._max_bytes - self.bytes_read

    @property
    def used(self) -> list[Range]:
        """What was read, as (start, end) in ascending order."""
        return self._used.merged()

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """Return the bytes of each (offset, length) range, in the order given."""
        for offset, length in ranges:
            check_range(offset, length, self.size)
        self._check_limits(sum(length for _, length in ranges), 0)
        with self._lock:
            wanted = [(offset, offset + length) for offset, length in ranges]
            self._fetch(self._widened(self._missing(wanted)))
            data = [self._cut(start, end) for start, end in wanted]
            self._drop_unused()
            return data

    def load(self, needed: Sequence[Range], extra: Sequence[Range] = ()) -> None:
        """Have (offset, length) ranges at hand for later, those missing read in one round trip.

        Of `extra`, which may come in handy, that is left out which would take more than half of
        what may be read. What lies outside the object is left out of both.
        """
        with self._lock:
            wanted = self._missing(self._clipped(needed))
            for start, end in self._missing(self._clipped(extra)):
                more = self._missing(merged([*wanted, (start, end)], LOAD_GAP))
                cost = self.bytes_read + sum(end - start for start, end in more)
                if 2 * cost <= self._max_bytes and self.requests + len(more) < self._max_requests:
                    wanted = more
            self._fetch(wanted)

    def holds(self, offset: int, length: int) -> bool:
        """Say whether `read` would give a range without a request."""
        with self._lock:
            return offset >= 0 and not self._missing([(offset, offset + length)])

    def held_from(self, offset: int) -> int:
        """Return how many bytes from `offset` on `read` would give without a request."""
        with self._lock:
            end = offset
            for extent in self._extents[max(self._find(offset), 0) :]:
                if extent.offset > end:
                    break
                end = max(end, extent.end)
            return end - offset

    def find_extent(self, offset: int) -> Extent | None:
        """Return the first bytes at hand that begin behind `offset`."""
        with self._lock:
            index = self._find(offset) + 1
            return self._extents[index] if index < len(self._extents) else None

    def close(self) -> None:
        """Forget all bytes; the reader below stays open, for it outlives the opening."""
        with self._lock:
            self._extents.clear()
            self._last_used.clear()
        if isinstance(self._reader, HoldsBytes):
            self._reader.forget_known()

    def _find(self, offset: int) -> int:
        """Return the index of the last extent that begins at or before `offset`, -1 for none."""
        return bisect_right(self._extents, offset, key=lambda extent: extent.offset) - 1

    def _clipped(self, ranges: Sequence[Range]) -> list[Range]:
        spans = [(max(offset, 0), min(offset + length, self.size)) for offset, length in ranges]
        return merged([(start, end) for start, end in spans if start < end], LOAD_GAP)

    def _missing(self, spans: Sequence[Range]) -> list[Range]:
        """Return what no extent holds of (start, end) spans, in ascending order."""
        gaps: list[Range] = []
        for start, end in spans:
            at = start
            for extent in self._extents[max(self._find(start), 0) :]:
                if extent.offset >= end or at >= end:
                    break
                if extent.offset > at:
                    gaps.append((at, extent.offset))
                at = max(at, extent.end)
            if at < end:
                gaps.append((at, end))
        return merged(gaps)

    def _widened(self, gaps: list[Range]) -> list[Range]:
        """Return missing spans as windows, as long as the limit of bytes allows that."""
        wide = [(start, min(max(end, start + self.window), self.size)) for start, end in gaps]
        windows = self._missing(merged(wide))
        cost = sum(end - start for start, end in windows)
        return windows if self.bytes_read + cost <= self._max_bytes else gaps

    def _fetch(self, spans: Sequence[Range]) -> None:
        if not spans:
            return
        cost = sum(end - start for start, end in spans)
        self._check_limits(self.bytes_read + cost, self.requests + len(spans))
        self.bytes_read += cost
        self.requests += len(spans)
        self.rounds += 1
        started = self._clock()
        parts = self._reader.read_many([(start, end - start) for start, end in spans])
        self._waited_s += self._clock() - started
        for (start, _), data in zip(spans, parts, strict=True):
            self._extents.insert(self._find(start) + 1, Extent(start, data))
            self._last_used[start] = self._reads

    def _cut(self, start: int, end: int) -> bytes:
        """Return the bytes of a span that the extents hold."""
        self._reads += 1
        if start == end:
            return b""
        self._used.add(start, end)
        index = self._find(start)
        parts: list[bytes] = []
        while start < end:
            extent = self._extents[index]
            parts.append(extent.data[start - extent.offset : end - extent.offset])
            if extent.offset in self._last_used:
                self._last_used[extent.offset] = self._reads
            start, index = extent.end, index + 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _drop_unused(self) -> None:
        """Drop the windows whose use lies longest ago; what the reader knows stays."""
        while len(self._last_used) > self._max_windows:
            oldest = min(self._last_used, key=self._last_used.__getitem__)
            del self._last_used[oldest]
            del self._extents[self._find(oldest)]

    def _check_limits(self, bytes_read: int, requests: int) -> None:
        if bytes_read > self._max_bytes:
            limit = f"more than {size_text(self._max_bytes)} (WSI_OPEN_MAX_BYTES)"
        elif requests > self._max_requests:
            limit = f"more than {self._max_requests} storage requests (WSI_OPEN_MAX_REQUESTS)"
        elif self._clock() > self._end:
            limit = f"more than {self._deadline_s:g} s (WSI_OPEN_TIMEOUT)"
            if self._waited_s > self._deadline_s / 2:
                # Not the file's fault: it may go better next time.
                raise StorageUnreachable(f"the storage is slow: opening needs {limit}")
        else:
            return
        raise UnsupportedFormat(f"opening it needs {limit}")


def size_text(size: int) -> str:
    """Return a number of bytes as people read it: "16 MiB"."""
    for unit, factor in (("MiB", 1024**2), ("KiB", 1024)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"
