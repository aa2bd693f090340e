"""What S3 answers to a ranged GET, read to its end and believed only if everything fits."""

import re
from dataclasses import dataclass

from wsi_streamer.errors import SlideChanged, StorageReadError
from wsi_streamer.storage.http_answer import Answer, OddAnswer
from wsi_streamer.storage.s3_errors import Refused

# A refusal is a few hundred bytes of XML; whoever sends more is not S3.
MAX_REFUSAL_BYTES = 64 * 1024
# Content-Length and Content-Range, with the size of the object.
WHOLE = re.compile("([0-9]{1,18})")
PART = re.compile("bytes [0-9]+-[0-9]+/([0-9]{1,18})")


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


def read_answer(request: RangeRequest, answer: Answer) -> RangeAnswer:
    """Return the bytes asked for.

    Raises Refused for any other status, urllib3's errors if the body breaks off, SlideChanged,
    and StorageReadError for an answer that does not fit the question.
    """
    if isinstance(answer, OddAnswer) and answer.status not in (200, 206):
        raise read_refusal(answer)
    etag, size = checked_version(request, answer)
    offset, length = checked_range(request, answer, size)
    return RangeAnswer(offset, answer.read_exactly(length), etag, size)


def read_refusal(answer: OddAnswer) -> Refused:
    """Return what an answer says that brings no bytes; what it says may be cut short."""
    text = answer.read_beginning(MAX_REFUSAL_BYTES)
    # No parser of XML: all that counts is one word, and whoever answers chooses the rest.
    code = re.search(rb"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>", text)
    wait = re.fullmatch("[0-9]{1,6}", answer.headers.get("retry-after", ""))
    return Refused(
        answer.status,
        code[1].decode() if code else str(answer.status),
        int(wait[0]) if wait else 0,
    )


def checked_version(request: RangeRequest, answer: Answer) -> tuple[str, int]:
    """Return the ETag and size that an answer is of; raises unless they are those opened."""
    etag = answer.headers.get("etag", "")
    if not etag.strip('"'):
        raise StorageReadError(f"the storage gives no ETag for {request.key}")
    if request.etag not in (None, etag):
        raise SlideChanged(f"{request.key} was replaced since it was opened")
    size = answered_size(answer)
    if size is None or request.size not in (None, size):
        raise StorageReadError(f"the storage does not say which bytes of {request.key} it gave")
    return etag, size


def answered_size(answer: Answer) -> int | None:
    """Return the size of the object as an answer gives it, None if it does not."""
    if answer.status == 200:
        match = WHOLE.fullmatch(answer.headers.get("content-length", ""))
    else:
        match = PART.fullmatch(answer.headers.get("content-range", ""))
    return int(match[1]) if match else None


def checked_range(request: RangeRequest, answer: Answer, size: int) -> tuple[int, int]:
    """Return where the body begins and how long it is; raises unless that was asked for."""
    offset, end = request.within(size)
    length = end - offset
    if answer.status == 200:
        # The whole object, which is right only if all of it was asked for.
        fits = offset == 0 and length == size
    else:
        fits = answer.headers.get("content-range") == f"bytes {offset}-{end - 1}/{size}"
    if not fits or answer.headers.get("content-length", str(length)) != str(length):
        raise StorageReadError(f"the storage gave other bytes of {request.key} than asked for")
    return offset, length
