"""Asks a server for tiles as viewers do, in a process of its own: `python -m bench.load`.

It reads a Job as JSON from its input and writes a Result to its output. A process of its own keeps
its CPU, and its interpreter lock, out of what is measured. Only the standard library is imported.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Viewer:
    """Somebody with so many connections who asks for views, one after the other.

    A view is a list of paths; the connections take them in order, and the next view begins when
    all of them have come.
    """

    connections: int
    views: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Job:
    """What viewers ask a server on `port` for; with `etags` by path, whether it has changed."""

    port: int
    viewers: Sequence[Viewer]
    etags: dict[str, str] = field(default_factory=dict)
    keep_etags: bool = False


@dataclass
class Result:
    """What came: the latency of each answer and the time of each view in ms, bytes of bodies."""

    latencies_ms: list[float] = field(default_factory=list)
    views_ms: list[float] = field(default_factory=list)
    served_bytes: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    trouble: str = ""


def run_load(job: Job) -> Result:
    """Run a job in a new process and return its result.

    Raises RuntimeError if anything but 200 or 304 came.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(job)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr[-2000:]}")
    result = Result(**json.loads(done.stdout))
    if not set(result.statuses) <= {"200", "304"}:
        raise RuntimeError(f"answers {result.statuses}, the first: {result.trouble}")
    return result


class _Asker:
    """Plays viewers against a server and writes down what comes."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._statuses: Counter[str] = Counter()
        self.result = Result()

    def play(self, viewer: Viewer) -> None:
        """Ask for all views of a viewer."""
        with contextlib.ExitStack() as stack:
            connections = [
                stack.enter_context(
                    contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._job.port))
                )
                for _ in range(viewer.connections)
            ]
            for view in viewer.views:
                started = time.perf_counter()
                paths = iter(view)
                in_parallel(
                    [
                        threading.Thread(target=self._take, args=(connection, paths))
                        for connection in connections[: len(view)]
                    ]
                )
                with self._lock:
                    self.result.views_ms.append(1000 * (time.perf_counter() - started))

    def finish(self) -> Result:
        """Return what came."""
        self.result.statuses = dict(self._statuses)
        return self.result

    def _take(self, connection: http.client.HTTPConnection, paths: Iterator[str]) -> None:
        while True:
            with self._lock:
                path = next(paths, None)
            if path is None:
                return
            etag = self._job.etags.get(path)
            started = time.perf_counter()
            connection.request("GET", path, headers={"If-None-Match": etag} if etag else {})
            answer = connection.getresponse()
            body = answer.read()
            took_ms = 1000 * (time.perf_counter() - started)
            with self._lock:
                self._note(path, answer, body, took_ms)

    def _note(
        self, path: str, answer: http.client.HTTPResponse, body: bytes, took_ms: float
    ) -> None:
        self.result.latencies_ms.append(took_ms)
        self.result.served_bytes += len(body)
        self._statuses[str(answer.status)] += 1
        if answer.status not in (200, 304) and not self.result.trouble:
            self.result.trouble = f"{answer.status} {path}: {body[:300]!r}"
        if self._job.keep_etags:
            self.result.etags[path] = answer.getheader("ETag", "")


def in_parallel(threads: list[threading.Thread]) -> None:
    """Start threads and wait for all of them."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Play the job on standard input."""
    job = Job(**json.load(sys.stdin))
    asker = _Asker(job)
    viewers = [Viewer(**viewer) for viewer in job.viewers]  # type: ignore[arg-type]
    in_parallel([threading.Thread(target=asker.play, args=(viewer,)) for viewer in viewers])
    json.dump(asdict(asker.finish()), sys.stdout)


if __name__ == "__main__":
    main()
