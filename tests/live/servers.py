"""Starts the real server as its users do, and makes sure that it lived through the tests."""

import os
import random
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.live.client import Answer, ask
from tests.live.signing import signed_target
from tests.s3_server import is_free

REPOSITORY = Path(__file__).resolve().parents[2]
GUNICORN = (
    *(sys.executable, "-m", "gunicorn", "-c", str(REPOSITORY / "gunicorn.conf.py")),
    "wsi_streamer.wsgi:app",
)
COMMAND = (str(Path(sys.executable).parent / "wsi-streamer"),)
WORKERS = 2
# Beside those of the S3 server, and below those that the kernel gives to outgoing connections.
PORTS = range(22_000, 32_000)
# What a server allows that is told whom to allow.
ALLOWED_ORIGINS = ("https://viewer.example", "https://other.example")
# What a healthy server never writes.
TROUBLE = re.compile(
    r"^.*(?:WORKER TIMEOUT|was sent SIG|exited with code|Traceback \(most recent|"
    r"unexpected error|Exception in|MemoryError).*$",
    re.MULTILINE | re.IGNORECASE,
)


class Server:
    """A running server; as a context manager it is stopped, and its log checked, at the end."""

    tls: ssl.SSLContext | None = None

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log_path = log

    def ask(self, target: str, *, method: str = "GET", **headers: str) -> Answer:
        """Return the answer to a request; `If_None_Match="x"` sends `If-None-Match: x`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.port, target, method=method, headers=sent, tls=self.tls)

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def worker_pids(self) -> list[int]:
        """The processes that answer requests."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(int(pid) for pid in children.read_text().split())

    def stop(self) -> None:
        """Stop the server by its pid, and fail if it was in trouble before or would not stop.

        Its folder with the log stays only if it failed.
        """
        log = self.log
        self.process.terminate()
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"the server did not stop when told to:\n{self.log[-3000:]}"
            ) from None
        trouble = TROUBLE.search(log)
        assert not trouble, f"the server was in trouble:\n{log[trouble.start() :][:5000]}"
        assert code == 0, f"the server ended with {code}:\n{self.log[-3000:]}"
        shutil.rmtree(self.log_path.parent, ignore_errors=True)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class SignedServer(Server):
    """A server that asks for signatures."""

    def sign(self, path: str, **params: str) -> str:
        """Return the full URL of a path as it is sent, signed for ten minutes."""
        return self.url + signed_target(path, params)


def start_server(
    source: str,
    env: Mapping[str, str],
    *,
    command: Sequence[str] = GUNICORN,
    wait_s: float = 30,
    tls: ssl.SSLContext | None = None,
) -> Server:
    """Return a server of `source` on a free port, with 2 workers of 4 threads, once it is healthy.

    `env` adds environment variables to those that the server needs; none of the caller's own
    WSI_ and AWS_ variables reach it. With `tls` it is asked over TLS. Raises RuntimeError with the
    log if it does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="wsi-live-"))
    port = free_port()
    own = {name: value for name, value in os.environ.items() if name[:4] not in ("WSI_", "AWS_")}
    environ = own | {
        "WSI_SOURCE": source,
        "WSI_HOST": "127.0.0.1",
        "WSI_PORT": str(port),
        "WSI_WORKERS": str(WORKERS),
        "WSI_THREADS": "4",
        "WSI_CACHE_DIR": str(folder / "cache"),
        **env,
    }
    log = folder / "server.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            list(command),
            env=environ,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port, log)
    server.tls = tls
    _wait_until_healthy(server, time.monotonic() + wait_s)
    return server


def _wait_until_healthy(server: Server, deadline: float) -> None:
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if server.ask("/health").status == 200 and len(server.worker_pids) == WORKERS:
                return
        except OSError:
            pass
        time.sleep(0.05)
    server.process.kill()
    server.process.wait()
    raise RuntimeError(f"the server did not come up:\n{server.log[-5000:]}")


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))
