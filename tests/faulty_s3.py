"""A small S3 server that answers wrongly when told to, and writes down what it was asked.

It knows one bucket, GetObject with Range and If-Match, HeadObject, and nothing of signatures.
"""

import email.utils
import hashlib
import re
import ssl
import struct
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_LINGER, SOL_SOCKET
from types import TracebackType
from urllib.parse import unquote, urlsplit


class Fault(Enum):
    """What goes wrong with one request."""

    NONE = "nothing"
    INTERNAL_ERROR = "500"
    SLOW_DOWN = "503"
    RESET = "the connection is reset before an answer"
    TRUNCATED = "the body ends before its Content-Length"
    SHORT = "the body and its Content-Length are shorter than the range"
    LONG = "the body and its Content-Length are longer than the range"
    WHOLE = "200 with the whole object"
    OTHER_RANGE = "the bytes, and Content-Range, of another range"
    NO_RANGE = "206 without Content-Range"
    OTHER_TOTAL = "another total in Content-Range"
    OTHER_ETAG = "another ETag"
    NO_ETAG = "no ETag"
    STALL = "nothing more after half of the body"
    SILENT = "no answer at all"
    DRIP = "one byte of the body at a time"
    DRIPPING_HEAD = "one byte of headers without an end at a time"
    CHANGED = "412"
    DENIED = "403"
    MISSING = "404 NoSuchKey"
    NO_BUCKET = "404 NoSuchBucket"
    WRONG_REGION = "400 AuthorizationHeaderMalformed"
    REDIRECT = "301 PermanentRedirect"
    WRONG_KEY = "403 InvalidAccessKeyId"
    WRONG_SECRET = "403 SignatureDoesNotMatch"
    HTML = "200 with a page that says welcome"
    THROTTLED = "429"
    EXPIRED_TOKEN = "400 ExpiredToken"
    SKEWED_CLOCK = "403 RequestTimeTooSkewed"
    BAD_RANGE = "416 InvalidRange"
    CHATTY = "403 with a megabyte of text"


ERRORS = {
    Fault.INTERNAL_ERROR: (500, "InternalError"),
    Fault.SLOW_DOWN: (503, "SlowDown"),
    Fault.CHANGED: (412, "PreconditionFailed"),
    Fault.DENIED: (403, "AccessDenied"),
    Fault.MISSING: (404, "NoSuchKey"),
    Fault.NO_BUCKET: (404, "NoSuchBucket"),
    Fault.WRONG_REGION: (400, "AuthorizationHeaderMalformed"),
    Fault.REDIRECT: (301, "PermanentRedirect"),
    Fault.WRONG_KEY: (403, "InvalidAccessKeyId"),
    Fault.WRONG_SECRET: (403, "SignatureDoesNotMatch"),
    Fault.THROTTLED: (429, "TooManyRequests"),
    Fault.EXPIRED_TOKEN: (400, "ExpiredToken"),
    Fault.SKEWED_CLOCK: (403, "RequestTimeTooSkewed"),
    Fault.BAD_RANGE: (416, "InvalidRange"),
}

# Answers that no S3 would give.
ODDITIES = {Fault.RESET, Fault.SILENT, Fault.HTML, Fault.CHATTY, Fault.DRIPPING_HEAD}


@dataclass(frozen=True)
class Request:
    """One request as it came; `connection` tells connections apart."""

    method: str
    path: str
    range: str
    if_match: str
    connection: int
    authorization: str = ""
    token: str = ""


class FaultySlides(ThreadingHTTPServer):
    """What the handlers share."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self.objects = dict(objects)
        self.plan: deque[Fault] = deque()
        self.tail_plan: deque[Fault] = deque()
        self.always = Fault.NONE
        self.retry_after: str | None = None
        self.region: str | None = None
        self.meeting: threading.Barrier | None = None
        self.requests: list[Request] = []
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that go away are what this server is for."""


