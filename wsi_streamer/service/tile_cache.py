# mypy: allow-subclassing-any
# diskcache comes without types; the reasons for a subclass are in TileCache.
"""TileCache: the database of the tile store, as diskcache keeps it, and its eviction."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import diskcache

from wsi_streamer.service.safe_disk import SafeDisk

DATABASE = "cache.db"

# How long a write waits for the writers of other workers. Each holds the lock for some 0.1 ms,
# and a tile that is not stored costs less than a request that waits (trust.md, check 20).
WRITE_WAIT_S = 0.05

PAGE = 4096  # SQLite's default; only for the size of the write-ahead log
EVICTED_AT_ONCE = 8
# An entry counts as used again at most this often.
USED_AGAIN_S = 1.0

LOAD = (
    "SELECT mode, filename, value,"
    " access_time < MIN(?, (? + (SELECT MIN(access_time) FROM Cache)) / 2)"
    " FROM Cache WHERE key = ? AND raw = 1"
)
MARK_USED = "UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1"
EVICT = "DELETE FROM Cache WHERE rowid IN (SELECT rowid FROM Cache ORDER BY access_time LIMIT ?)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored value, and whether it is due for `mark_used`."""

    value: bytes
    is_stale: bool


class TileConnection(sqlite3.Connection):
    """A connection that closes with the thread it belonged to (a warning since Python 3.13)."""

    def __del__(self) -> None:
        self.close()


def file_identity(path: Path) -> tuple[int, int]:
    """Return what stays the same as long as a path leads to the same file; raises OSError."""
    found = path.stat()
    return found.st_dev, found.st_ino


def connect(database: Path, timeout_s: float) -> sqlite3.Connection:
    """Return a connection to a database that exists; raises sqlite3.Error."""
    # mode=rw: where the file is gone, SQLite would make one that others can read.
    return sqlite3.connect(
        f"{database.as_uri()}?mode=rw",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
        factory=TileConnection,
    )


class TileCache(diskcache.Cache):
    """A diskcache of at most `max_bytes` on the disk, its log included, least recently used first.

    Made on top of diskcache:

    * Least recently used without a write for each read. diskcache's own policy notes every read
      in a transaction; with four workers that read, this makes a read wait for the others. Here
      an entry is noted again when it has fallen into the older half of the store, so that one
      in use is never among the first to go, and a busy entry costs one write in half the time
      that the store takes to turn over.
    * Eviction until the store fits. diskcache deletes ten entries a write however large the new
      one is, and takes pages that are free inside the file for full.
    * Connections that never make a file, never map it into memory (a map of a file that somebody
      cuts short kills the process, SIGBUS) and keep 1 MB each, not 32.

    Raises sqlite3.Error, diskcache.Timeout and OSError, the constructor after up to 60 seconds:
    diskcache waits that long for a writer elsewhere.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.path = directory / DATABASE
        self._log = directory / f"{DATABASE}-wal"
        self._log_pages = min(max(max_bytes // 20 // PAGE, 16), 1000)
        self._writing = threading.Lock()
        super().__init__(
            str(directory),
            timeout=WRITE_WAIT_S,
            disk=SafeDisk,
            size_limit=max_bytes - self._log_pages * PAGE,
            eviction_policy="least-recently-used",  # for its index
            sqlite_auto_vacuum=0,  # free pages are reused, see `volume`
            sqlite_cache_size=-1024,
            sqlite_mmap_size=0,
        )
        self.identity = file_identity(self.path)
        # This connection belongs to the thread that opens; others make their own.
        self.close()

    @property
    def _con(self) -> sqlite3.Connection:
        """This thread's connection. The owner of the cache knows which process it is for."""
        found: sqlite3.Connection | None = getattr(self._local, "con", None)
        if found is not None:
            return found
        made = connect(self.path, self._timeout)
        made.execute("PRAGMA synchronous = NORMAL")
        made.execute("PRAGMA cache_size = -1024")
        made.execute("PRAGMA mmap_size = 0")
        made.execute(f"PRAGMA wal_autocheckpoint = {self._log_pages}")
        self._local.con = made
        return made

    def load(self, key: str) -> Entry | None:
        """Return an entry, None if there is none; OSError means that the row is not ours."""
        now = time.time()
        rows = self._sql(LOAD, (now - USED_AGAIN_S, now, key)).fetchall()
        if not rows:
            return None
        ((mode, filename, value, is_stale),) = rows
        return Entry(self._disk.fetch(mode, filename, value, False), bool(is_stale))

    def save(self, key: str, value: bytes) -> None:
        """Store an entry and evict what no longer fits."""
        with self._write_turn():
            self._bound_log()
            self.set(key, value)

    def discard(self, key: str) -> None:
        """Delete an entry if it is there."""
        with self._write_turn():
            self.delete(key)

    def mark_used(self, key: str) -> None:
        """Put an entry at the end of the queue for eviction."""
        with self._write_turn():
            self._sql(MARK_USED, (time.time(), key))

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        # SQLite waits for its lock by sleeping ever longer: threads queue up better by ours.
        # diskcache also asserts that one transaction of a Cache runs at a time.
        if not self._writing.acquire(timeout=WRITE_WAIT_S):
            raise diskcache.Timeout("another thread writes")
        try:
            yield
        finally:
            self._writing.release()

    def _bound_log(self) -> None:
        # SQLite copies the log into the database now and then, and starts it anew if nobody wrote
        # or read meanwhile. With four busy workers somebody always does: then it grew to the size
        # of the store. TRUNCATE makes the others wait.
        if self._log_is_long():
            self._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            if self._log_is_long():
                raise diskcache.Timeout("a reader holds on to the log")

    def _log_is_long(self) -> bool:
        try:
            return self._log.stat().st_size > 2 * self._log_pages * PAGE
        except FileNotFoundError:
            return False

    def volume(self) -> int:
        """Return the bytes in use within the database file."""
        ((pages,),) = self._sql("PRAGMA page_count").fetchall()
        ((free,),) = self._sql("PRAGMA freelist_count").fetchall()
        return int(self._page_size * (pages - free))

    def _cull(self, now: float, sql: object, cleanup: object, limit: int | None = None) -> None:
        """Evict, within the transaction of `set`, until the store fits."""
        while self.volume() > self.size_limit:
            if not self._sql(EVICT, (EVICTED_AT_ONCE,)).rowcount:
                return
