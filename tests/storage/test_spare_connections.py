"""Nobody waits for a connection that could have been made before, and spare ones do no harm."""

import gc
import os
import random
import socket
import threading
import warnings
import weakref
from collections.abc import Iterator

import pytest
from urllib3.connection import HTTPConnection

from tests.faulty_s3 import Fault, FaultyS3
from wsi_streamer.errors import StorageUnreachable
from wsi_streamer.storage.http_pool import SPARES, KeptPool
from wsi_streamer.storage.idle_connections import MAX_IDLE_S, IdleConnections
from wsi_streamer.storage.s3 import FIRST_CONNECTIONS, S3Storage

KEY = "slide.svs"
DATA = random.Random(7).randbytes(1_000_000)
FAR_APART = [(at, 100) for at in range(0, 1_000_000, 100_000)]


@pytest.fixture
def server() -> Iterator[FaultyS3]:
    with FaultyS3({KEY: DATA}) as server:
        yield server


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the threads that connected, one for each connection, as they come."""
    names: list[str] = []
    connect = KeptPool.connect

    def note(pool: KeptPool, connection: HTTPConnection, timeout_s: float) -> None:
        names.append(threading.current_thread().name)
        connect(pool, connection, timeout_s)

    monkeypatch.setattr(KeptPool, "connect", note)
    return names


def make_storage(endpoint: str, max_connections: int = 16) -> S3Storage:
    return S3Storage(
        FaultyS3.bucket,
        "",
        endpoint_url=endpoint,
        region="us-east-1",
        anonymous=True,
        timeout_s=1.5,
        max_connections=max_connections,
    )


def wait_for_spares() -> None:
    for thread in threading.enumerate():
        if thread.name == "spares":
            thread.join()


def test_the_first_slide_waits_for_no_connection(server: FaultyS3, connects: list[str]) -> None:
    storage = make_storage(server.endpoint)
    storage.prepare()
    wait_for_spares()
    assert server.requests == []

    storage.open(KEY, tail_bytes=1000).read_many(FAR_APART[1:3])

    assert set(connects) == {"spares"}
    assert len({request.connection for request in server.requests}) == 2


def test_those_who_ask_while_others_wait_find_a_connection(
    server: FaultyS3, connects: list[str]
) -> None:
    reader = make_storage(server.endpoint).open(KEY, head_bytes=10)
    wait_for_spares()
    connects.clear()
    # One of the two was in use before, the other is new to the storage.
    server.answer_only_together(2)
    reader.read_many(FAR_APART[1:3])

    assert set(connects) <= {"spares"}
    assert len({request.connection for request in server.requests}) == 2


def test_what_is_used_one_after_the_other_needs_few_connections(
    server: FaultyS3, connects: list[str]
) -> None:
    reader = make_storage(server.endpoint).open(KEY, head_bytes=10)
    for offset, length in FAR_APART:
        reader.read(offset, length)
        wait_for_spares()

    assert len(connects) == 1 + SPARES
    assert len({request.connection for request in server.requests}) == 1


def test_there_are_never_more_connections_than_configured(
    server: FaultyS3, connects: list[str]
) -> None:
    storage = make_storage(server.endpoint, max_connections=3)
    storage.prepare()
    threads = [
        threading.Thread(target=storage.open(KEY, head_bytes=10).read_many, args=(FAR_APART[1:],))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_for_spares()

    assert len(connects) <= 3
    assert len({request.connection for request in server.requests}) <= 3


@pytest.mark.parametrize("most", [1, 2])
def test_few_connections_are_for_those_who_ask(server: FaultyS3, most: int) -> None:
    storage = make_storage(server.endpoint, most)
    storage.prepare()

    assert storage.open(KEY, tail_bytes=1000).read_many(FAR_APART) == [
        DATA[at : at + length] for at, length in FAR_APART
    ]


def test_a_storage_that_is_down_is_asked_for_a_spare_once(connects: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        storage = make_storage(f"http://127.0.0.1:{taken.getsockname()[1]}")
        storage.prepare()
        wait_for_spares()
        for _ in range(3):
            with pytest.raises(StorageUnreachable):
                storage.open(KEY)
        wait_for_spares()

        assert connects.count("spares") == 1


def test_spares_are_made_again_once_a_storage_is_back(
    server: FaultyS3, connects: list[str]
) -> None:
    storage = make_storage(server.endpoint)
    server.always = Fault.RESET
    with pytest.raises(StorageUnreachable):
        storage.open(KEY)
    server.always = Fault.NONE
    wait_for_spares()
    connects.clear()
    storage.open(KEY).read(*FAR_APART[5])
    storage.open(KEY)
    wait_for_spares()

    assert "spares" in connects


def test_a_spare_that_the_storage_closed_is_not_used(server: FaultyS3) -> None:
    storage = make_storage(server.endpoint)
    storage.prepare()
    wait_for_spares()
    server.plan += [Fault.RESET] * FIRST_CONNECTIONS

    assert storage.open(KEY).read(0, 10) == DATA[:10]


def test_a_forked_worker_makes_its_own(server: FaultyS3) -> None:
    storage = make_storage(server.endpoint)
    storage.prepare()
    wait_for_spares()
    storage.open(KEY)
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads; here only the server has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        ok = False
        try:
            storage.prepare()
            wait_for_spares()
            ok = storage.open(KEY, tail_bytes=1000).read(500_000, 10) == DATA[500_000:500_010]
        finally:
            os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0

    assert storage.open(KEY).read(500_000, 10) == DATA[500_000:500_010]
    ours, theirs = server.requests[:1] + server.requests[4:], server.requests[1:4]
    assert {it.connection for it in ours}.isdisjoint({it.connection for it in theirs})


def test_no_socket_outlives_its_storage(server: FaultyS3, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets: list[weakref.ref[socket.socket]] = []
    add_spare = IdleConnections.add_spare

    def note(idle: IdleConnections, connection: HTTPConnection) -> None:
        assert connection.sock
        sockets.append(weakref.ref(connection.sock))
        add_spare(idle, connection)

    monkeypatch.setattr(IdleConnections, "add_spare", note)
    storage = make_storage(server.endpoint)
    storage.prepare()
    wait_for_spares()
    storage.open(KEY, tail_bytes=1000)
    wait_for_spares()
    del storage
    # One that is not closed warns when it is freed, and warnings fail the test.
    gc.collect()

    assert len(sockets) == FIRST_CONNECTIONS
    assert [ref() for ref in sockets] == [None] * FIRST_CONNECTIONS


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


class Pairs:
    """Connections and their other ends."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.ends: list[tuple[HTTPConnection, socket.socket]] = []

    def make(self) -> HTTPConnection:
        connection = HTTPConnection(*self._listener.getsockname(), timeout=1)
        connection.connect()
        self.ends.append((connection, self._listener.accept()[0]))
        return connection

    def other(self, connection: HTTPConnection) -> socket.socket:
        return next(end for one, end in self.ends if one is connection)