class FaultyS3:
    """The running server; a context manager.

    `plan` holds the faults of the next requests, one each; then `always` applies. `tail_plan` is
    the same for requests that count from the end. With a certificate it speaks TLS.
    """

    bucket = "slides"

    def __init__(
        self, objects: Mapping[str, bytes], certificate: ssl.SSLContext | None = None
    ) -> None:
        self._server = FaultySlides(objects)
        self._scheme = "https" if certificate else "http"
        if certificate:
            self._server.socket = certificate.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.objects = self._server.objects
        self.plan = self._server.plan
        self.tail_plan = self._server.tail_plan
        self.requests = self._server.requests

    @property
    def endpoint(self) -> str:
        """The URL to give as endpoint_url."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def always(self) -> Fault:
        """The fault of each request beyond the plan."""
        return self._server.always

    @always.setter
    def always(self, fault: Fault) -> None:
        self._server.always = fault

    def refuse_until(self, retry_after: str | None) -> None:
        """Send this as Retry-After with each refusal."""
        self._server.retry_after = retry_after

    def move_to(self, region: str | None) -> None:
        """Refuse, as AWS does, what was signed for another region."""
        self._server.region = region

    def answer_only_together(self, count: int) -> None:
        """Answer from here on only when `count` requests wait for it at the same time."""
        self._server.meeting = threading.Barrier(count) if count else None

    def reset(self, objects: Mapping[str, bytes]) -> None:
        """Hold these objects alone, forget faults and requests."""
        self.objects.clear()
        self.objects.update(objects)
        self.plan.clear()
        self.tail_plan.clear()
        self.requests.clear()
        self.always = Fault.NONE
        self.refuse_until(None)
        self.move_to(None)
        self.answer_only_together(0)

    def stop(self) -> None:
        """End the server, stalled answers included."""
        self._server.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> "FaultyS3":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultySlides

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing to the terminal."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        asked = self.headers.get("Range", "")
        if_match = self.headers.get("If-Match", "")
        self.server.requests.append(
            Request(
                self.command,
                path,
                asked,
                if_match,
                self.client_address[1],
                self.headers.get("Authorization", ""),
                self.headers.get("X-Amz-Security-Token", ""),
            )
        )
        if self.server.meeting:
            self.server.meeting.wait(5)
        plan = self.server.tail_plan if asked.startswith("bytes=-") else self.server.plan
        fault = plan.popleft() if plan else self.server.always
        region = self.server.region
        if region and f"/{region}/s3/" not in self.headers.get("Authorization", ""):
            self._refuse(400, "AuthorizationHeaderMalformed", {"x-amz-bucket-region": region})
        elif fault in ODDITIES:
            self._be_odd(fault)
        elif fault in ERRORS:
            self._refuse(*ERRORS[fault])
        else:
            self._answer_with(path.removeprefix(f"/{FaultyS3.bucket}/"), asked, fault)

    def _answer_with(self, key: str, asked: str, fault: Fault) -> None:
        data = self.server.objects.get(key)
        if data is None:
            self._refuse(404, "NoSuchKey")
        elif self.headers.get("If-Match", "") not in ("", etag_of(data)):
            self._refuse(412, "PreconditionFailed")
        else:
            self._give(data, asked, fault)

    def _be_odd(self, fault: Fault) -> None:
        if fault is Fault.HTML:
            self._send(200, {"Content-Type": "text/html"}, b"<html>Welcome to nginx!</html>")
        elif fault is Fault.CHATTY:
            self._send(403, {}, b"no " * 350_000)
        elif fault is Fault.DRIPPING_HEAD:
            self._drip(b"HTTP/1.1 206 Partial Content\r\nX: " + b"x" * 1000)
            self.close_connection = True
        else:
            if fault is Fault.SILENT:
                self.server.ended.wait(20)
            self._reset()

    def _give(self, data: bytes, asked: str, fault: Fault) -> None:
        headers = {
            "ETag": etag_of(data),
            "Last-Modified": email.utils.formatdate(0, usegmt=True),
            "Content-Type": "application/octet-stream",
        }
        match = re.fullmatch("bytes=([0-9]*)-([0-9]+)", asked)
        if not match or fault is Fault.WHOLE:
            self._send(200, headers, data)
            return
        if match[1]:
            first, last = int(match[1]), min(int(match[2]), len(data) - 1)
        else:
            first, last = max(len(data) - int(match[2]), 0), len(data) - 1
        if first > last:
            self._refuse(416, "InvalidRange")
            return
        headers |= {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
        self._spoil(fault, data, range(first, last + 1), headers)

    def _spoil(self, fault: Fault, data: bytes, given: range, headers: dict[str, str]) -> None:
        first, last = given[0], given[-1]
        if fault is Fault.OTHER_RANGE:
            first, last = first + 1000, last + 1000
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        headers |= {
            Fault.OTHER_TOTAL: {"Content-Range": f"bytes {first}-{last}/{len(data) + 1}"},
            Fault.OTHER_ETAG: {"ETag": '"0123456789"'},
            Fault.NO_ETAG: {"ETag": ""},
            Fault.NO_RANGE: {"Content-Range": ""},
        }.get(fault, {})
        if fault is Fault.SHORT:
            last -= (last - first) // 2
        if fault is Fault.LONG:
            last += 10
        self._send(206, headers, data[first : last + 1], fault)

    def _send(
        self, status: int, headers: Mapping[str, str], body: bytes, fault: Fault = Fault.NONE
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, fault)

    def _send_body(self, body: bytes, fault: Fault) -> None:
        if fault is Fault.DRIP:
            self._drip(body)
        elif fault in (Fault.TRUNCATED, Fault.STALL):
            self.wfile.write(body[: len(body) // 2])
            if fault is Fault.STALL:
                self.server.ended.wait(20)
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _drip(self, data: bytes) -> None:
        for i in range(len(data)):
            self.wfile.write(data[i : i + 1])
            if self.server.ended.wait(0.02):
                return

    def _refuse(self, status: int, code: str, more: Mapping[str, str] | None = None) -> None:
        text = f"<Error><Code>{code}</Code><Message>no: http://x/?key=SECRET</Message></Error>"
        headers = {"Content-Type": "application/xml", "Retry-After": self.server.retry_after or ""}
        self._send(status, {**headers, **(more or {})}, text.encode())

    def _reset(self) -> None:
        # Closing a socket that does not linger sends RST.
        self.connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


def etag_of(data: bytes) -> str:
    """Return the ETag under which an object is served."""
    return f'"{hashlib.md5(data).hexdigest()}"'
