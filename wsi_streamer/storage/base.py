"""What every storage can do: open, look up and list objects, and read ranges of them."""

from collections.abc import Sequence
from typing import Protocol

from wsi_streamer.model.page import Page


class RangeReader(Protocol):
    """One version of one object, read by byte ranges; safe to share between threads."""

    @property
    def size(self) -> int:
        """Length of the object in bytes."""

    @property
    def version(self) -> str:
        """Text that changes whenever the object's content does; fit for cache keys."""

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`.

        Raises SlideChanged if the object is no longer this version, StorageReadError if the
        range does not lie in the object or the answer is not what was asked for, and other
        StorageErrors.
        """

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of several (offset, length) ranges, in the order given.

        Ranges that lie close together are read in one request.
        """

    def close(self) -> None:
        """Free what is held; reads under way may still finish."""


class Storage(Protocol):
    """A place that holds objects under keys; keys are relative to the configured prefix."""

    @property
    def name(self) -> str:
        """What this storage is, for people and for cache keys: "s3://bucket/prefix"."""

    def open(self, key: str) -> RangeReader:
        """Return a reader of the object's present version.

        Raises SlideNotFound if there is no such object, or the key leads outside the storage.
        """

    def stat(self, key: str) -> str:
        """Return the version that `open` would give now; same errors."""

    def list(self, prefix: str, after: str, limit: int) -> Page:
        """Return keys that begin with `prefix`, in ascending order of their UTF-8 bytes.

        Only keys after `after` (not included; "" for all) are given, at most `limit`, in one
        request to the storage.
        """

    def check(self) -> None:
        """Raise ConfigError, with what to do about it, if the storage is missing or refuses."""
