"""What S3 answers to a ranged GET, read to its end and believed only if everything fits."""

import re
from contextlib import suppress
from dataclasses import dataclass

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, IncompleteRead
from urllib3.response import BaseHTTPResponse

from wsi_streamer.errors import SlideChanged, StorageReadError
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.s3_errors import Refused

CHUNK_BYTES = 64 * 1024
# A refusal is a few hundred bytes of XML; whoever sends more is not S3.
MAX_REFUSAL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """Bytes wanted of an object; `etag` and `size` are those of the version that was opened.

    Both are None for the first requests, which learn them and may reach beyond the object. A
    negative offset, of such a request, counts from the end: (-length, length) are the last bytes.
    """

    key: str
    offset: int
    length: int
    etag: str | None = None
    size: int | None = None

    @property
    def range(self) -> str:
        """The Range header (RFC 9110, section 14.1.2)."""
        if self.offset < 0:
            return f"bytes=-{self.length}"
        return f"bytes={self.offset}-{self.offset + self.length - 1}"

    def within(self, size: int) -> tuple[int, int]:
        """Return the first offset asked for of an object of `size` bytes, and the one behind."""
        if self.offset < 0:
            return max(size + self.offset, 0), size
        return self.offset, min(self.offset + self.length, size)


@dataclass(frozen=True, slots=True)
class RangeAnswer:
    """The bytes of a range, where they begin, and the version and size of their object."""

    offset: int
    data: bytes
    etag: str
    size: int


def read_answer(
    request: RangeRequest, response: BaseHTTPResponse, deadline: Deadline
) -> RangeAnswer:
    """Return the bytes asked for.

    Raises Refused for any other status, urllib3's errors if the body breaks off, SlideChanged,
    and StorageReadError for an answer that does not fit the question.
    """
    if response.status not in (200, 206):
        raise read_refusal(response, deadline)
    etag, size = checked_version(request, response)
    offset, length = checked_range(request, response, size)
    return RangeAnswer(offset, read_body(response, length, deadline), etag, size)


def read_refusal(response: BaseHTTPResponse, deadline: Deadline) -> Refused:
    """Return what an answer says that brings no bytes; what it says may be cut short."""
    chunks: list[bytes] = []
    room = MAX_REFUSAL_BYTES
    with suppress(HTTPError):
        while room and (chunk := response.read1(room)):
            chunks.append(chunk)
            room -= len(chunk)
            limit_wait(response, deadline)
    # No parser of XML: all that counts is one word, and whoever answers chooses the rest.
    code = re.search(rb"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>", b"".join(chunks))
    wait = re.fullmatch("[0-9]{1,6}", response.headers.get("Retry-After", ""))
    return Refused(
        response.status,
        code[1].decode() if code else str(response.status),
        int(wait[0]) if wait else 0,
    )


def checked_version(request: RangeRequest, response: BaseHTTPResponse) -> tuple[str, int]:
    """Return the ETag and size that an answer is of; raises unless they are those opened."""
    etag = response.headers.get("ETag", "")
    if not etag.strip('"'):
        raise StorageReadError(f"the storage gives no ETag for {request.key}")
    if request.etag not in (None, etag):
        raise SlideChanged(f"{request.key} was replaced since it was opened")
    size = answered_size(response)
    if size is None or request.size not in (None, size):
        raise StorageReadError(f"the storage does not say which bytes of {request.key} it gave")
    return etag, size


def answered_size(response: BaseHTTPResponse) -> int | None:
    """Return the size of the object as an answer gives it, None if it does not."""
    if response.status == 200:
        match = re.fullmatch("([0-9]{1,18})", response.headers.get("Content-Length", ""))
    else:
        match = re.fullmatch(
            "bytes [0-9]+-[0-9]+/([0-9]{1,18})", response.headers.get("Content-Range", "")
        )
    return int(match[1]) if match else None


def checked_range(request: RangeRequest, response: BaseHTTPResponse, size: int) -> tuple[int, int]:
    """Return where the body begins and how long it is; raises unless that was asked for."""
    offset, end = request.within(size)
    length = end - offset
    if response.status == 200:
        # The whole object, which is right only if all of it was asked for.
        fits = offset == 0 and length == size
    else:
        fits = response.headers.get("Content-Range") == f"bytes {offset}-{end - 1}/{size}"
    if not fits or response.headers.get("Content-Length", str(length)) != str(length):
        raise StorageReadError(f"the storage gave other bytes of {request.key} than asked for")
    return offset, length


def read_body(response: BaseHTTPResponse, length: int, deadline: Deadline) -> bytes:
    """Return the body of an answer, of exactly `length` bytes.

    Raises urllib3's errors, IncompleteRead for a body that ends early among them.
    """
    chunks: list[bytes] = []
    missing = length
    # A read returns what has arrived. Only so is a body that drips noticed. Reading on to the end,
    # where a read gives nothing, frees the connection for the next call.
    while missing >= 0 and (chunk := response.read1(CHUNK_BYTES)):
        chunks.append(chunk)
        missing -= len(chunk)
        limit_wait(response, deadline)
    if missing > 0:
        raise IncompleteRead(length - missing, missing)
    if missing < 0:
        raise StorageReadError("the storage gave more bytes than asked for")
    return b"".join(chunks)


def limit_wait(response: BaseHTTPResponse, deadline: Deadline) -> None:
    """Let the next read of a body end with the deadline; raises StorageUnreachable after it.

    The time-out of a socket is one of each byte, not of all.
    """
    left_s = deadline.left_s()
    connection = response.connection
    sock = connection.sock if isinstance(connection, HTTPConnection) else None
    if sock and (sock.gettimeout() or left_s) > left_s:
        sock.settimeout(left_s)
