"""A reader for the time in which a slide is being opened: blocks in memory, and hard limits.

Parsing makes many small reads; a hostile file makes any number of large ones. Tiles are read
without this, by their exact ranges.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from wsi_streamer.errors import StorageUnreachable, UnsupportedFormat
from wsi_streamer.storage.base import RangeReader
from wsi_streamer.storage.bounds import check_range


@runtime_checkable
class HoldsHead(Protocol):
    """A reader that already has the first bytes of its object."""

    @property
    def head(self) -> bytes:
        """The first bytes, which `read` gives without a request."""


class CachedReader:
    """Reads another reader in aligned blocks of which it keeps the last `max_blocks` used.

    Missing blocks that are neighbours come in one request. Raises UnsupportedFormat, naming the
    limit, before more than `max_bytes` or `max_requests` are asked for, and for any read later
    than `deadline_s` seconds from now; StorageUnreachable if most of these went by waiting.
    """

    def __init__(
        self,
        reader: RangeReader,
        *,
        block_size: int,
        max_blocks: int,
        max_bytes: int,
        max_requests: int,
        deadline_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._head = reader.head if isinstance(reader, HoldsHead) else b""
        self._block_size = block_size
        self._max_blocks = max_blocks
        self._max_bytes = max_bytes
        self._max_requests = max_requests
        self._deadline_s = deadline_s
        self._clock = clock
        self._end = clock() + deadline_s
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._waited_s = 0.0
        self.bytes_read = 0
        self.requests = 0

    @property
    def size(self) -> int:
        """Length of the object in bytes."""
        return self._reader.size

    @property
    def version(self) -> str:
        """The version of the object."""
        return self._reader.version

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range, in the order given."""
        for offset, length in ranges:
            check_range(offset, length, self.size)
        self._check_limits(sum(length for _, length in ranges), 0)
        with self._lock:
            blocks = self._load(self._needed(ranges))
            return [self._cut(blocks, offset, length) for offset, length in ranges]

    def close(self) -> None:
        """Forget the blocks; the reader below stays open, for it outlives the opening."""
        with self._lock:
            self._blocks.clear()

    def _needed(self, ranges: Sequence[tuple[int, int]]) -> list[int]:
        """Return the blocks that hold what the head does not, in ascending order."""
        needed: set[int] = set()
        for offset, length in ranges:
            end = offset + length
            if length and end > len(self._head):
                needed.update(range(offset // self._block_size, -(-end // self._block_size)))
        return sorted(needed)

    def _load(self, needed: Sequence[int]) -> dict[int, bytes]:
        """Return blocks, the missing ones read; they count as used in the order given."""
        missing = [index for index in needed if index not in self._blocks]
        loaded = {index: self._blocks[index] for index in needed if index in self._blocks}
        for first, count in runs_of(missing):
            loaded |= self._fetch(first, count)
        for index in needed:
            self._blocks[index] = loaded[index]
            self._blocks.move_to_end(index)
        while len(self._blocks) > self._max_blocks:
            self._blocks.popitem(last=False)
        return loaded

    def _fetch(self, first: int, count: int) -> dict[int, bytes]:
        size = self._block_size
        start, end = first * size, min((first + count) * size, self.size)
        # What the head holds of a run does not travel again.
        cost = max(end - max(start, len(self._head)), 0)
        if cost:
            self._check_limits(self.bytes_read + cost, self.requests + 1)
            self.bytes_read += cost
            self.requests += 1
        started = self._clock()
        data = self._reader.read(start, end - start)
        self._waited_s += self._clock() - started
        return {first + i: data[i * size : (i + 1) * size] for i in range(count)}

    def _cut(self, blocks: dict[int, bytes], offset: int, length: int) -> bytes:
        end = offset + length
        if end <= len(self._head) or not length:
            return self._head[offset:end]
        first, last = offset // self._block_size, -(-end // self._block_size)
        skipped = offset - first * self._block_size
        data = b"".join([blocks[index] for index in range(first, last)])
        return data[skipped : skipped + length]

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


def runs_of(indexes: Sequence[int]) -> list[tuple[int, int]]:
    """Return the runs of neighbours in ascending indexes, as (first, count)."""
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and index == sum(runs[-1]):
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((index, 1))
    return runs


def size_text(size: int) -> str:
    """Return a number of bytes as people read it: "16 MiB"."""
    for unit, factor in (("MiB", 1024**2), ("KiB", 1024)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"
