# mypy: allow-subclassing-any
# diskcache comes without types, and takes nothing but a subclass of its Disk.
"""SafeDisk: what may go into and come out of the database of the tile store."""

import diskcache
from diskcache.core import MODE_RAW


class SafeDisk(diskcache.Disk):
    """Text for keys, bytes for values, all of it inside the database.

    diskcache would unpickle what a row tells it to (CVE-2025-69872), open any path that a row
    names, and delete that path when the row is evicted. Here a row that is anything but plain
    bytes is refused, and no row ever leads to a file. Values lie in the database whatever their
    size: files next to it are slower below 200 KB, are not part of the transaction, and stay
    behind when it fails.
    """

    def put(self, key: object) -> tuple[str, bool]:
        """Return the key as a row holds it; raises TypeError for anything but text."""
        if not isinstance(key, str):
            raise TypeError(f"keys of the tile store are text, not {type(key).__name__}")
        return key, True

    def get(self, key: object, raw: object) -> str:
        """Return the key of a row; raises OSError if it is not text."""
        if not raw or not isinstance(key, str):
            raise OSError("a row of the tile store has a key that is not text")
        return key

    def store(self, value: object, read: object, key: object = "") -> tuple[int, int, None, bytes]:
        """Return size (of a file: 0), mode, file name and value for a row; raises TypeError."""
        if read or not isinstance(value, bytes):
            raise TypeError(f"values of the tile store are bytes, not {type(value).__name__}")
        return 0, MODE_RAW, None, value

    def fetch(self, mode: object, filename: object, value: object, read: object) -> bytes:
        """Return the value of a row.

        Raises OSError for a row that we cannot have written, as diskcache wants it of a value
        that cannot be read.
        """
        if mode != MODE_RAW or filename is not None or read or not isinstance(value, bytes):
            raise OSError(f"a row of the tile store is not plain bytes (mode {mode!r})")
        return value

    def remove(self, file_path: object) -> None:
        """Do nothing: no file is ours, so one that a row names must not be deleted."""
