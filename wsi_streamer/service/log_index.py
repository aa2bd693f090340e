"""LogIndex: the file in which SQLite says how long its log is, read without harm to its locks."""

import os
from pathlib import Path


class LogIndex:
    """Reads the beginning of a `-shm` file, one thread at a time.

    The file stays open as long as the cache is used: to close it would drop the locks that
    SQLite's own connections of this process hold on it (sqlite.org, How To Corrupt An SQLite
    Database File, 2.2). The next process would take it for nobody's and cut it short, which kills
    those who have it mapped (SIGBUS).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, none if there is no such file."""
        if self._fd is not None and not os.fstat(self._fd).st_nlink:
            # Deleted, so nobody can come and look for locks on it.
            self._close()
        if self._fd is None:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                return b""
        return os.pread(self._fd, size, 0)

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
