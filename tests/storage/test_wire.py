"""Wire: threads that wait for a body sleep until it is there, and no longer than that."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from urllib3.exceptions import TimeoutError as WaitedTooLong

from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.wire import SOON, Wire

PIECE = b"x" * 1000
WAIT_S = 0.8


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Give both ends of a connection, ours first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        yield ours, theirs


def receive(wire: Wire, count: int) -> list[int]:
    """Return how many bytes came each time until `count` were there."""
    room, got = memoryview(bytearray(count)), list[int]()
    while sum(got) < count:
        wire.expect(count - sum(got))
        got.append(wire.receive(room[sum(got) :]))
    wire.expect(1)
    return got


def test_a_body_in_many_packets_wakes_its_reader_once(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets

    def send() -> None:
        for _ in range(10):
            theirs.sendall(PIECE)
            time.sleep(0.005)

    sender = threading.Thread(target=send)
    sender.start()
    assert receive(Wire(ours, WAIT_S, Deadline(5)), 10 * len(PIECE)) == [10 * len(PIECE)]
    sender.join()


def test_a_body_that_comes_slowly_is_received_as_it_comes(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    theirs.sendall(PIECE)
    late = threading.Timer(2 * WAIT_S / SOON, theirs.sendall, [PIECE])
    late.start()
    assert receive(Wire(ours, WAIT_S, Deadline(5)), 2 * len(PIECE)) == [1000, 1000]
    late.join()


def test_a_short_answer_after_a_long_body_is_received_at_once(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    theirs.sendall(10 * PIECE)
    receive(Wire(ours, WAIT_S, Deadline(5)), 10 * len(PIECE))
    theirs.sendall(b"?")
    assert Wire(ours, WAIT_S, Deadline(5)).receive(memoryview(bytearray(100))) == 1


def test_a_body_that_stalls_is_not_waited_for_longer_than_before(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    theirs.sendall(PIECE)
    started = time.monotonic()
    with pytest.raises(WaitedTooLong):
        receive(Wire(ours, WAIT_S, Deadline(5)), 2 * len(PIECE))
    assert time.monotonic() - started < 2 * WAIT_S
