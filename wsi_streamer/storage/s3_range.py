"""Ranged GETs from a bucket: signed by botocore, sent by `exchange`, tried again by us."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from urllib3.exceptions import HTTPError

from wsi_streamer.errors import StorageError, StorageReadError
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.exchange import Exchange, Question, Waits
from wsi_streamer.storage.http_request import header_line
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


class RangeGetter:
    """Asks one bucket for ranges of its objects; keys are relative to `prefix`."""

    def __init__(self, connection: S3Connection, bucket: str, prefix: str) -> None:
        self._connection = connection
        self._bucket = bucket
        self._prefix = prefix
        access = connection.access
        self._waits = Waits(access.connect_s, access.attempt_s)

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
            question = make_question(signed, request)
        with Exchange(signed.pool, self._waits, deadline) as exchange:
            return read_answer(request, exchange.ask(question))

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


def make_question(signed: SignedGet, request: RangeRequest) -> Question:
    """Return a request as it is sent; raises ValueError for an ETag that cannot be sent back."""
    message = signed.head + f"Range: {request.range}\r\n".encode("ascii")
    if request.etag is not None:
        message += header_line("If-Match", request.etag)
    return Question(message + b"\r\n", request.length)
