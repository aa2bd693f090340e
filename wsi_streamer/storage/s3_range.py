"""One ranged GET from S3: asked, read to the end, and believed only if everything fits.

botocore retries what fails before the body. It neither retries nor notices what goes wrong in
the body: cut answers, other ranges than asked for, whole objects.
"""

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError, IncompleteRead

from wsi_streamer.errors import ConfigError, SlideChanged, StorageReadError
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.s3_client import S3Connection
from wsi_streamer.storage.s3_errors import error_status, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

TRIES = 3
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """Bytes wanted of an object; `etag` and `size` are those of the version that was opened.

    Both are None for the first request, which learns them and may reach beyond the end.
    """

    key: str
    offset: int
    length: int
    etag: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """The bytes of a range, and the version and size of the object that they are of."""

    data: bytes
    etag: str
    size: int


@runtime_checkable
class ReadsWhatArrived(Protocol):
    """A stream whose reads need not wait until all that they ask for is there."""

    def read1(self, amt: int, /) -> bytes:
        """Return some bytes, at most `amt`; none at the end."""


class RangeGetter:
    """Asks one bucket for ranges of its objects; keys are relative to `prefix`."""

    def __init__(self, connection: S3Connection, bucket: str, prefix: str) -> None:
        self._connection = connection
        self._bucket = bucket
        self._prefix = prefix

    def get(self, request: RangeRequest) -> RangeAnswer:
        """Return the bytes asked for; an answer that breaks off is asked for again.

        Raises SlideNotFound, SlideChanged, StorageReadError, StorageUnreachable, StorageError.
        """
        deadline = self._connection.begin()
        tries = 0
        while True:
            try:
                return self._try_get(request, deadline)
            except HTTPError as exc:
                tries += 1
                deadline.check()
                if tries == TRIES:
                    raise translated(exc, request.key) from exc

    def look_up(self, key: str) -> RangeAnswer:
        """Return the version and size of an object, without bytes; same errors."""
        with self._connection.call(key, self._connection.begin()) as client:
            reply = client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        etag, size = reply.get("ETag", ""), reply.get("ContentLength")
        if not etag.strip('"') or size is None:
            raise StorageReadError(f"the storage does not tell the version of {key}")
        return RangeAnswer(b"", etag, size)

    def _try_get(self, request: RangeRequest, deadline: Deadline) -> RangeAnswer:
        with self._connection.call(request.key, deadline) as client:
            try:
                reply = self._send(client, request)
            except ClientError as exc:
                # An object without bytes has no range that could be asked for.
                if request.size is None and error_status(exc) == 416:
                    return self._empty(request.key)
                raise
        # The raw stream knows read1, which returns what has arrived. Only so is a body that
        # drips noticed: the time-out of the socket begins anew with each byte.
        stream: AbstractContextManager[object] = reply["Body"]
        with stream as raw:
            etag, size = checked_version(request, reply)
            length = checked_length(request, reply, size)
            return RangeAnswer(read_body(raw, length, deadline), etag, size)

    def _send(self, client: "S3Client", request: RangeRequest) -> "GetObjectOutputTypeDef":
        key = self._prefix + request.key
        asked = f"bytes={request.offset}-{request.offset + request.length - 1}"
        if request.etag is None:
            return client.get_object(Bucket=self._bucket, Key=key, Range=asked)
        return client.get_object(Bucket=self._bucket, Key=key, Range=asked, IfMatch=request.etag)

    def _empty(self, key: str) -> RangeAnswer:
        answer = self.look_up(key)
        if answer.size:
            raise StorageReadError(f"the storage gives no bytes of {key}, which is not empty")
        return answer


def checked_version(request: RangeRequest, reply: "GetObjectOutputTypeDef") -> tuple[str, int]:
    """Return the ETag and size that an answer is of; raises unless they are those opened."""
    etag = reply.get("ETag", "")
    if not etag.strip('"'):
        raise StorageReadError(f"the storage gives no ETag for {request.key}")
    if request.etag not in (None, etag):
        raise SlideChanged(f"{request.key} was replaced since it was opened")
    size = answered_size(reply)
    if size is None or request.size not in (None, size):
        raise StorageReadError(f"the storage does not say which bytes of {request.key} it gave")
    return etag, size


def answered_size(reply: "GetObjectOutputTypeDef") -> int | None:
    """Return the size of the object as an answer gives it, None if it does not."""
    if reply["ResponseMetadata"]["HTTPStatusCode"] == 200:
        return reply.get("ContentLength")
    match = re.fullmatch("bytes [0-9]+-[0-9]+/([0-9]{1,18})", reply.get("ContentRange", ""))
    return int(match[1]) if match else None


def checked_length(request: RangeRequest, reply: "GetObjectOutputTypeDef", size: int) -> int:
    """Return the length that the body must have; raises unless it is the range asked for."""
    end = min(request.offset + request.length, size)
    length = end - request.offset
    if reply["ResponseMetadata"]["HTTPStatusCode"] == 200:
        # The whole object, which is right only if all of it was asked for.
        fits = request.offset == 0 and length == size
    else:
        fits = reply.get("ContentRange") == f"bytes {request.offset}-{end - 1}/{size}"
    if not fits or reply.get("ContentLength", length) != length:
        raise StorageReadError(f"the storage gave other bytes of {request.key} than asked for")
    return length


def read_body(raw: object, length: int, deadline: Deadline) -> bytes:
    """Return the body of an answer, of exactly `length` bytes.

    Raises urllib3's errors, IncompleteRead for a body that ends early among them.
    """
    if not isinstance(raw, ReadsWhatArrived):
        raise ConfigError("urllib3 is too old: version 2.2.1 or newer is needed")
    chunks: list[bytes] = []
    missing = length
    # Reading on to the end, where a read gives nothing, frees the connection for the next call.
    while missing >= 0 and (chunk := raw.read1(CHUNK_BYTES)):
        chunks.append(chunk)
        missing -= len(chunk)
        deadline.check()
    if missing > 0:
        raise IncompleteRead(length - missing, missing)
    if missing < 0:
        raise StorageReadError("the storage gave more bytes than asked for")
    return b"".join(chunks)
