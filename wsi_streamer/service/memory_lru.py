"""MemoryLru: a bounded dictionary in the memory of one worker, least recently used out first."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# An entry of more than this part of the whole would push out too many others.
LARGEST_PART = 8


class MemoryLru(Generic[K, V]):
    """Holds values of at most `max_size` together, each of the size given with it; 0: none.

    Safe to share between threads; the lock is held for a look-up and never longer.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._lock = threading.Lock()
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return the value of a key, None if it is not there; it counts as used."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, size: int) -> None:
        """Keep a value, unless it is too large."""
        if size > self._max_size // LARGEST_PART:
            return
        with self._lock:
            old = self._entries.pop(key, None)
            self._size += size - (old[1] if old else 0)
            self._entries[key] = value, size
            while self._size > self._max_size:
                _, (_, freed) = self._entries.popitem(last=False)
                self._size -= freed

    def pop(self, key: K) -> V | None:
        """Return the value of a key and forget it; None if it is not there."""
        with self._lock:
            entry = self._entries.pop(key, None)
            if entry is None:
                return None
            self._size -= entry[1]
            return entry[0]
