"""What every storage can do: open, look up and list objects, and read ranges of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from wsi_streamer.model.page import Page

# The first request of a slide learns its size and version anyway; this much of it costs nothing
# more, and holds the header and, in many files, the first directory.
HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of an object, and where they begin."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset behind the last byte."""
        return self.offset + len(self.data)


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

        Ranges that lie close together are read in one request, and requests in parallel. The
        first error is raised.
        """

    def close(self) -> None:
        """Free what is held; reads under way may still finish."""


@runtime_checkable
class HoldsBytes(Protocol):
    """A reader that has some bytes of its object in memory, which came along with opening."""

    @property
    def known(self) -> tuple[Extent, ...]:
        """What `read` gives without a request: by ascending offset, with gaps between them."""

    def forget_known(self) -> None:
        """Free these bytes; from here on they are read like all others."""


class Storage(Protocol):
    """A place that holds objects under keys; keys are relative to the configured prefix."""

    @property
    def name(self) -> str:
        """What this storage is, for people and for cache keys: "s3://bucket/prefix"."""

    @property
    def reads_verify(self) -> bool:
        """Whether each read of a reader proves that the key still leads to its version."""

    def prepare(self) -> None:
        """Make ahead what the first request of a process would have to wait for; never raises."""

    def open(self, key: str, *, head_bytes: int = HEAD_BYTES, tail_bytes: int = 0) -> RangeReader:
        """Return a reader of the object's present version.

        A storage that is far away brings the first and last bytes along, in one round trip
        (`HoldsBytes`). Raises SlideNotFound if there is no such object, or the key leads outside
        the storage; SlideChanged if the object is being replaced over and over.
        """

    def resume(self, key: str, version: str) -> RangeReader:
        """Return a reader of a version that `open` or `stat` gave before.

        Where asking costs a round trip, it is left to the first read to notice that the object
        is another one now. Raises SlideChanged if that is known already, or if `version` is
        none that this storage gives; SlideNotFound for a key that leads outside the storage.
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
