"""The stage: slides in a bucket and a folder, the proxy before the bucket, servers one by one."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import Job, Result, Viewer, run_load
from bench.measurement import Measurement, Subject, make_measurement
from bench.paint.shelf import VAST, WARM_UP
from bench.peers.base import WORKERS, Peer, Site
from bench.places import Place, SlideShape, random_places
from bench.processes import Server, free_port
from bench.proxy import Proxy
from tests.s3_server import S3Server

VAST_COPIES = 100
WARM_UP_TILES = 24


@dataclass(frozen=True)
class Request:
    """A job for a server, and the latency of the storage meanwhile."""

    viewers: Sequence[Viewer]
    round_trip_ms: float = 0
    etags: dict[str, str] | None = None


class Stage:
    """Everything around a server under test; `folder` holds the painted slides.

    As a context manager it ends all that it started.
    """

    def __init__(self, folder: Path) -> None:
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            made = tempfile.mkdtemp(prefix="run-", dir=folder.parent)
            stack.callback(shutil.rmtree, made, ignore_errors=True)
            self._scratch = Path(made)
            self._slides = self._scratch / "slides"
            _link_slides(folder, self._slides)
            self._s3 = stack.enter_context(S3Server())
            self._proxy = stack.enter_context(Proxy(self._s3.ports["s3"]))
            _upload(self._s3, folder)
            self._stack = stack.pop_all()

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def state(self) -> Iterator[Path]:
        """Give a server an empty folder, and remove it afterwards."""
        made = tempfile.mkdtemp(dir=self._scratch)
        try:
            yield Path(made)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    @contextlib.contextmanager
    def server(self, peer: Peer, state: Path, *, workers: int = WORKERS) -> Iterator[Server]:
        """Run a server that has answered nothing yet."""
        self._proxy.reset()
        site = Site(
            folder=self._slides,
            bucket=self._s3.bucket,
            endpoint=f"http://127.0.0.1:{self._proxy.port}",
            environ=self._s3.environ(),
            state=state,
            workers=workers,
        )
        port = free_port()
        with Server(peer.command(site, port), port, state / "server.log") as server:
            yield server

    @contextlib.contextmanager
    def warm_server(self, peer: Peer, state: Path) -> Iterator[Server]:
        """Run a server whose workers have all answered tiles of another slide."""
        with self.server(peer, state) as server:
            places = random_places(WARM_UP, [1], WARM_UP_TILES, seed=1)
            for _ in server.one_by_one():
                self.ask(server, paths(peer, WARM_UP, places), connections=4)
            yield server

    def ask(
        self, server: Server, asked: Sequence[str], *, connections: int = 1, etags: bool = False
    ) -> Result:
        """Ask for paths without measuring."""
        return _load(server, Job(server.port, [Viewer(connections, [asked])], keep_etags=etags))

    def measure(self, subject: Subject, server: Server, request: Request) -> Measurement:
        """Run a job and return its figures."""
        self._proxy.reset(request.round_trip_ms)
        before = server.settled_cpu_ms()
        result = _load(server, Job(server.port, request.viewers, request.etags or {}))
        after = server.settled_cpu_ms()
        used = {name: ms - before.get(name, 0) for name, ms in after.items()}
        front_ms = used.pop(server.front, 0.0)
        cpu = (sum(used.values()), front_ms)
        return make_measurement(subject, result, self._proxy.traffic(), cpu, server.memory_mb())


def _load(server: Server, job: Job) -> Result:
    try:
        return run_load(job)
    except RuntimeError as exc:
        raise RuntimeError(f"{exc}\nThe server's log ends with:\n{server.log()}") from exc


def paths(peer: Peer, shape: SlideShape, places: Sequence[Place]) -> list[str]:
    """Return the paths of places; those that a server cannot make are left out."""
    found = [peer.path(shape, place) for place in places]
    return [path for path in found if path is not None]


def vast_name(number: int) -> str:
    """Return the name of one of the copies of the vast slide."""
    return f"vast-{number:03d}.svs"


def _link_slides(folder: Path, target: Path) -> None:
    target.mkdir()
    for path in folder.glob("[!.]*.svs"):
        os.link(path, target / path.name)
    for number in range(VAST_COPIES):
        os.link(folder / VAST.name, target / vast_name(number))


def _upload(s3: S3Server, folder: Path) -> None:
    client = s3.client()
    for path in sorted(folder.glob("[!.]*.svs")):
        client.upload_file(str(path), s3.bucket, path.name)
    for number in range(VAST_COPIES):
        client.upload_file(str(folder / VAST.name), s3.bucket, vast_name(number))
    client.close()
