"""Answers read in our own way mean what http.client takes them to mean."""

import http.client
import random
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
from urllib3.exceptions import HTTPError

from wsi_streamer.errors import StorageError
from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.exchange import receive_answer
from wsi_streamer.storage.http_answer import FRAMING, add_header
from wsi_streamer.storage.wire import Wire

Outcome = tuple[int, dict[str, str], bytes, bool]

SOUND = [
    b'HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nETag: "a"\r\n\r\nabc',
    b"HTTP/1.1 200 OK\r\ncontent-length:3\r\nETag:  b c \t\r\nVary: a\r\nVary: b\r\nX:\r\n\r\nabc",
    b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 \r\nContent-Length: 3\r\nETag: a\r\nETag: b\r\n\r\nabc",
    b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    b"HTTP/1.1 206 O\r\nTransfer-Encoding: Chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n",
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
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\n\r\nabc",
    b"HTTP/1.1 200 OK\nContent-Length: 7\n\nabc\r\n\r\n",
    b"HTTP/1.1 200 \xfc\xfc\r\nContent-Length: 3\r\nETag: \xe4\xf6\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 206 OK\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000,
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
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
]
# What http.client puts up with.
ODD = [
    b"HTTP/1.1 200 OK\r\nX: y\rContent-Length: 4\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nETag: a,\r\n b\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\n: nameless\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\nabcd",
]


@contextmanager
def sent(answer: bytes, sizes: list[int]) -> Iterator[socket.socket]:
    """Give a socket on which an answer arrives in parts, and then its end."""
    near, far = socket.socketpair()
    with far:
        far.sendall(answer)
        far.shutdown(socket.SHUT_WR)
        with Parts(near, sizes) if sizes else near as sock:
            yield sock


class Parts(socket.socket):
    """A socket that gives as many bytes at a time as it was told, over and over."""

    def __init__(self, other: socket.socket, sizes: list[int]) -> None:
        super().__init__(fileno=other.detach())
        self._sizes = sizes

    def recv_into(self, buffer: memoryview, *_: int) -> int:  # type: ignore[override]
        """Receive a part."""
        self._sizes.append(self._sizes.pop(0))
        return super().recv_into(buffer[: self._sizes[-1]])


def understood(answer: bytes, length: int = 5, sizes: list[int] | None = None) -> Outcome | None:
    """Return status, framing, a body of `length` and "is kept"; None for what is no answer."""
    with sent(answer, sizes or []) as sock:
        try:
            wire = Wire(sock, 5, Deadline(5))
            got = receive_answer(wire, 1000)
            body = got.read_exactly(length)
        except (HTTPError, StorageError):
            return None
        return got.status, framing(got.headers.items()), body, got.is_drained


def understood_by_python(answer: bytes) -> Outcome | None:
    """Return what http.client understands."""
    with sent(answer, []) as sock:
        response = http.client.HTTPResponse(sock)
        try:
            response.begin()
            kept = not response.will_close
            body = response.read()
        except http.client.HTTPException:
            return None
        return response.status, framing(response.headers.items()), body, kept


def framing(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers that matter to us, repeated ones joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in FRAMING:
            add_header(found, name, value.strip(" \t\r\n"))
    return {name: value.strip() for name, value in found.items()}


@pytest.mark.parametrize("answer", SOUND, ids=lambda answer: repr(answer[:60]))
def test_an_answer_means_what_python_takes_it_to_mean(answer: bytes) -> None:
    meant = understood_by_python(answer)

    assert meant is not None
    assert understood(answer, len(meant[2])) == meant


@pytest.mark.parametrize("answer", SOUND, ids=lambda answer: repr(answer[:60]))
def test_an_answer_means_the_same_in_whatever_parts_it_arrives(answer: bytes) -> None:
    meant = understood_by_python(answer)
    draw = random.Random(3)

    assert meant is not None
    for _ in range(20):
        sizes = [draw.choice([1, 2, 3, 7, 40, 4000]) for _ in range(20)]
        assert understood(answer, len(meant[2]), sizes) == meant


def test_noise_in_an_answer_never_makes_it_mean_something_else() -> None:
    draw = random.Random(4)
    for _ in range(3000):
        answer = bytearray(draw.choice(SOUND[:6] + SOUND[12:16]))
        for _ in range(draw.randrange(1, 4)):
            answer[draw.randrange(len(answer))] = draw.choice(b"\r\n :,;3x\0\t")
        meant = understood_by_python(bytes(answer))
        ours = understood(bytes(answer), len(meant[2]) if meant else 3)
        # It may be refused where http.client is lenient, and its connection not be kept.
        if ours:
            assert meant, bytes(answer)
            assert ours[:3] == meant[:3], bytes(answer)
            assert meant[3] or not ours[3], bytes(answer)


@pytest.mark.parametrize("answer", BROKEN, ids=lambda answer: repr(answer[:40]))
def test_what_is_no_answer_is_refused_as_by_python(answer: bytes) -> None:
    assert understood(answer) is None
    assert understood_by_python(answer) is None


@pytest.mark.parametrize("answer", ODD, ids=lambda answer: repr(answer[:40]))
def test_header_lines_that_mean_one_thing_here_and_another_there_are_refused(
    answer: bytes,
) -> None:
    assert [understood(answer, length) for length in (3, 4)] == [None, None]


def test_an_absurd_length_is_no_length() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nto the end"

    assert (understood(answer, 10) or [None])[0] == 200


def test_a_connection_with_more_on_it_than_the_answer_is_not_used_again() -> None:
    answer = b"HTTP/1.1 206 OK\r\nContent-Length: 3\r\n\r\nabc"

    assert (understood(answer, 3) or [None])[-1] is True
    assert (understood(answer + b"HTTP/1.1 206 OK", 3) or [None])[-1] is False
