"""NamedLocks: one at a time for each name, without keeping a lock for every name there ever was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class NamedLocks:
    """Locks that exist while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of a name; whatever ends the block, those who wait go on."""
        with self._guard:
            lock, users = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._locks[name]
                if users > 1:
                    self._locks[name] = lock, users - 1
                else:
                    del self._locks[name]
