"""Headers read in our own way mean what http.client takes them to mean."""

import http.client
import socket

import pytest
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from wsi_streamer.storage.lean_http import LeanConnection

Outcome = tuple[int, str, list[tuple[str, str]], bytes, bool]

SOUND = [
    b'HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nETag: "a"\r\n\r\nabc',
    b"HTTP/1.1 200 OK\r\ncontent-length:3\r\nX-A:  b c\r\nX-A: d\r\nEmpty:\r\n\r\nabc",
    b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    b"HTTP/1.1 403\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\n\r\nto the end",
    b"HTTP/1.1 200 OK\r\n\r\nto the end",
    b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
    b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nto the end",
    b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nto the end",
    b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
    b"HTTP/1.1 200 \xfc\xfc\r\nContent-Length: 3\r\nX-Latin: \xe4\xf6\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
]
BROKEN = [
    b"",
    b"\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    b"HTTP/1.1 -20 OK\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n",
]
# What the parser of e-mail puts up with.
ODD = [
    b"HTTP/1.1 200 OK\r\nETag: a,\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\n: nameless\r\nContent-Length: 3\r\n\r\nabc",
]


def understood(kind: type[HTTPConnection], answer: bytes) -> Outcome | None:
    """Return what a kind of connection understands of an answer, None for nothing.

    Status, reason, headers, body, and whether the connection is kept for the next request.
    """
    near, far = socket.socketpair()
    with near, far:
        far.sendall(answer)
        far.shutdown(socket.SHUT_WR)
        connection = kind("storage.invalid")
        connection.sock = near
        try:
            connection.request("GET", "/", preload_content=False, decode_content=False)
            response = connection.getresponse()
            kept = connection.sock is not None
            try:
                body = response.read()
            except HTTPError as exc:
                body = type(exc).__name__.encode()
            return response.status, response.reason or "", [*response.headers.items()], body, kept
        except (HTTPError, http.client.HTTPException):
            return None
        finally:
            connection.close()


@pytest.mark.parametrize("answer", SOUND, ids=lambda answer: repr(answer[:60]))
def test_an_answer_means_the_same_as_before(answer: bytes) -> None:
    meant = understood(LeanConnection, answer)

    assert meant is not None
    assert meant == understood(HTTPConnection, answer)


@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: repr(answer[:40]))
def test_what_is_no_answer_is_refused_as_before(answer: bytes) -> None:
    assert understood(LeanConnection, answer) is None
    assert understood(HTTPConnection, answer) is None


@pytest.mark.parametrize("answer", ODD, ids=lambda answer: repr(answer[:40]))
def test_header_lines_that_mean_one_thing_here_and_another_there_are_refused(
    answer: bytes,
) -> None:
    assert understood(LeanConnection, answer) is None


def test_an_absurd_length_is_no_length() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nto the end"

    assert (understood(LeanConnection, answer) or [None])[0] == 200
