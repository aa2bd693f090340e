"""ReadingLocks: which worker is reading what, so that others wait for it instead of reading too.

A lock is a byte of one file, locked by fcntl: it costs two system calls, needs no server, and
falls with the process that holds it, however that ends.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

# Two names may share a byte: then one of them is read without the other waiting, or waits once.
BYTES = 2**31


class ReadingLocks:
    """Locks by name between the workers of a machine; without `path`, and where the file cannot
    be made, everybody gets every lock.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._fd: int | None = None
        self._process = 0

    def find(self, name: str) -> Callable[[], None] | None:
        """Return what releases the lock of a name, None if another process holds it.

        Threads of this process do not see each other's locks.
        """
        fd = self._file()
        if fd is None:
            return _nothing
        place = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) % BYTES
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except BlockingIOError:
            return None
        except OSError:
            return _nothing
        return lambda: fcntl.lockf(fd, fcntl.LOCK_UN, 1, place)

    def _file(self) -> int | None:
        # Opened once for each process and never closed: closing any handle of the file would
        # release all locks of the process (fcntl(2), POSIX record locks).
        if self._process == os.getpid():
            return self._fd
        with self._lock:
            if self._process != os.getpid():
                self._fd = _open(self._path) if self._path else None
                self._process = os.getpid()
        return self._fd


def _open(path: Path) -> int | None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except OSError:
        return None


def _nothing() -> None:
    """Release nothing."""