@pytest.fixture
def pairs(listener: socket.socket) -> Iterator[Pairs]:
    pairs = Pairs(listener)
    yield pairs
    for connection, end in pairs.ends:
        connection.close()
        end.close()


def test_the_connection_used_last_is_lent_first_and_spares_last(pairs: Pairs) -> None:
    idle = IdleConnections(3)
    first, second, spare = (pairs.make() for _ in range(3))
    for _ in range(3):
        assert idle.take(0) is None
    idle.give_back(first)
    idle.give_back(second)
    idle.add_spare(spare)

    assert [idle.take(0) for _ in range(3)] == [second, first, spare]
    with pytest.raises(TimeoutError):
        idle.take(0)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_a_connection_on_which_something_came_is_closed(pairs: Pairs, sent: bytes) -> None:
    idle = IdleConnections(2)
    ended, good = pairs.make(), pairs.make()
    for _ in range(2):
        assert idle.take(0) is None
    idle.give_back(good)
    idle.give_back(ended)
    if sent:
        pairs.other(ended).sendall(sent)
    else:
        pairs.other(ended).close()

    assert idle.take(0) is good
    assert ended.sock is None
    assert idle.take(0) is None, "the right to make another in its place"
    with pytest.raises(TimeoutError):
        idle.take(0)


def test_a_connection_idle_for_long_is_not_trusted(pairs: Pairs) -> None:
    now = 1000.0
    idle = IdleConnections(1, lambda: now)
    assert idle.take(0) is None
    idle.give_back(pairs.make())

    now += MAX_IDLE_S + 1
    assert idle.take(0) is None
    with pytest.raises(TimeoutError):
        idle.take(0)


def test_a_spare_that_nobody_used_for_long_is_replaced_before_it_is_wanted(pairs: Pairs) -> None:
    now = 1000.0
    idle = IdleConnections(3, lambda: now)
    old = pairs.make()
    assert idle.take_right(2)
    idle.add_spare(old)
    assert idle.take_right(2)
    idle.give_back(pairs.make())
    assert not idle.lacks(2)

    now += MAX_IDLE_S + 1
    assert idle.lacks(2)
    assert idle.take_right(2)
    assert old.sock is None


def test_whoever_waits_gets_what_comes_back(pairs: Pairs) -> None:
    idle = IdleConnections(1)
    assert idle.take(0) is None
    found: list[HTTPConnection | None] = []
    waiting = threading.Thread(target=lambda: found.append(idle.take(5)))
    waiting.start()
    connection = pairs.make()
    idle.give_back(connection)
    waiting.join()

    assert found == [connection]
