"""Connections to a server, kept by tests that use them as no decent client would."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.client import ask
from tests.live.servers import GUNICORN, REPOSITORY, WORKERS, Server, start_server

THREADS = 4
# More than all threads together.
MANY = 3 * WORKERS * THREADS
SMALL, LARGE = "/tiles/small.svs/0/0/0.jpg", "/tiles/large.svs/0/0/0.jpg"
HOST = b"Host: x\r\n"
SOON_S = 5
APP = GUNICORN[-1]


def get(target: str, *fields: bytes) -> bytes:
    return b"".join((f"GET {target} HTTP/1.1\r\n".encode(), HOST, *fields, b"\r\n"))


def connect(server: Server, *, receives: int = 0) -> socket.socket:
    """Return a connection that takes at most `receives` bytes without being read."""
    connection = socket.socket()
    if receives:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    connection.settimeout(SOON_S)
    connection.connect(("127.0.0.1", server.port))
    return connection


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of one answer, and nothing of the next."""
    with connection.makefile("rb", buffering=0) as file:
        status = int(file.readline().split()[1])
        lines = iter(lambda: file.readline().decode().rstrip("\r\n"), "")
        fields = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        left, body = int(fields.get("Content-Length", "0")), b""
        while len(body) < left and (piece := file.read(left - len(body))):
            body += piece
    return status, fields, body


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def assert_serves(server: Server) -> None:
    for _ in range(WORKERS * 4):
        assert ask(server.port, SMALL, timeout_s=SOON_S, tls=server.tls).status == 200


@contextmanager
def running(
    slides: Path, options: str = "", *, app: str = APP, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """Run a server with options of gunicorn, perhaps with another app."""
    env = {"GUNICORN_CMD_ARGS": options, "WSI_THREADS": str(THREADS)}
    command = (*GUNICORN[:-1], "--pythonpath", str(REPOSITORY), app)
    with start_server(str(slides), env, command=command, tls=tls) as server:
        yield server
