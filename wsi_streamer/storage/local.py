"""Slides in a folder of this machine, under the rules that hold for a bucket."""

import errno
import os
import stat
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from wsi_streamer.errors import (
    ConfigError,
    SlideChanged,
    SlideNotFound,
    StorageError,
    StorageReadError,
)
from wsi_streamer.model.page import Page
from wsi_streamer.storage.base import HEAD_BYTES
from wsi_streamer.storage.bounds import check_range
from wsi_streamer.storage.coalesce import read_coalesced
from wsi_streamer.storage.keys import check_key
from wsi_streamer.storage.local_walk import Wanted, is_below, walk_keys

# A system call is cheap, but not cheaper than copying this much.
COALESCE_GAP = 16 * 1024
# O_NONBLOCK: opening a FIFO would wait for somebody who writes. It does nothing to files.
OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW

# What the system says of names that lead to no file; ENXIO of sockets, and FIFOs without a writer.
MISSING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENXIO}


class LocalRangeReader:
    """One version of one file; takes over `fd`, which is closed when nobody reads any more."""

    def __init__(self, fd: int, key: str, gap: int = COALESCE_GAP) -> None:
        self._close_fd = weakref.finalize(self, os.close, fd)
        self._fd = fd
        self._key = key
        self._gap = gap
        self._lock = threading.Lock()
        self._reads = 0
        self._closing = False
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise SlideNotFound(f"{key} is not a file")
        self.size = status.st_size
        self.version = version_of(status)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        check_range(offset, length, self.size)
        with self._reading() as fd:
            try:
                data = read_fully(fd, offset, length)
                status = os.fstat(fd)
            except OSError as exc:
                raise StorageReadError(f"cannot read {self._key}: {exc.strerror}") from exc
        if version_of(status) != self.version:
            raise SlideChanged(f"{self._key} was written to since it was opened")
        if len(data) != length:
            raise StorageReadError(f"{self._key} gives fewer bytes than its size says")
        return data

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range; those close together are read at once."""
        for offset, length in ranges:
            check_range(offset, length, self.size)
        return read_coalesced(self.read, ranges, self._gap)

    def close(self) -> None:
        """Refuse further reads; the file is closed when those under way have ended."""
        with self._lock:
            self._closing = True
            self._close_unused()

    @contextmanager
    def _reading(self) -> Iterator[int]:
        with self._lock:
            if self._closing:
                # Its number may be another file's by now.
                raise StorageReadError(f"{self._key} is already closed")
            self._reads += 1
        try:
            yield self._fd
        finally:
            with self._lock:
                self._reads -= 1
                self._close_unused()

    def _close_unused(self) -> None:
        if self._closing and not self._reads:
            self._close_fd()


class LocalStorage:
    """The files below a folder; nothing outside it can be reached.

    Ranges with at most `coalesce_gap` bytes between them are read at once.
    """

    # A read goes on in the file that was opened, wherever its name leads to by then.
    reads_verify = False

    def __init__(self, root: Path, coalesce_gap: int = COALESCE_GAP) -> None:
        self._root = Path(os.path.abspath(root))
        self._gap = coalesce_gap

    @property
    def name(self) -> str:
        """The absolute path of the folder."""
        return str(self._root)

    def prepare(self) -> None:
        """Do nothing: opening a file takes nothing but the file."""

    def open(
        self, key: str, *, head_bytes: int = HEAD_BYTES, tail_bytes: int = 0
    ) -> LocalRangeReader:
        """Return a reader of the file as it is now; reading it early would save nothing."""
        check_key(key)
        if any(part.startswith(".") for part in key.split("/")):
            raise SlideNotFound(f"hidden files are no slides: {key}")
        root = self._real_root()
        try:
            path = os.path.realpath(os.path.join(root, key), strict=True)
            if not is_below(root, path):
                raise SlideNotFound(f"there is no {key}")
            return LocalRangeReader(os.open(path, OPEN_FLAGS), key, self._gap)
        except OSError as exc:
            if exc.errno in MISSING:
                raise SlideNotFound(f"there is no {key}") from exc
            raise StorageReadError(f"cannot open {key}: {exc.strerror}") from exc

    def resume(self, key: str, version: str) -> LocalRangeReader:
        """Return a reader of the file if it is still this version."""
        check_key(key)
        try:
            reader = self.open(key)
        except SlideNotFound as exc:
            raise SlideChanged(f"{key} was removed since it was opened") from exc
        if reader.version != version:
            reader.close()
            raise SlideChanged(f"{key} was replaced since it was opened")
        return reader

    def stat(self, key: str) -> str:
        """Return the version that `open` would give now."""
        reader = self.open(key)
        reader.close()
        return reader.version

    def list(self, prefix: str, after: str, limit: int) -> Page:
        """Return keys that begin with `prefix` and come after `after`, hidden ones left out."""
        root = self._real_root()
        try:
            names = tuple(islice(walk_keys(root, Wanted(prefix, after)), limit + 1))
        except OSError as exc:
            raise folder_error(exc) from exc
        return Page(names[:limit], names[limit - 1] if len(names) > limit else None)

    def check(self) -> None:
        """Raise ConfigError, with what to do about it, unless the folder can be read."""
        try:
            with os.scandir(self._root):
                # Listing needs one permission, opening what is listed another.
                os.stat(os.path.join(self._root, "."))
        except FileNotFoundError as exc:
            text = f"{self._root} does not exist: check WSI_SOURCE, or make the folder"
            raise ConfigError(text) from exc
        except NotADirectoryError as exc:
            text = f"{self._root} is not a folder: give the one that holds the slides"
            raise ConfigError(text) from exc
        except OSError as exc:
            text = f"{self._root} may not be read by this user: change its permissions"
            raise ConfigError(f"{text} ({exc.strerror})") from exc

    def _real_root(self) -> str:
        # Asked anew each time: a link such as "current" may be pointed elsewhere.
        try:
            return os.path.realpath(self._root, strict=True)
        except OSError as exc:
            raise folder_error(exc) from exc


def folder_error(exc: OSError) -> StorageError:
    """Return the error for a folder that was there when the server started."""
    return StorageError(f"the folder of the slides cannot be read: {exc.strerror}")


def read_fully(fd: int, offset: int, length: int) -> bytes:
    """Return `length` bytes of a file from `offset`, or fewer if it ends before."""
    data = os.pread(fd, length, offset)
    # Linux reads at most 2 GiB at once, and network file systems less when they like.
    while 0 < len(data) < length and (more := os.pread(fd, length - len(data), offset + len(data))):
        data += more
    return data


def version_of(status: os.stat_result) -> str:
    """Return the version of a file."""
    # The inode as well: a file that was put in another's place may have kept its time and size.
    return f"{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ino:x}"
