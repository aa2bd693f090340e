"""Ranged GETs from a bucket: signed by botocore, sent by urllib3, tried again by us."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry, Timeout

from wsi_streamer.errors import StorageError, StorageReadError
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.retries import Retries
from wsi_streamer.storage.s3_answer import RangeAnswer, RangeRequest, read_answer
from wsi_streamer.storage.s3_client import S3Connection
from wsi_streamer.storage.s3_errors import (
    WRONG_REGION_CODES,
    NoAnswer,
    Refused,
    translated,
    translated_errors,
)
from wsi_streamer.storage.s3_signing import SignedGet

T = TypeVar("T")

# Statuses that say "later".
PASSING = {429, 500, 502, 503, 504}
# Refusals of a signature that a new one may mend: credentials rotate, clocks are set.
STALE_CODES = {"ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"}
# urllib3 tries nothing again, and follows no redirect.
ONCE = Retry(False)


class RangeGetter:
    """Asks one bucket for ranges of its objects; keys are relative to `prefix`."""

    def __init__(self, connection: S3Connection, bucket: str, prefix: str) -> None:
        self._connection = connection
        self._bucket = bucket
        self._prefix = prefix
        access = connection.access
        self._attempt_s = access.attempt_s
        self._connect_s = access.connect_s
        self._timeout = Timeout(total=access.attempt_s, connect=access.connect_s)

    def begin(self) -> Deadline:
        """Return the deadline of a question that begins now, however many requests it takes."""
        return self._connection.begin()

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Return what the tasks return, which wait for the storage at the same time."""
        return self._connection.parallel().run(tasks)

    def get(self, request: RangeRequest, deadline: Deadline) -> RangeAnswer:
        """Return the bytes asked for; what fails for a while is tried again.

        Raises SlideNotFound, SlideChanged, StorageReadError, StorageUnreachable, StorageError.
        """
        retries = Retries(deadline)
        renewed = False
        while True:
            deadline.check()
            try:
                return self._try_get(request, deadline)
            except (HTTPError, NoAnswer) as exc:
                if not retries.wait():
                    raise translated(exc, request.key) from exc
            except Refused as exc:
                if exc.status == 416 and request.size is None:
                    # An object without bytes has no range that could be asked for.
                    return self._empty(request.key, deadline)
                if not renewed and exc.code in STALE_CODES | WRONG_REGION_CODES:
                    renewed = True
                    self._renew(exc, request.key, deadline)
                elif exc.status not in PASSING or not retries.wait(exc.retry_after_s):
                    raise translated(exc, request.key) from exc

    def look_up(self, key: str, deadline: Deadline) -> RangeAnswer:
        """Return the version and size of an object, without bytes; same errors."""
        with self._connection.call(key, deadline) as client:
            reply = client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        etag, size = reply.get("ETag", ""), reply.get("ContentLength")
        if not etag.strip('"') or size is None:
            raise StorageReadError(f"the storage does not tell the version of {key}")
        return RangeAnswer(0, b"", etag, size)

    def _try_get(self, request: RangeRequest, deadline: Deadline) -> RangeAnswer:
        with translated_errors(request.key):
            signed = self._connection.signer(deadline).sign(
                self._bucket, self._prefix + request.key
            )
        response = self._send(signed, request, deadline)
        try:
            return read_answer(request, response, deadline)
        finally:
            # After an answer that was read to its end, the connection is back already.
            response.close()
            response.release_conn()

    def _send(
        self, signed: SignedGet, request: RangeRequest, deadline: Deadline
    ) -> BaseHTTPResponse:
        headers = {**signed.headers, "Range": request.range}
        if request.etag is not None:
            headers["If-Match"] = request.etag
        left_s = deadline.left_s()
        timeout = self._timeout
        if left_s < self._attempt_s:
            timeout = Timeout(total=left_s, connect=self._connect_s)
        try:
            return signed.pool.urlopen(
                "GET",
                signed.target,
                headers=headers,
                retries=ONCE,
                redirect=False,
                assert_same_host=False,
                timeout=timeout,
                # It waits for parts of seconds as well, whatever its annotation says.
                pool_timeout=left_s,  # type: ignore[arg-type]
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as exc:
            raise NoAnswer from exc
        except ValueError as exc:
            # An ETag that cannot be sent back.
            raise translated(exc, request.key) from exc

    def _renew(self, refused: Refused, key: str, deadline: Deadline) -> None:
        """Prepare another try of what was signed for an old session, or for another region."""
        self._connection.signer(deadline).forget(self._bucket, self._prefix + key)
        if refused.code in WRONG_REGION_CODES:
            # The SDK learns from answers to its own questions where a bucket lies.
            try:
                self.look_up(key, deadline)
            except StorageError:
                raise translated(refused, key) from refused

    def _empty(self, key: str, deadline: Deadline) -> RangeAnswer:
        answer = self.look_up(key, deadline)
        if answer.size:
            raise StorageReadError(f"the storage gives no bytes of {key}, which is not empty")
        return answer
