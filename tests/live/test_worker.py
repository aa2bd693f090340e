"""The worker: whatever clients do to their connections, others are served."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.connections import (
    HOST,
    LARGE,
    MANY,
    SMALL,
    SOON_S,
    assert_serves,
    connect,
    get,
    is_ended,
    read_answer,
    running,
)
from tests.live.servers import WORKERS, Server


@pytest.fixture(scope="module")
def server(small_and_large: Path) -> Iterator[Server]:
    with running(small_and_large) as server:
        yield server


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHo",
        get(SMALL) + b"GET /",
        b"POST /slides HTTP/1.1\r\n" + HOST + b"Content-Length: 99\r\n\r\nab",
        b"POST /slides HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"GET / HTTP/1.1\r\n" + 17 * (b"A: " + 8000 * b"x" + b"\r\n"),
        b"\r\n\r\n\r\n\r\n",
    ],
    ids=["silent", "head", "next head", "body", "chunk", "long head", "empty lines"],
)
def test_clients_that_send_slowly_keep_nobody_waiting(
    server: Server, stack: ExitStack, data: bytes
) -> None:
    for connection in [stack.enter_context(connect(server)) for _ in range(MANY)]:
        connection.sendall(data)
    assert_serves(server)


@pytest.mark.parametrize(
    "target", [LARGE, "/static/vendor/openseadragon/openseadragon.min.js"], ids=["tile", "file"]
)
def test_answers_that_nobody_reads_keep_nobody_waiting(
    server: Server, stack: ExitStack, target: str
) -> None:
    for _ in range(MANY):
        connection = stack.enter_context(connect(server, receives=4096))
        connection.sendall(get(target) * 3)
    assert_serves(server)


def test_an_answer_that_is_read_late_is_whole_and_so_is_the_next(
    server: Server, stack: ExitStack
) -> None:
    connection = stack.enter_context(connect(server, receives=4096))
    connection.sendall(get(LARGE) + get(SMALL) + get(LARGE, b"Connection: close\r\n"))
    assert_serves(server)
    large, small = server.ask(LARGE).body, server.ask(SMALL).body
    assert len(large) > 1_000_000
    assert [read_answer(connection)[2] == it for it in (large, small, large)] == [True] * 3
    assert is_ended(connection)


def test_requests_that_come_together_are_answered_in_order(
    server: Server, stack: ExitStack
) -> None:
    connection = stack.enter_context(connect(server))
    targets = [SMALL, "/health", "/slides/nope.svs", "/tiles/small.svs/0/1/0.jpg"] * 10
    connection.sendall(b"".join(map(get, targets)))
    want = {it: server.ask(it) for it in set(targets)}
    for target in targets:
        status, _, body = read_answer(connection)
        assert (status, body) == (want[target].status, want[target].body)


@pytest.mark.parametrize("size", [1, 7, 50])
def test_requests_in_pieces_are_answered(server: Server, stack: ExitStack, size: int) -> None:
    connection = stack.enter_context(connect(server))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = get(SMALL) + b"\r\n" + get("/health") + get(SMALL)
    for start in range(0, len(data), size):
        connection.sendall(data[start : start + size])
    answers = [read_answer(connection) for _ in range(3)]
    assert [it[0] for it in answers] == [200] * 3
    assert answers[0][2] == answers[2][2] != answers[1][2]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"\r\n\r\n" + get(SMALL), 400),
        (b"GET / HTTP/1.1\r\nFoo Bar: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: " + 200_000 * b"x", 431),
    ],
)
def test_what_is_no_request_is_refused_at_once(
    server: Server, stack: ExitStack, data: bytes, status: int
) -> None:
    connection = stack.enter_context(connect(server))
    connection.sendall(data)
    assert read_answer(connection)[0] == status


def test_a_body_that_nobody_wants_is_not_asked_for_and_ends_the_connection(
    server: Server, stack: ExitStack
) -> None:
    connection = stack.enter_context(connect(server))
    fields = HOST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"
    connection.sendall(b"POST /slides HTTP/1.1\r\n" + fields)
    status, answered, _ = read_answer(connection)
    assert (status, answered["Connection"]) == (405, "close")
    # A client that sends it all the same learns the answer, and no part of it is a request.
    connection.sendall(get(SMALL) + bytes(1_900_000))
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b""


def test_a_client_that_ends_its_side_gets_its_answer(server: Server, stack: ExitStack) -> None:
    connection = stack.enter_context(connect(server, receives=4096))
    connection.sendall(get(LARGE))
    connection.shutdown(socket.SHUT_WR)
    assert read_answer(connection)[2] == server.ask(LARGE).body
    assert is_ended(connection)


def test_clients_that_vanish_leave_nothing_behind(server: Server) -> None:
    def opened() -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.worker_pids)

    assert_serves(server)
    before = opened()
    for data in (b"", b"GET /", get(LARGE), get(SMALL) * 5):
        for _ in range(MANY):
            connection = connect(server, receives=4096)
            connection.sendall(data)
            reset = b"\x01\0\0\0\0\0\0\0"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            connection.close()
    until = time.monotonic() + SOON_S
    while opened() > before + WORKERS and time.monotonic() < until:
        assert_serves(server)
    assert opened() <= before + WORKERS


def test_an_idle_server_costs_nothing(server: Server, stack: ExitStack) -> None:
    for _ in range(MANY):
        connection = stack.enter_context(connect(server, receives=4096))
        connection.sendall(get(LARGE))

    def used_s() -> float:
        stats = [Path(f"/proc/{pid}/stat").read_text() for pid in server.worker_pids]
        ticks = sum(int(it) for stat in stats for it in stat.rpartition(")")[2].split()[11:13])
        return ticks / os.sysconf("SC_CLK_TCK")

    assert_serves(server)
    before, started = used_s(), time.monotonic()
    while time.monotonic() - started < 1:
        time.sleep(0.1)
    # A thread that turned in circles would use all of it.
    assert used_s() - before < 0.3


def test_no_more_connections_than_allowed_are_taken_and_room_is_used_again(
    small_and_large: Path, stack: ExitStack
) -> None:
    with running(small_and_large, "--worker-connections 3") as server:
        first = [stack.enter_context(connect(server)) for _ in range(3 * WORKERS)]
        for connection in first:
            connection.sendall(get(SMALL))
            assert read_answer(connection)[0] == 200
        late = stack.enter_context(connect(server))
        late.sendall(get(SMALL))
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.recv(1)
        first[0].close()
        late.settimeout(SOON_S)
        assert read_answer(late)[0] == 200


def test_a_worker_that_is_told_to_stop_finishes_what_it_does(
    small_and_large: Path, stack: ExitStack
) -> None:
    with running(small_and_large) as server:
        large = server.ask(LARGE).body
        idle = stack.enter_context(connect(server))
        idle.sendall(get(SMALL))
        read_answer(idle)
        busy = stack.enter_context(connect(server, receives=4096))
        busy.sendall(get(LARGE))
        busy.recv(1, socket.MSG_PEEK)
        server.process.send_signal(signal.SIGTERM)
        assert read_answer(busy)[2] == large
        assert is_ended(idle)
        server.process.wait(SOON_S)


def test_a_reload_under_load_loses_no_request(small_and_large: Path) -> None:
    with running(small_and_large) as server:
        before = set(server.worker_pids)
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + 10
        while before & set(server.worker_pids) and time.monotonic() < until:
            assert_serves(server)
        assert not before & set(server.worker_pids)


def test_workers_that_have_served_enough_are_replaced(small_and_large: Path) -> None:
    with running(small_and_large, "--max-requests 30") as server:
        before = set(server.worker_pids)
        until = time.monotonic() + 10
        while before & set(server.worker_pids) and time.monotonic() < until:
            assert_serves(server)
        assert not before & set(server.worker_pids)
