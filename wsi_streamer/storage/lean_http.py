"""Answers of http.client that read their headers without the parser of e-mail.

http.client parses headers as those of a mail, which takes a quarter of the CPU time of a small
request. Everything else of it stays as it is.
"""

import http.client
import re
from collections.abc import Iterator

# As in http.client.
MAX_LINE_BYTES = 65_536
MAX_HEADERS = 100
# Of a Content-Length; Python refuses to read very long numbers.
MAX_DIGITS = 18
# Of a header (RFC 9110, section 5.6.2).
NAME = re.compile("[-!#$%&'*+.^_`|~0-9A-Za-z]+")


class LeanResponse(http.client.HTTPResponse):
    """An answer whose status line and headers `begin` reads in its own way; see there."""

    def begin(self) -> None:
        """Read status line and headers, and set what http.client would set.

        Raises HTTPException for what is no HTTP/1 (RFC 9112, sections 2 to 5), folded header
        lines, lines without a proper name, and two lengths among it.
        """
        if self.headers is not None:
            return
        status = 100
        while status == 100:
            version, status, self.reason = self._read_status_line()
            message = http.client.HTTPMessage()
            for name, value in self._read_headers():
                message.set_raw(name, value)
        self.code = self.status = status
        self.version = version
        self.headers = self.msg = message
        self._set_framing(message)

    def _read_status_line(self) -> tuple[int, int, str]:
        line = self._read_line()
        if not line:
            raise http.client.RemoteDisconnected("Remote end closed connection without response")
        words = line.decode("latin-1").split(None, 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or len(words[1]) != 3:
            raise http.client.BadStatusLine(repr(line))
        if not words[1].isdecimal():
            raise http.client.BadStatusLine(repr(line))
        version = 10 if words[0] == "HTTP/1.0" else 11
        return version, int(words[1]), "".join(words[2:]).strip()

    def _read_headers(self) -> Iterator[tuple[str, str]]:
        for _ in range(MAX_HEADERS + 1):
            line = self._read_line()
            if line in (b"\r\n", b"\n", b""):
                return
            name, colon, value = line.decode("latin-1").partition(":")
            if not colon or not NAME.fullmatch(name):
                raise http.client.HTTPException("a header line without a name")
            yield name, value.strip(" \t\r\n")
        raise http.client.HTTPException(f"got more than {MAX_HEADERS} headers")

    def _read_line(self) -> bytes:
        line = self.fp.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES:
            raise http.client.LineTooLong("header line")
        # It ends lines for some who read it (RFC 9112, section 2.2).
        if b"\r" in line[:-2]:
            raise http.client.HTTPException("a CR within a line")
        return line

    def _set_framing(self, message: http.client.HTTPMessage) -> None:
        """Find out where the body ends (RFC 9112, section 6.3)."""
        if len(message.get_all("Content-Length", [])) > 1:
            raise http.client.HTTPException("more than one Content-Length")
        self.chunked = message.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = message.get("Content-Length", "")
        known = length.isdecimal() and len(length) <= MAX_DIGITS and not self.chunked
        self.length = int(length) if known else None
        if self.status in (204, 304):
            self.length = 0
        closing = "close" in message.get("Connection", "").lower() or self.version == 10
        self.will_close = closing or (self.length is None and not self.chunked)
