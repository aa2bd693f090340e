"""PlainRequest: a GET without anything special, read in a quarter of the time.

gunicorn's parser looks at every header for what it could mean to a server. Here a head is taken
apart by one expression that matches nothing but a GET of HTTP/1.1 for a path, with headers that
concern the app alone; whatever does not match is gunicorn's to parse or to refuse.
"""

import re
from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.unreader import IterUnreader

# Below every limit that gunicorn sets by default.
LARGEST = 4000
# No "//", which looks like a host, and no fragment. (RFC 9112, sections 3.2.1 and 5)
REQUEST_LINE = re.compile(rb'GET (/(?:[!"$-.0-~][!"$-~]*)?) HTTP/1\.1\r\n')
# A whole line; no piece of it is looked at twice, however it goes on.
FIELD = re.compile(rb"^([A-Za-z][A-Za-z0-9-]*+):([ \t!-~]*+)\r\n", re.MULTILINE)
# The end of a head.
END = b"\r\n\r\n"
# What a server acts upon: bodies, protocols, the fate of the connection. A request has one host,
# so that nobody can take it for another's.
SPECIAL = {
    "CONTENT-TYPE",
    "CONTENT-LENGTH",
    "TRANSFER-ENCODING",
    "TRAILER",
    "TE",
    "EXPECT",
    "UPGRADE",
    "HTTP2-SETTINGS",
    "PROXY-CONNECTION",
    "KEEP-ALIVE",
}


class PlainRequest:
    """What gunicorn's `Request` has, of a request that has no body and keeps the connection."""

    method = "GET"
    version = (1, 1)
    fragment = ""
    scheme = "http"
    proxy_protocol_info = None
    _expected_100_continue = False

    def __init__(self, uri: str, headers: list[tuple[str, str]], client: Any) -> None:
        self.uri = uri
        self.path, _, self.query = uri.partition("?")
        self.headers = headers
        self.trailers: list[tuple[str, str]] = []
        self.peer_addr = self.remote_addr = client
        self.body = Body(LengthReader(IterUnreader(()), 0))
        self.must_close = False

    def force_close(self) -> None:
        """Have the connection closed after the answer."""
        self.must_close = True

    def should_close(self) -> bool:
        """Return whether the connection is closed after the answer."""
        return self.must_close


class PlainHeads:
    """Finds plain requests among those of a client; `cfg` are gunicorn's settings."""

    def __init__(self, cfg: Any, client: Any) -> None:
        limits = (cfg.limit_request_line, cfg.limit_request_field_size)
        self._largest = min(LARGEST, *(limit for limit in limits if limit > 0), LARGEST)
        self._most_fields = cfg.limit_request_fields
        self._client = client
        # Who sends these may say what the app believes of the connection, if it may at all.
        trusted = (*cfg.secure_scheme_headers, *cfg.forwarder_headers)
        self._special = SPECIAL.union(name.upper() for name in trusted)
        self._is_off = (
            bool(cfg.is_ssl)
            or cfg.proxy_protocol not in (False, "off")
            or getattr(cfg, "protocol", "http") != "http"
        )

    def find_request(self, head: bytes) -> PlainRequest | None:
        """Return the request that `head` is, as a whole and nothing behind it; None if not."""
        line = REQUEST_LINE.match(head)
        if line is None or len(head) > self._largest or self._is_off or not head.endswith(END):
            return None
        fields = FIELD.findall(head, line.end(), len(head) - 2)
        # Each line is a field: the expression passed over nothing, and no line is empty.
        if len(fields) != head.count(b"\n") - 2 or len(fields) > self._most_fields:
            return None
        headers = [(name.decode().upper(), value.strip(b" \t").decode()) for name, value in fields]
        hosts = 0
        for name, value in headers:
            if name in self._special or (name == "CONNECTION" and value != "keep-alive"):
                return None
            if name == "HOST":
                hosts += 1
        if hosts > 1:
            return None
        return PlainRequest(line[1].decode(), headers, self._client)
