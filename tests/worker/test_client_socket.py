"""A client's socket: what a client is slow to take is kept, in order and within bounds."""

import socket

import pytest

from wsi_streamer.worker.client_socket import take_over

# Far more than a pair of sockets holds.
LARGE = bytes(range(256)) * 8192


@pytest.fixture
def ends():
    """Make a ClientSocket that may keep 3 MB, and the client's end of it."""
    accepted, theirs = socket.socketpair()
    with theirs, take_over(accepted, None) as ours:
        ours.unsent = bytearray()
        ours.waits = []
        ours.before_waiting = lambda: ours.waits.append(theirs.send(b"body"))
        ours.may_keep = lambda size: len(ours.unsent) + size <= 3_000_000
        yield ours, theirs


def test_an_answer_that_is_taken_at_once_leaves_nothing(ends):
    ours, theirs = ends
    ours.sendall(b"answer")
    assert theirs.recv(100) == b"answer"
    assert not ours.unsent


def test_answers_that_are_taken_late_come_whole_and_in_order(ends):
    ours, theirs = ends
    for data in (LARGE, b"second"):
        ours.sendall(data)
    taken = b""
    while len(taken) < len(LARGE) + len(b"second"):
        taken += theirs.recv(100_000)
        if ours.unsent:
            assert ours.send_rest()
    assert taken == LARGE + b"second"
    assert not ours.unsent


def test_a_client_without_room_gets_nothing_more(ends):
    ours, _ = ends
    ours.sendall(LARGE)
    kept = len(ours.unsent)
    assert not ours.send_rest()
    assert len(ours.unsent) == kept


def test_there_is_an_end_to_what_is_kept(ends):
    ours, _ = ends
    ours.sendall(LARGE)
    with pytest.raises(TimeoutError, match="do not take"):
        ours.sendall(LARGE)
    assert not ours.unsent


def test_who_has_to_wait_for_a_client_says_so_before(ends):
    ours, theirs = ends
    assert ours.receive(100) is None
    assert ours.recv(100) == b"body"
    assert ours.waits == [4]
    theirs.close()
    assert ours.receive(100) == b""
