"""Slides in a bucket of Amazon S3, or of any storage that speaks its API.

`s3_client` calls it, `s3_range` checks what comes back, `s3_errors` says what went wrong.
"""

from collections.abc import Sequence
from functools import partial

from wsi_streamer.errors import (
    ConfigError,
    SlideChanged,
    SlideNotFound,
    StorageReadError,
    WsiError,
)
from wsi_streamer.model.page import Page
from wsi_streamer.storage.bounds import check_range
from wsi_streamer.storage.coalesce import read_coalesced
from wsi_streamer.storage.keys import check_key, is_key
from wsi_streamer.storage.s3_client import S3Access, S3Connection
from wsi_streamer.storage.s3_errors import advice
from wsi_streamer.storage.s3_range import RangeAnswer, RangeGetter, RangeRequest

# The first request of a slide learns its size and version anyway; this much of it costs nothing
# more, and holds the header and, in many files, the first directory.
HEAD_BYTES = 64 * 1024
# Reading on over a gap of this size is cheaper than another request.
COALESCE_GAP = 64 * 1024
# What S3 allows for one listing.
MAX_LISTED = 1000


class S3RangeReader:
    """One version of one object in S3; its first bytes, which came with opening, cost nothing."""

    def __init__(self, getter: RangeGetter, key: str, opened: RangeAnswer, gap: int) -> None:
        self._getter = getter
        self._key = key
        self._etag = opened.etag
        self._gap = gap
        self.size = opened.size
        self.version = version_of(opened.etag, opened.size)
        self.head = opened.data

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`, in at most one request."""
        check_range(offset, length, self.size)
        known = self.head[offset : offset + length]
        if len(known) == length:
            return known
        offset, length = offset + len(known), length - len(known)
        request = RangeRequest(self._key, offset, length, self._etag, self.size)
        try:
            return known + self._getter.get(request).data
        except SlideNotFound as exc:
            raise SlideChanged(f"{self._key} was removed since it was opened") from exc

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Return the bytes of each range; those close together come in one request."""
        for offset, length in ranges:
            check_range(offset, length, self.size)
        return read_coalesced(self.read, ranges, self._gap)

    def close(self) -> None:
        """Free the bytes held since opening; connections belong to the process."""
        self.head = b""


class S3Storage:
    """A bucket, or the part of it below `prefix`, which is "" or ends with a slash.

    `timeout_s` bounds each request, its retries included. Ranges with at most `coalesce_gap`
    bytes between them are read in one request.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint_url: str | None,
        region: str,
        anonymous: bool,
        timeout_s: float,
        max_pool_connections: int = 16,
        coalesce_gap: int = COALESCE_GAP,
    ) -> None:
        access = S3Access(endpoint_url, region, anonymous, timeout_s, max_pool_connections)
        self._bucket = bucket
        self._prefix = prefix
        self._gap = coalesce_gap
        self._endpoint = access.endpoint
        self._connection = S3Connection(access)
        self._getter = RangeGetter(self._connection, bucket, prefix)

    @property
    def name(self) -> str:
        """The bucket and prefix as a URI."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def open(self, key: str) -> S3RangeReader:
        """Return a reader of the object's present version, after one request."""
        check_key(key)
        opened = self._getter.get(RangeRequest(key, 0, HEAD_BYTES))
        return S3RangeReader(self._getter, key, opened, self._gap)

    def stat(self, key: str) -> str:
        """Return the version that `open` would give now."""
        check_key(key)
        answer = self._getter.look_up(key)
        return version_of(answer.etag, answer.size)

    def list(self, prefix: str, after: str, limit: int) -> Page:
        """Return keys that begin with `prefix` and come after `after`, by one request.

        Keys that `open` refuses are left out.
        """
        with self._connection.call(prefix, self._connection.begin()) as client:
            # AWS refuses some empty parameters, so "from the beginning" is said by leaving it out.
            send = partial(
                client.list_objects_v2,
                Bucket=self._bucket,
                Prefix=self._prefix + prefix,
                MaxKeys=min(limit, MAX_LISTED),
            )
            reply = send(StartAfter=self._prefix + after) if after else send()
        if "IsTruncated" not in reply:
            raise StorageReadError("the storage does not answer as S3 does")
        keys = [item.get("Key", "") for item in reply.get("Contents", [])]
        names = [key.removeprefix(self._prefix) for key in keys]
        if reply["IsTruncated"] and not names:
            raise StorageReadError("the storage cut a listing short before its first key")
        return Page(tuple(filter(is_key, names)), names[-1] if reply["IsTruncated"] else None)

    def check(self) -> None:
        """Raise ConfigError, with what to do about it, unless the bucket can be listed."""
        try:
            self.list("", "", 1)
        except WsiError as exc:
            raise ConfigError(advice(exc, self._bucket, self._endpoint)) from exc


def version_of(etag: str, size: int) -> str:
    """Return the version of an object."""
    tag = etag.strip('"')
    return f"{tag}-{size}"
