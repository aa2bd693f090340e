"""TLS of gunicorn's own: the same answers, and clients that keep nobody waiting."""

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.live.connections import (
    LARGE,
    MANY,
    SMALL,
    assert_serves,
    connect,
    get,
    read_answer,
    running,
)
from tests.live.servers import Server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    file, other = folder / "both.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(file), "-out", str(other)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl")
    file.write_text(file.read_text() + other.read_text())
    return file


@pytest.fixture(scope="module")
def server(small_and_large: Path, certificate: Path) -> Iterator[Server]:
    context = ssl.create_default_context(cafile=str(certificate))
    with running(small_and_large, f"--certfile {certificate}", tls=context) as server:
        yield server


def greet(server: Server) -> ssl.SSLSocket:
    assert server.tls
    return server.tls.wrap_socket(
        connect(server, receives=4096),
        server_hostname="127.0.0.1",
        suppress_ragged_eofs=False,
    )


def test_answers_are_the_same_as_without(
    server: Server, small_and_large: Path, stack: ExitStack
) -> None:
    connection = stack.enter_context(greet(server))
    targets = [LARGE, SMALL, "/health", LARGE]
    connection.sendall(b"".join(map(get, targets)))
    for target in targets:
        assert read_answer(connection)[2] == server.ask(target).body


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\0\x01"])
def test_greetings_that_do_not_end_keep_nobody_waiting(
    server: Server, stack: ExitStack, sent: bytes
) -> None:
    for connection in [stack.enter_context(connect(server)) for _ in range(MANY)]:
        connection.sendall(sent)
    assert_serves(server)


@pytest.mark.parametrize("sent", [b"", b"GET /", get(LARGE)])
def test_clients_that_stop_keep_nobody_waiting(
    server: Server, stack: ExitStack, sent: bytes
) -> None:
    for connection in [stack.enter_context(greet(server)) for _ in range(MANY)]:
        connection.sendall(sent)
    assert_serves(server)


def test_who_speaks_no_tls_is_shown_the_door(server: Server, stack: ExitStack) -> None:
    connection = stack.enter_context(connect(server))
    connection.sendall(get(SMALL))
    with suppress(ConnectionResetError):
        while connection.recv(1000):
            pass


def test_the_connection_ends_with_a_goodbye(server: Server, stack: ExitStack) -> None:
    connection = stack.enter_context(greet(server))
    connection.sendall(get(SMALL, b"Connection: close\r\n"))
    assert read_answer(connection)[0] == 200
    assert connection.recv(1) == b""
