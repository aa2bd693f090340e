"""Cursors of listings: where the next page begins, signed so that only ours come back.

Without the signature a cursor would be a way to put any text before the storage.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from itsdangerous import BadData, Signer, base64_decode, base64_encode

from wsi_streamer.errors import BadParameter, ConfigError

KEY_BYTES = 32
QUERY_BYTES = 16
MAX_LENGTH = 4096
CURSOR = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class CursorSigner:
    """Makes and reads cursors; workers with the same key read each other's."""

    def __init__(self, key: bytes) -> None:
        self._signer = Signer(
            key, salt=b"wsi-cursor", key_derivation="hmac", digest_method=hashlib.sha256
        )

    def dump(self, prefix: str, search: str, last: str) -> str:
        """Return the cursor of the page after the name `last`, in the alphabet of URLs."""
        payload = _digest(prefix, search) + last.encode("utf-8", "surrogatepass")
        return self._signer.sign(base64_encode(payload)).decode("ascii")

    def load(self, cursor: str, prefix: str, search: str) -> str:
        """Return the name that a cursor of the same query stands behind; raises BadParameter."""
        if len(cursor) > MAX_LENGTH or not CURSOR.fullmatch(cursor):
            raise BadParameter("cursor is not one of this server")
        try:
            payload = base64_decode(self._signer.unsign(cursor))
            last = payload[QUERY_BYTES:].decode("utf-8", "surrogatepass")
        except (BadData, UnicodeDecodeError) as exc:
            raise BadParameter("cursor is not one of this server") from exc
        # The last character of base64 has bits without meaning, so one signature has four
        # spellings; only ours is accepted. The same line refuses the cursor of another query.
        if cursor != self.dump(prefix, search, last):
            raise BadParameter("cursor belongs to another prefix or search")
        return last


def load_or_create_key(path: Path) -> bytes:
    """Return the random key in a file, which is made or, if it is damaged, replaced.

    Workers that start together all return the same key. Raises ConfigError if the file can
    neither be read nor written.
    """
    try:
        return _read_key(path) or _create_key(path)
    except OSError as exc:
        raise ConfigError(f"cannot keep the key of cursors in {path}: {exc.strerror}") from exc


def _digest(prefix: str, search: str) -> bytes:
    return hashlib.sha256(json.dumps([prefix, search]).encode("ascii")).digest()[:QUERY_BYTES]


def _read_key(path: Path) -> bytes:
    """Return the key, empty if there is none."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return b""
    return key if len(key) == KEY_BYTES else b""


def _create_key(path: Path) -> bytes:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # os.link() alone would do for a missing file, but not for a damaged one: between reading and
    # removing it, another worker may have put a good key there and be using it.
    with _locked(path.with_name(f"{path.name}.lock")):
        key = _read_key(path)
        if not key:
            key = secrets.token_bytes(KEY_BYTES)
            _write_whole(path, key)
    return key


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, and that nobody ever sees half-written."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes and threads out; the kernel ends the lock of one that dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
