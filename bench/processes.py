"""Servers as processes: start them, count their CPU and memory, and end them whatever happens."""

import contextlib
import os
import random
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.s3_server import is_free

# Below those that the kernel hands out to outgoing connections.
PORTS = range(22_000, 32_000)
# The shell ends the server when its own input ends, which happens even if we are killed.
KEEPER = '"$@" </dev/null & read -r _; kill $!; wait'
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
SETTLED_S, MOST_S = 0.06, 3.0
# Only what a server must not inherit: settings and credentials of whoever runs the benchmark.
PRIVATE = ("WSI_", "AWS_")


@dataclass(frozen=True)
class Command:
    """How a server is started: its arguments, variables, and the path that says it is ready.

    `front` names a program before the server, if any, whose CPU is counted by itself.
    """

    arguments: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = "/"
    front: str = ""


class Server:
    """A running server with all of its processes; as a context manager it is ended at the end.

    Raises RuntimeError with the end of its log if it does not come up.
    """

    def __init__(self, command: Command, port: int, log: Path, *, wait_s: float = 30) -> None:
        self.port = port
        self.front = command.front
        self._log = log
        self._started = time.monotonic()
        own = {name: value for name, value in os.environ.items() if name[:4] not in PRIVATE}
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", KEEPER, "sh", *command.arguments],
                env=own | dict(command.environ),
                # Not here: gunicorn imports from, and takes its settings from, where it runs.
                cwd=log.parent,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait(command.ready_path, time.monotonic() + wait_s)
        except BaseException:
            self.stop()
            raise

    def cpu_ms(self) -> dict[str, float]:
        """Return the CPU used so far by program, processes that ended included, in ms."""
        return cpu_ms(self._process.pid)

    def settled_cpu_ms(self) -> dict[str, float]:
        """Return the CPU used once nothing works any more: work after the answer counts too."""
        deadline = time.monotonic() + MOST_S
        before = self.cpu_ms()
        while True:
            time.sleep(SETTLED_S)
            now = self.cpu_ms()
            if now == before or time.monotonic() > deadline:
                return now
            before = now

    def workers(self) -> list[int]:
        """Return the processes without children, in order: those that answer."""
        tree = process_tree(self._process.pid)
        leaves = sorted(pid for pid, children in tree.items() if not children)
        return [pid for pid in leaves if not self.front or program_of(pid) != self.front]

    @contextlib.contextmanager
    def only(self, index: int) -> Iterator[None]:
        """Let only the worker of this index answer: the others are stopped meanwhile."""
        others = [pid for number, pid in enumerate(self.workers()) if number != index]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def one_by_one(self) -> Iterator[None]:
        """Let one worker after the other be the only one that answers.

        All of them answer at once behind a front, which would wait for those that are stopped.
        """
        if self.front:
            yield
            return
        for index in range(len(self.workers())):
            with self.only(index):
                yield

    def log(self) -> str:
        """Return the end of what the server has written."""
        return self._log.read_text(errors="replace")[-2000:]

    def memory_mb(self) -> float:
        """Return the resident memory of the largest worker, in MB."""
        return max((resident_mb(pid) for pid in self.workers()), default=0.0)

    def stop(self) -> None:
        """End the server; harmless when repeated."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _is_alive(self) -> bool:
        # The shell outlives a server that ends by itself, and needs a moment to start it.
        if time.monotonic() < self._started + 1:
            return True
        below = process_tree(self._process.pid).keys() - {self._process.pid}
        return any(is_running(pid) for pid in below)

    def _wait(self, path: str, deadline: float) -> None:
        while time.monotonic() < deadline and self._is_alive():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"the server did not come up:\n{self.log()}")


def free_port() -> int:
    """Return a port that nobody listens on at the moment."""
    return next(port for port in random.sample(PORTS, len(PORTS)) if is_free(port))


def process_tree(root: int) -> dict[int, list[int]]:
    """Return the processes below `root`, itself included, each with its children."""
    tree: dict[int, list[int]] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        except OSError:
            continue
        tree[pid] = [int(child) for child in text.split()]
        waiting += tree[pid]
    return tree


def cpu_ms(root: int) -> dict[str, float]:
    """Return user and system time of a process and all below it, in ms, by name of the program.

    The kernel tells it to a tick of 10 ms for each process.
    """
    total: dict[str, float] = {}
    for pid in process_tree(root):
        with contextlib.suppress(OSError):
            head, _, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
            # utime, stime and those of ended children are fields 14 to 17. (proc(5))
            ticks = sum(int(value) for value in tail.split()[11:15])
            program = head.partition("(")[2]
            total[program] = total.get(program, 0) + ticks * TICK_MS
    return total


def is_running(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    with contextlib.suppress(OSError):
        # The state stands behind the name, which is in brackets. (proc(5))
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def program_of(pid: int) -> str:
    """Return the name of the program that a process runs; empty if it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0
