"""NamedLocks: one at a time for each name, without keeping a lock for every name there ever was."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from wsi_streamer.errors import StorageUnreachable


@dataclass
class _Entry:
    """A lock, how many hold or await it, and why the storage could not be reached under it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    failure: StorageUnreachable | None = None


class NamedLocks:
    """Locks that exist while somebody holds or awaits them.

    Nobody waits longer than `patience_s`. Where the holder could not reach the storage, those
    who waited for it are told so: they would wait as long again, one after the other.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._guard = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold the lock of a name; whatever ends the block, those who wait go on.

        Raises StorageUnreachable after waiting in vain.
        """
        with self._guard:
            entry = self._entries.setdefault(name, _Entry())
            entry.users += 1
        try:
            if not entry.lock.acquire(timeout=self._patience_s):
                raise StorageUnreachable("the storage keeps others waiting for the same")
            try:
                if entry.failure:
                    raise StorageUnreachable(str(entry.failure))
                yield
            except StorageUnreachable as exc:
                entry.failure = exc.with_traceback(None)
                raise
            finally:
                entry.lock.release()
        finally:
            with self._guard:
                entry.users -= 1
                if not entry.users:
                    del self._entries[name]
