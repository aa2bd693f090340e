"""What a server under test has to say of itself."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.places import Place, SlideShape
from bench.processes import Command

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".bench"
WORKERS, THREADS = 2, 4
PYTHON = WORK / "peers" / "bin" / "python"


@dataclass(frozen=True)
class Site:
    """Where the slides lie, and an empty folder in which a server may keep what it likes."""

    folder: Path
    bucket: str
    endpoint: str
    environ: Mapping[str, str]
    state: Path
    workers: int = WORKERS


class Peer(Protocol):
    """A server under test; `name` is that of --peers, `title` that of the report.

    `from_s3` says where it reads.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def from_s3(self) -> bool: ...

    def missing(self) -> str:
        """Return why it cannot run on this machine, or an empty string."""
        ...

    def command(self, site: Site, port: int) -> Command:
        """Return how it is started to listen on a port of 127.0.0.1."""
        ...

    def path(self, shape: SlideShape, place: Place) -> str | None:
        """Return the path of a tile, or None if the server cannot make it."""
        ...

    def versions(self) -> dict[str, str]:
        """Return the versions of the programs and packages that matter."""
        ...


def gunicorn(app: str, port: int, environ: Mapping[str, str], workers: int) -> Command:
    """Return how an app of bench.apps is started: the same gunicorn that runs ours."""
    arguments = [str(PYTHON), "-m", "gunicorn", "--worker-class", "gthread"]
    arguments += ["--workers", str(workers), "--threads", str(THREADS), "--keep-alive", "75"]
    arguments += ["--bind", f"127.0.0.1:{port}", "--no-control-socket", f"bench.apps.{app}:app"]
    return Command(arguments, {**environ, "PYTHONPATH": str(ROOT)})


def no_environment() -> str:
    """Return why apps of bench.apps cannot run, or an empty string."""
    return "" if PYTHON.exists() else "its environment .bench/peers is made by `make bench`"


def program(name: str) -> str | None:
    """Return the path of a program beside this Python or on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)
