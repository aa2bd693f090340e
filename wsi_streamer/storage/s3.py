"""Slides in a bucket of Amazon S3, or of any storage that speaks its API.

`s3_client` is the SDK, for listings and for what it knows of credentials and addresses; `s3_range`
asks for bytes, `s3_answer` checks what comes back, `s3_errors` says what went wrong.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from wsi_streamer.errors import (
    ConfigError,
    SlideChanged,
    StorageReadError,
    WsiError,
)
from wsi_streamer.model.page import Page
from wsi_streamer.storage.base import HEAD_BYTES, Extent
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.keys import check_key, is_key
from wsi_streamer.storage.s3_answer import RangeAnswer, RangeRequest
from wsi_streamer.storage.s3_client import S3Access, S3Connection
from wsi_streamer.storage.s3_errors import advice, translated_errors
from wsi_streamer.storage.s3_range import RangeGetter
from wsi_streamer.storage.s3_reader import S3RangeReader
from wsi_streamer.storage.s3_version import S3Version, parse_version

# Reading on over a gap of this size is cheaper than another request.
COALESCE_GAP = 64 * 1024
MAX_CONNECTIONS = 16
# Opening a slide asks for two ranges at once, and then for more.
FIRST_CONNECTIONS = 4
# What S3 allows for one listing.
MAX_LISTED = 1000
# An object may be replaced between the answers for its head and for its tail, but hardly twice.
OPENING_TRIES = 2


class S3Storage:
    """A bucket, or the part of it below `prefix`, which is "" or ends with a slash.

    `timeout_s` bounds each question, its requests and their retries included. Ranges with at most
    `coalesce_gap` bytes between them are read in one request. A process keeps `max_connections`
    for reading; the SDK has as many of its own, for listings and versions.
    """

    # A read asks for the key, with If-Match.
    reads_verify = True

    def __init__(
        self,
        bucket: str,
        prefix: str,
        *,
        endpoint_url: str | None,
        region: str,
        anonymous: bool,
        timeout_s: float,
        max_connections: int = MAX_CONNECTIONS,
        coalesce_gap: int = COALESCE_GAP,
    ) -> None:
        access = S3Access(endpoint_url, region, anonymous, timeout_s, max_connections)
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

    def prepare(self) -> None:
        """Make the client of this process, have it sign a first request, and connect ahead."""
        # What is wrong is said to the requests that it is wrong for.
        with suppress(WsiError), translated_errors("slides"):
            signer = self._connection.signer(self._connection.begin())
            signer.sign(self._bucket, self._prefix + "-").pool.have_spares(FIRST_CONNECTIONS)

    def open(self, key: str, *, head_bytes: int = HEAD_BYTES, tail_bytes: int = 0) -> S3RangeReader:
        """Return a reader of the object's present version, after one round trip."""
        check_key(key)
        deadline = self._getter.begin()
        for _ in range(OPENING_TRIES):
            answers = self._read_ends(key, head_bytes, tail_bytes, deadline)
            versions = {S3Version(answer.etag, answer.size) for answer in answers}
            if len(versions) == 1:
                return S3RangeReader(
                    self._getter, key, versions.pop(), self._gap, merged_extents(answers)
                )
        raise SlideChanged(f"{key} is being replaced over and over")

    def resume(self, key: str, version: str) -> S3RangeReader:
        """Return a reader of a version known from before, without a request."""
        check_key(key)
        try:
            known = parse_version(version)
        except ValueError as exc:
            raise SlideChanged(f"{key} never had this version") from exc
        return S3RangeReader(self._getter, key, known, self._gap)

    def stat(self, key: str) -> str:
        """Return the version that `open` would give now."""
        check_key(key)
        answer = self._getter.look_up(key, self._getter.begin())
        return S3Version(answer.etag, answer.size).text

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

    def _read_ends(
        self, key: str, head_bytes: int, tail_bytes: int, deadline: Deadline
    ) -> Sequence[RangeAnswer]:
        """Return the first bytes of an object and, if they are wanted, the last, asked at once."""
        head = RangeRequest(key, 0, head_bytes)
        if not tail_bytes:
            return [self._getter.get(head, deadline)]
        tail = RangeRequest(key, -tail_bytes, tail_bytes)
        tasks: Sequence[Callable[[], RangeAnswer | None]] = (
            partial(self._getter.get, head, deadline),
            partial(self._find_tail, tail, deadline),
        )
        return [answer for answer in self._getter.run(tasks) if answer]

    def _find_tail(self, request: RangeRequest, deadline: Deadline) -> RangeAnswer | None:
        """Return the last bytes of an object; None if the storage cannot count from the end."""
        try:
            return self._getter.get(request, deadline)
        except SlideChanged:
            raise
        except StorageReadError:
            # They only save time: what the head does not hold is read when it is needed.
            return None


def merged_extents(answers: Sequence[RangeAnswer]) -> tuple[Extent, ...]:
    """Return what the answers for head and tail hold, as one extent if they meet."""
    extents = tuple(Extent(answer.offset, answer.data) for answer in answers if answer.data)
    if len(extents) == 2 and extents[1].offset <= extents[0].end:
        head, tail = extents
        return (Extent(head.offset, head.data + tail.data[head.end - tail.offset :]),)
    return extents
