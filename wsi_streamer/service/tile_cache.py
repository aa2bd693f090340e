# mypy: allow-subclassing-any
# diskcache comes without types; the reasons for a subclass are in TileCache.
"""TileCache: the database of the tile store, as diskcache lays it out, and its eviction."""

import sqlite3
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import diskcache

from wsi_streamer.service.log_index import LogIndex
from wsi_streamer.service.safe_disk import SafeDisk

DATABASE = "cache.db"

# How long a write waits for those of other threads and workers: 3 ms each, up to 50 ms where one
# copies the log into the database. Beyond that a tile that is not stored is the lesser evil.
WRITE_WAIT_S = 0.2

# Of a database that is made; an older one keeps its own. Writing 230 KB takes 364 us with pages of
# 8 KB, 279 with 32: but there a tile of 17 KB takes a page by itself.
PAGE = 16384
# The write-ahead log holds this before it is copied into the database, or a twentieth of the store;
# while a reader holds on to it, a 25th of the store more.
LONGEST_LOG = 4 * 1024 * 1024
SHORTEST_LOG = 64 * 1024
# Where the index of the log says how many pages that holds, and how many of them are in the
# database; and what each takes besides (sqlite.org, WAL-mode File Format, 2.1 and 1.2).
LOG_FRAMES = struct.Struct("=16xI76xI")
LOG_FRAME_HEADER = 24
# One transaction writes this, or a twentieth of the store: log and database outgrow their limits
# by it, and other workers wait for it.
LARGEST_TURN = 1024 * 1024
# What a row takes besides its value, in the table and its indexes.
ROW_BYTES = 256
EVICTED_AT_ONCE = 64
# The pages of an empty database are fewer than these.
EMPTY_PAGES = 64
# An entry counts as used again at most this often.
USED_AGAIN_S = 1.0
# As many entries may wait for the next write to be noted as used.
MOST_USED = 1000

LOAD = (
    "SELECT key, mode, filename, value, access_time < ? FROM Cache WHERE key IN (?, ?) AND raw = 1"
)
FIND_OLD = "SELECT MIN(?, (? + (SELECT MIN(access_time) FROM Cache)) / 2)"
MARK_USED = "UPDATE Cache SET access_time = ? WHERE key = ? AND raw = 1"
SAVE = (
    "INSERT INTO Cache (key, raw, store_time, access_time, size, mode, filename, value)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (key, raw) DO UPDATE SET store_time = excluded.store_time,"
    " expire_time = NULL, access_time = excluded.access_time, tag = NULL, size = excluded.size,"
    " mode = excluded.mode, filename = excluded.filename, value = excluded.value"
)
FIND_OLDEST = "SELECT IFNULL(LENGTH(value), 0) FROM Cache ORDER BY access_time LIMIT ?"
EVICT = "DELETE FROM Cache WHERE rowid IN (SELECT rowid FROM Cache ORDER BY access_time LIMIT ?)"


class WriterBusy(Exception):
    """Another thread of this process writes for too long."""


