"""The folder of the tile store: private, locked while it is opened, emptied when it is damaged."""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from diskcache import DEFAULT_SETTINGS
from diskcache.core import METADATA

from wsi_streamer.errors import ConfigError
from wsi_streamer.service.tile_cache import DATABASE, TileCache, connect

PROBE_WAIT_S = 1.0

SETTINGS = DEFAULT_SETTINGS.keys() | METADATA.keys()
COLUMNS = [
    *("rowid", "key", "raw", "store_time", "expire_time", "access_time", "access_count"),
    *("tag", "size", "mode", "filename", "value"),
]


def open_cache(directory: Path, max_bytes: int, broken: tuple[int, int] | None) -> TileCache:
    """Return the cache in `directory`, made if need be, empty if what is there is of no use.

    `broken` is the identity of a database that failed while it was in use. Workers open one
    after another. Raises ConfigError if others could write here, OSError, sqlite3.Error and
    diskcache.Timeout; may take a minute, as TileCache may.
    """
    make_private(directory)
    database = directory / DATABASE
    with locked(directory):
        if not is_usable(database, max_bytes, broken):
            empty(directory)
        make_database(database)
        try:
            return TileCache(directory, max_bytes)
        except sqlite3.DatabaseError as exc:
            if not is_damage(exc):
                raise
        empty(directory)
        make_database(database)
        return TileCache(directory, max_bytes)


def make_private(directory: Path) -> None:
    """Make `directory` for this user alone; raises ConfigError if another user could write to it.

    One that exists already may be readable by others: the files in it are not.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        path.chmod(0o700)  # mkdir obeys the umask, chmod does not
    found = directory.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigError(f"{directory} is not a folder: no tiles are stored")
    if found.st_uid != os.geteuid():
        raise ConfigError(f"{directory} belongs to another user: no tiles are stored")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"other users can write to {directory}: no tiles are stored (chmod 700 {directory})"
        )


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other workers from opening the cache meanwhile."""
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def is_usable(database: Path, max_bytes: int, broken: tuple[int, int] | None) -> bool:
    """Say whether a database can be worked with: ours, whole as far as one sees, not too large."""
    # Never open and close the file here: that drops the locks that SQLite holds on it
    # (sqlite.org, How To Corrupt An SQLite Database File, 2.2).
    try:
        found = database.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
        return False
    # The file never shrinks: one that was made for a larger limit is not worth keeping.
    if found.st_size > max_bytes * 1.1 or (found.st_dev, found.st_ino) == broken:
        return False
    try:
        with closing(connect(database, PROBE_WAIT_S)) as connection:
            return has_our_tables(connection)
    except sqlite3.DatabaseError as exc:
        if is_damage(exc):
            return False
        raise


def has_our_tables(connection: sqlite3.Connection) -> bool:
    """Say whether a database is empty or has diskcache's tables.

    diskcache executes what the settings say about SQLite, so none may be there that it has not.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return True
    if not {"Settings", "Cache"} <= tables:
        return False
    columns = [row[1] for row in connection.execute("PRAGMA table_info(Cache)")]
    settings = {key for (key,) in connection.execute("SELECT key FROM Settings")}
    return columns == COLUMNS and settings <= SETTINGS


def is_damage(exc: sqlite3.Error) -> bool:
    """Say whether an error means that the database itself is damaged, not that it is busy."""
    # Errors that Python raises have no code; extended codes have the code in their low byte.
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def empty(directory: Path) -> None:
    """Delete the database and nothing else: the folder may be one that holds other things."""
    # The database first: SQLite throws away a log that it finds beside an empty database.
    for suffix in ("", "-wal", "-shm", "-journal"):
        (directory / f"{DATABASE}{suffix}").unlink(missing_ok=True)


def make_database(database: Path) -> None:
    """Make an empty file that only this user can read; SQLite gives its log the same mode."""
    with suppress(FileExistsError):
        os.close(os.open(database, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    database.chmod(0o600)
