"""The worker and an app that does what it should not: it stays alive, and so do the others."""

import http.client
import select
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.connections import (
    MANY,
    THREADS,
    assert_serves,
    connect,
    get,
    is_ended,
    read_answer,
    running,
)
from tests.live.servers import Server


@pytest.fixture(scope="module")
def server(small_and_large: Path) -> Iterator[Server]:
    with running(small_and_large, app="tests.live.odd_app:app") as server:
        yield server
        # What goes wrong here is meant to.
        server.log_path.write_text("")


def test_an_app_that_exits_ends_no_thread(server: Server) -> None:
    for _ in range(MANY):
        assert server.ask("/exit").status == 500
    assert_serves(server)
    assert "Error handling request GET /exit" in server.log


def test_views_that_sleep_without_a_word_keep_nobody_waiting_for_long(
    server: Server, stack: ExitStack
) -> None:
    # One thread is left to each worker, whoever gets the requests.
    sleeping = [stack.enter_context(connect(server)) for _ in range(THREADS - 1)]
    for connection in sleeping:
        connection.sendall(get("/sleep"))
    assert_serves(server)
    assert not select.select(sleeping, [], [], 0)[0]
    for connection in sleeping:
        assert read_answer(connection)[2] == b"awake"


def test_half_an_answer_is_not_taken_for_a_whole_one(server: Server, stack: ExitStack) -> None:
    connection = stack.enter_context(connect(server))
    connection.sendall(get("/breaks"))
    answer = b""
    while piece := connection.recv(1000):
        answer += piece
    assert answer.endswith(b"\r\n\r\n3\r\none\r\n")
    assert is_ended(connection)


def test_an_answer_in_pieces_that_is_read_late_is_whole(server: Server, stack: ExitStack) -> None:
    connection = stack.enter_context(connect(server, receives=4096))
    connection.sendall(get("/pieces"))
    assert_serves(server)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.read() == b"a" * 200_000 + b"b" * 200_000 + b"c" * 200_000
