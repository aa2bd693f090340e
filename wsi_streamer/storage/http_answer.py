"""Answers over HTTP whose body has yet to be read: plain ones, and all others."""

import http.client
import io
import re

from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError

from wsi_streamer.errors import StorageReadError
from wsi_streamer.storage.lean_http import MAX_DIGITS, MAX_HEADERS, LeanResponse
from wsi_streamer.storage.wire import Replay, Wire

CHUNK_BYTES = 64 * 1024
# The kernel has to have room for it.
MOST_EXPECTED = 512 * 1024
# The answers that bring bytes.
PLAIN_STATUSES = {"HTTP/1.1 200 ": 200, "HTTP/1.1 206 ": 206}
HEADER_LINE = re.compile("\r\n([-!#$%&'*+.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)")
FRAMING = {"content-length", "content-range", "etag", "transfer-encoding", "connection"}
# Names in lower case; values of a header that is repeated are joined by commas.
Headers = dict[str, str]


class PlainAnswer:
    """A 200 or 206 of known length, received up to `got`; its body begins at `begin` of `block`."""

    def __init__(
        self, status: int, headers: Headers, block: bytearray, span: tuple[int, int], wire: Wire
    ) -> None:
        self.status = status
        self.headers = headers
        self._block = block
        self._begin, self._got = span
        self._end = self._begin + int(headers["content-length"])
        self._wire = wire

    @property
    def is_drained(self) -> bool:
        """Whether just this answer was received, and the connection stays open for another."""
        return self._got == self._end and "close" not in self.headers.get("connection", "").lower()

    def read_exactly(self, length: int) -> bytes:
        """Return the body, of `length` bytes.

        Raises urllib3's errors, IncompleteRead for a body that ends early among them, and
        StorageReadError for one that has another length.
        """
        begin, end = self._begin, self._end
        if end - begin != length:
            raise StorageReadError("the storage gave another number of bytes than asked for")
        with memoryview(self._block) as block:
            if end <= len(block):
                self._receive(block, 0)
                return bytes(block[begin:end])
            # Neither filled with zeros nor copied: of 3 MiB, each would take a millisecond or two.
            body = io.BytesIO(bytes(length))
            with body.getbuffer() as room:
                room[: self._got - begin] = block[begin : self._got]
                self._receive(room, begin)
        return body.getvalue()

    def _receive(self, room: memoryview, start: int) -> None:
        """Receive the rest of the answer into `room`, which begins at its byte `start`."""
        try:
            while self._got < self._end:
                self._wire.expect(min(self._end - self._got, MOST_EXPECTED))
                count = self._wire.receive(room[self._got - start : self._end - start])
                if not count:
                    raise IncompleteRead(self._got - self._begin, self._end - self._got)
                self._got += count
        finally:
            # The next answer may be a short one.
            self._wire.expect(1)


class OddAnswer:
    """Any other answer, read from its first byte by LeanResponse.

    Raises urllib3's errors, ProtocolError for what is no HTTP.
    """

    def __init__(self, received: bytes, wire: Wire) -> None:
        self._response = LeanResponse(Replay(received, wire))  # type: ignore[arg-type]
        try:
            self._response.begin()
        except http.client.HTTPException as exc:
            raise ProtocolError("this is no answer", exc) from exc
        self.status = self._response.status
        self.headers: Headers = {}
        for name, value in self._response.headers.items():
            add_header(self.headers, name, value)

    @property
    def is_drained(self) -> bool:
        """Whether all was read, and the connection stays open for another request."""
        response = self._response
        if response.will_close:
            return False
        # http.client closes its file behind the last chunk.
        return response.isclosed() if response.chunked else response.length == 0

    def read_exactly(self, length: int) -> bytes:
        """Return the body; see PlainAnswer."""
        chunks: list[bytes] = []
        missing = length
        while missing >= 0 and (chunk := self._read_some(CHUNK_BYTES)):
            chunks.append(chunk)
            missing -= len(chunk)
        if missing > 0 or self._response.length:
            raise IncompleteRead(length - missing, missing)
        if missing < 0:
            raise StorageReadError("the storage gave more bytes than asked for")
        return b"".join(chunks)

    def read_beginning(self, limit: int) -> bytes:
        """Return the first bytes of the body, `limit` at most, as far as they come."""
        chunks: list[bytes] = []
        try:
            while limit and (chunk := self._read_some(limit)):
                chunks.append(chunk)
                limit -= len(chunk)
        except HTTPError:
            pass
        return b"".join(chunks)

    def _read_some(self, limit: int) -> bytes:
        """Return what has arrived: only so is a body that drips noticed."""
        try:
            return self._response.read1(limit)
        except http.client.HTTPException as exc:
            raise ProtocolError("the answer breaks off", exc) from exc


Answer = PlainAnswer | OddAnswer


def parse_plain(head: str) -> tuple[int, Headers] | None:
    """Return status and framing of a plain answer; None if there is any doubt that it is one.

    `head` is all before the empty line. Lines that end, or go on, in other ways than RFC 9112
    wants it (sections 2.2 and 5), codings, and lengths that are no number are such doubts. Of the
    headers those are returned that say which bytes these are.
    """
    found = HEADER_LINE.findall(head)
    count = len(found)
    status = PLAIN_STATUSES.get(head[:13])
    if status is None or count > MAX_HEADERS or not count == head.count("\n") == head.count("\r"):
        return None
    headers: Headers = {}
    for name, value in found:
        if name.lower() in FRAMING:
            add_header(headers, name, value.rstrip(" \t"))
    length = headers.get("content-length", "")
    if not length.isdecimal() or len(length) > MAX_DIGITS or "transfer-encoding" in headers:
        return None
    return status, headers


def add_header(headers: Headers, name: str, value: str) -> None:
    """Note a header; of one that comes twice, both values (RFC 9110, section 5.3)."""
    name = name.lower()
    headers[name] = f"{headers[name]}, {value}" if name in headers else value