class ThreadEnd:
    """Closes a connection when the thread, or the cache, that alone holds this object is gone.

    The connection itself would wait for the garbage collector, which knows nothing of files.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __del__(self) -> None:
        self._connection.close()


def file_identity(path: Path) -> tuple[int, int]:
    """Return what stays the same as long as a path leads to the same file; raises OSError."""
    found = path.stat()
    return found.st_dev, found.st_ino


def connect(database: Path, timeout_s: float) -> sqlite3.Connection:
    """Return a connection to a database that exists; raises sqlite3.Error."""
    # mode=rw: where the file is gone, SQLite would make one that others can read.
    connection = sqlite3.connect(
        f"{database.as_uri()}?mode=rw",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
        check_same_thread=False,
    )
    # Text that is none would be an error of the connection, not of the row that holds it.
    connection.text_factory = _lenient_text
    return connection


def _lenient_text(data: bytes) -> str:
    return data.decode(errors="replace")


class TileCache(diskcache.Cache):
    """A diskcache of at most `max_bytes` on the disk, its log included, least recently used first.

    Made on top of diskcache:

    * Least recently used, without a write for each read. diskcache's own policy notes every read
      in a transaction of its own: with four workers a median hit took 65 us instead of 35, and
      one in a hundred waited 8 ms for others' writes instead of 0.2. Here an entry that is read
      is noted with the next write, and only if it lies in the older half of the store: one in
      use is never among the first to go.
    * Eviction until the store fits. diskcache deletes ten entries a write however large the new
      one is, and takes pages that are free inside the file for full.
    * Many entries in one statement. diskcache looks for each, writes it and evicts for it: 20 KB
      took 110 us, and 140 where the store was full, instead of 72 and 87 with their digest.
    * Nothing waits for the disk (`synchronous`). A process that dies loses nothing by it. After a
      power cut pages of the database may be older than others: then SQLite finds it damaged, or
      an envelope does not fit its key, and either costs tiles, never serves wrong ones. What
      syncing saved of a cache did not pay for a quarter of each write.
    * Connections that never make a file, never map it into memory (a map of a file that somebody
      cuts short kills the process, SIGBUS) and keep 1 MB each, not 32.

    Raises sqlite3.Error, diskcache.Timeout and OSError, the constructor after up to 60 seconds:
    diskcache waits that long for a writer elsewhere.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self.path = directory / DATABASE
        self._log_bytes = min(max(max_bytes // 20, SHORTEST_LOG), LONGEST_LOG)
        self._longest_log = self._log_bytes + max_bytes // 25
        self._turn_bytes = min(max_bytes // 20, LARGEST_TURN)
        self._next_copy = time.monotonic()
        self._writing = threading.Lock()
        self._used: set[str] = set()
        # Entries of this time and before are old, and when that was found out.
        self._old: tuple[float | None, float] = None, 0
        super().__init__(
            str(directory),
            timeout=WRITE_WAIT_S,
            disk=SafeDisk,
            size_limit=max_bytes - self._log_bytes,
            eviction_policy="least-recently-used",  # for its index
            sqlite_auto_vacuum=0,  # free pages are reused, see `volume`
            sqlite_cache_size=-1024,
            sqlite_mmap_size=0,
            sqlite_synchronous=0,
        )
        self.identity = file_identity(self.path)
        # After the connections, which so are closed before it.
        self._log_index = LogIndex(directory / f"{DATABASE}-shm")
        # This connection belongs to the thread that opens; others make their own.
        self.close()

    @property
    def _con(self) -> sqlite3.Connection:
        """This thread's connection. The owner of the cache knows which process it is for."""
        found: sqlite3.Connection | None = getattr(self._local, "con", None)
        if found is not None:
            return found
        made = connect(self.path, self._timeout)
        self._local.end = ThreadEnd(made)
        made.execute(f"PRAGMA page_size = {PAGE}")
        made.execute("PRAGMA synchronous = OFF")
        made.execute("PRAGMA cache_size = -1024")
        # A page that leaves memory before the transaction ends goes to the log twice.
        made.execute("PRAGMA cache_spill = OFF")
        made.execute("PRAGMA mmap_size = 0")
        # Debian's SQLite overwrites what is deleted, which would double what an eviction writes.
        made.execute("PRAGMA secure_delete = FAST")
        made.execute("PRAGMA wal_autocheckpoint = 0")  # see `_bound_log`
        self._local.con = made
        return made

    def load(self, key: str, other: str) -> tuple[str, bytes] | None:
        """Return a value and which of two keys it is of, the first if both are there; None if
        neither is. OSError means that the row is not ours.
        """
        now = time.time()
        rows = self._con.execute(LOAD, (self._old_before(now), key, other)).fetchall()
        if not rows:
            return None
        found, mode, filename, value, is_old = rows[0] if rows[0][0] == key else rows[-1]
        if is_old and len(self._used) < MOST_USED:
            self._used.add(found)
        data: bytes = self._disk.fetch(mode, filename, value, False)
        return found, data

    def _old_before(self, now: float) -> float | None:
        old, found_at = self._old
        if not 0 <= now - found_at < USED_AGAIN_S:
            ((old,),) = self._con.execute(FIND_OLD, (now - USED_AGAIN_S, now)).fetchall()
            self._old = old, now
        return old

    def save(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Store some entries, note which ones were used, and evict for them what does not fit.

        As many as a transaction may hold share one: it costs as much as an entry or two.
        """
        for turn in self._turns(entries):
            with self._write_turn():
                self._bound_log()
                with self.transact():
                    # Other workers may have written since.
                    if self._log_size() > self._longest_log:
                        raise diskcache.Timeout("a reader holds on to the log")
                    self._save_turn(turn)

    def _turns(self, entries: Sequence[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
        turn: list[tuple[str, bytes]] = []
        size = 0
        for text, value in entries:
            if turn and size + len(value) > self._turn_bytes:
                yield turn
                turn, size = [], 0
            turn.append((text, value))
            size += len(value)
        if turn:
            yield turn

    def _save_turn(self, turn: Sequence[tuple[str, bytes]]) -> None:
        now = time.time()
        # Each takes a page of the log. Other threads go on adding to the set.
        count = min(len(self._used), self._turn_bytes // PAGE)
        used = [self._used.pop() for _ in range(count)]
        self._con.executemany(MARK_USED, [(now, text) for text in used])
        self._make_room(sum(len(value) + ROW_BYTES for _, value in turn))
        put, store = self._disk.put, self._disk.store
        rows = [(*put(text), now, now, *store(value, False)) for text, value in turn]
        self._con.executemany(SAVE, rows)

    def discard(self, key: str) -> None:
        """Delete an entry if it is there."""
        with self._write_turn():
            self.delete(key)

    @contextmanager
    def _write_turn(self) -> Iterator[None]:
        # SQLite waits for its lock by sleeping ever longer: threads queue up better by ours.
        # diskcache also asserts that one transaction of a Cache runs at a time.
        if not self._writing.acquire(timeout=WRITE_WAIT_S):
            raise WriterBusy("another thread writes")
        try:
            yield
        finally:
            self._writing.release()

    def _bound_log(self) -> None:
        # Left to itself, SQLite copies the log into the database while others go on, and starts
        # it anew if it got to the end. With four busy workers it never does: the log grew to the
        # size of the store. RESTART makes writers wait. It gives up at once if another worker
        # is at it, and after WRITE_WAIT_S if somebody reads all the while: then not so soon again.
        # TRUNCATE would give the file back, and the kernel find it anew: writing takes 1.6 times
        # as long.
        start = time.monotonic()
        if self._log_size() > self._log_bytes and start >= self._next_copy:
            ((is_busy, _, _),) = self._sql("PRAGMA wal_checkpoint(RESTART)").fetchall()
            end = time.monotonic()
            self._next_copy = end + 10 * (end - start) if is_busy else end

    def _log_size(self) -> int:
        """Return the bytes of the log; 0 if all of it is in the database: it begins anew then."""
        header = self._log_index.read(LOG_FRAMES.size)
        if len(header) < LOG_FRAMES.size:
            return 0
        pages, copied = LOG_FRAMES.unpack(header)
        return 0 if copied >= pages else pages * (int(self._page_size) + LOG_FRAME_HEADER)

    def volume(self) -> int:
        """Return the bytes in use within the database file."""
        ((pages,),) = self._sql("PRAGMA page_count").fetchall()
        ((free,),) = self._sql("PRAGMA freelist_count").fetchall()
        return int(self._page_size * (pages - free))

    def _make_room(self, needed: int) -> None:
        """Evict, within a transaction, until `needed` more bytes fit."""
        while (excess := self.volume() + needed - self.size_limit) > 0:
            count = 0
            for (size,) in self._con.execute(FIND_OLDEST, (EVICTED_AT_ONCE,)):
                count += 1
                excess -= size + ROW_BYTES
                if excess <= 0:
                    break
            if not count or not self._con.execute(EVICT, (count,)).rowcount:
                self._check_empty()
                return

    def _check_empty(self) -> None:
        # Pages that belong to no row that the index knows would fill the store for good.
        if self.volume() > max(self.size_limit, EMPTY_PAGES * self._page_size):
            lost = sqlite3.DatabaseError("pages of the tile store are lost")
            lost.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise lost
