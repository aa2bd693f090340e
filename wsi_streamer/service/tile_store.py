"""TileStore: finished images, runs of tiles and what is known of slides, on the disk for all."""

import hashlib
import logging
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import diskcache

from wsi_streamer.service.complaints import Complaints
from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.store_folder import is_damage, open_cache
from wsi_streamer.service.store_opener import StoreOpener
from wsi_streamer.service.tile_cache import WRITE_WAIT_S, TileCache, WriterBusy

logger = logging.getLogger(__name__)

# After a write that failed or had to wait too long, none is tried for a while: twice as long
# after each further one.
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 4.0
# A value of more than this part of the store would push out too many others.
LARGEST_PART = 16

# Before each value: magic, version of this format, length, half of a SHA-256: processors have
# instructions for that one.
ENVELOPE = struct.Struct(">4sBQ16s")
MAGIC = b"WSIt"
FORMAT = 3

# The disk is full or failing, or the lock is taken: the database is as good as before.
PASSING = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
}


def seal(text: str, data: bytes) -> bytes:
    """Return `data` in an envelope that says which key it belongs to."""
    return ENVELOPE.pack(MAGIC, FORMAT, len(data), _digest(text, data)) + data


def find_sealed(text: str, sealed: bytes) -> bytes | None:
    """Return what was sealed for a key; None unless it is that, whole and unchanged."""
    if len(sealed) < ENVELOPE.size:
        return None
    magic, version, length, digest = ENVELOPE.unpack_from(sealed)
    data = sealed[ENVELOPE.size :]
    if (magic, version, length) != (MAGIC, FORMAT, len(data)) or digest != _digest(text, data):
        return None
    return data


def is_of_older_release(sealed: bytes) -> bool:
    """Say whether something was sealed in an older format, and will be written over."""
    return sealed[: len(MAGIC)] == MAGIC and sealed[len(MAGIC) :][:1] < bytes([FORMAT])


def _digest(text: str, data: bytes) -> bytes:
    digest = hashlib.sha256(f"{len(text)}:{text}".encode())
    digest.update(data)
    return digest.digest()[:16]


class TileStore:
    """Keeps images in a folder of at most `max_bytes`, least recently used out first; 0: none.

    What goes wrong with the store is a miss, a line in the log once a minute, and nothing else.
    It is opened by the first request of each process, so after gunicorn's fork, and can be
    shared by threads. The folder has to be on a local disk: SQLite's write-ahead log needs
    memory that all workers share, which network file systems do not give (NFS, SMB).
    """

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        *,
        open_timeout_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._open_timeout_s = open_timeout_s
        self._clock = clock
        self._open = partial(open_cache, directory.absolute(), max_bytes)
        self._complaints = Complaints(logger, clock)
        # One for each process, for SQLite's connections must not cross a fork, not even to be
        # closed: those of the parent stay here untouched.
        self._openers: dict[int, StoreOpener] = {}
        self._no_writes_until = clock()
        self._pause_s = FIRST_PAUSE_S
        self._is_closed = max_bytes <= 0

    def get(self, key: ImageKey) -> bytes | None:
        """Return what was put under a key, None if it is not there or not whole."""
        found = self.get_either(key, key)
        return found[1] if found else None

    def get_either(self, key: ImageKey, other: ImageKey) -> tuple[ImageKey, bytes] | None:
        """Return what was put under one of two keys, and which, at the cost of one look-up."""
        cache = self._find_cache()
        if cache is None:
            return None
        try:
            found = cache.load(key.text, other.text)
        except OSError as exc:
            self._discard(cache, key.text, str(exc))
            self._discard(cache, other.text, str(exc))
            return None
        except sqlite3.Error as exc:
            self._recover(cache, "read", exc)
            return None
        if found is None:
            return None
        text, sealed = found
        data = find_sealed(text, sealed)
        if data is None:
            if not is_of_older_release(sealed):
                self._discard(cache, text, "an entry of the tile store is damaged")
            return None
        return key if text == key.text else other, data

    def takes(self, size: int) -> bool:
        """Say whether something of `size` bytes is stored at all."""
        return not self._is_closed and size <= self._max_bytes // LARGEST_PART

    def put(self, key: ImageKey, data: bytes) -> None:
        """Store an image, if that can be done at once."""
        self.put_many([(key, data)])

    def put_many(self, images: Iterable[tuple[ImageKey, bytes]]) -> None:
        """Store some images in one transaction, if that can be done at once."""
        fit = [(key.text, data) for key, data in images if self.takes(len(data))]
        cache = self._find_cache() if fit else None
        if cache is not None:
            self._write(
                cache, partial(cache.save, [(text, seal(text, data)) for text, data in fit])
            )

    def discard(self, key: ImageKey) -> None:
        """Delete an image, if that can be done at once."""
        cache = self._find_cache()
        if cache is not None:
            self._write(cache, partial(cache.discard, key.text))

    def close(self) -> None:
        """Close the store for good: from now on it is empty and takes nothing."""
        self._is_closed = True
        opener = self._openers.get(os.getpid())
        if opener:
            opener.close()

    def _find_cache(self) -> TileCache | None:
        return None if self._is_closed else self._opener().find_cache()

    def _opener(self) -> StoreOpener:
        process = os.getpid()
        opener = self._openers.get(process)
        if opener is None:
            made = StoreOpener(self._open, self._open_timeout_s, self._complaints, self._clock)
            opener = self._openers.setdefault(process, made)
        return opener

    def _discard(self, cache: TileCache, text: str, reason: str) -> None:
        self._complaints.warn("damaged", f"{reason}: deleted")
        self._write(cache, partial(cache.discard, text))

    def _write(self, cache: TileCache, action: Callable[[], None]) -> None:
        now = self._clock()
        if now < self._no_writes_until:
            return
        if self._pause_s > FIRST_PAUSE_S:
            # After a pause one thread finds out; the others do not wait with it.
            self._no_writes_until = now + WRITE_WAIT_S
        try:
            action()
        except WriterBusy as exc:
            self._complaints.warn("busy", f"something was not put into the tile store: {exc}")
        except (sqlite3.Error, diskcache.Timeout, OSError) as exc:
            self._recover(cache, "write", exc)
        else:
            self._pause_s, self._no_writes_until = FIRST_PAUSE_S, now

    def _recover(self, cache: TileCache, what: str, exc: Exception) -> None:
        """Do what makes the next request fare better than this one."""
        self._complaints.warn(what, f"cannot {what} the tile store: {exc!r}")
        # Ends a transaction that the error left open, which would lock out every other worker.
        cache.close()
        code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
        if isinstance(exc, diskcache.Timeout) or code in PASSING:
            self._no_writes_until = self._clock() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        else:
            self._opener().drop(cache, is_broken=isinstance(exc, sqlite3.Error) and is_damage(exc))
