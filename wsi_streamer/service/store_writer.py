"""StoreWriter: puts images into the tile store behind the requests that made them."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wsi_streamer.service.keys import ImageKey

THREAD_NAME = "tile-store-writer"
# What waits to be written is in memory: beyond this, images are not stored.
MAX_WAITING_BYTES = 16 * 1024 * 1024
# One transaction holds the lock of the database; others get their turn in between.
MAX_BATCH = 64
# Single images wait this long for others: a transaction costs more than an image in it.
LINGER_S = 0.05

Entry = tuple[ImageKey, bytes]


@dataclass(frozen=True, slots=True)
class _Job:
    entries: Sequence[Entry]
    size: int
    done: Callable[[], None] | None


class StoreWriter:
    """A queue and, in each process that has something to write, a thread that empties it.

    `write` stores some entries at once and raises nothing.
    """

    def __init__(self, write: Callable[[Sequence[Entry]], None]) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._late: dict[str, tuple[float, Callable[[], Sequence[Entry]]]] = {}
        self._is_writing = False
        self._is_urgent = False
        self._process = 0
        self._thread: threading.Thread | None = None

    def add(self, entries: Sequence[Entry], done: Callable[[], None] | None = None) -> None:
        """Have entries written soon; with `done`, at once, and it is called afterwards.

        Where too much is waiting already, they are left out.
        """
        size = sum(len(data) for _, data in entries)
        with self._changed:
            self._start()
            if self._waiting + size <= MAX_WAITING_BYTES:
                self._jobs.append(_Job(entries, size, done))
                self._waiting += size
                self._is_urgent = self._is_urgent or done is not None
                # While the thread lingers it need not look at each.
                if self._is_urgent or len(self._jobs) in (1, MAX_BATCH):
                    self._changed.notify_all()
                return
        if done:
            done()

    def add_late(self, name: str, delay_s: float, make: Callable[[], Sequence[Entry]]) -> None:
        """Have written what `make` gives in `delay_s` seconds; once for each name till then."""
        with self._changed:
            self._start()
            if name not in self._late:
                self._late[name] = time.monotonic() + delay_s, make
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is written; False if that takes longer than `timeout_s`."""
        with self._changed:
            self._is_urgent = True
            self._changed.notify_all()
            return self._changed.wait_for(self._is_idle, timeout_s)

    def _is_idle(self) -> bool:
        return not (self._jobs or self._late or self._is_writing)

    def _start(self) -> None:
        if self._process != os.getpid():
            # What waited at the fork is written by the parent, whose thread stayed there.
            self._process = os.getpid()
            self._thread = None
            self._jobs.clear()
            self._late.clear()
            self._waiting, self._is_writing = 0, False
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            jobs, late = self._next_jobs()
            try:
                entries = [entry for job in jobs for entry in job.entries]
                self._write([*entries, *(entry for make in late for entry in make())])
            finally:
                for job in jobs:
                    if job.done:
                        job.done()
                with self._changed:
                    self._is_writing = False
                    self._changed.notify_all()

    def _next_jobs(self) -> tuple[list[_Job], list[Callable[[], Sequence[Entry]]]]:
        with self._changed:
            while not (self._jobs or self._due()):
                self._changed.wait(self._seconds_to_next())
            # As long as few wait and nobody waits for them, more may come.
            self._changed.wait_for(
                lambda: self._is_urgent or len(self._jobs) >= MAX_BATCH, LINGER_S
            )
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), MAX_BATCH))]
            late = [self._late.pop(name)[1] for name in self._due()]
            self._waiting -= sum(job.size for job in jobs)
            self._is_urgent = self._is_urgent and bool(self._jobs or self._late)
            self._is_writing = True
            return jobs, late

    def _due(self) -> list[str]:
        now = time.monotonic()
        return [name for name, (due, _) in self._late.items() if due <= now or self._is_urgent]

    def _seconds_to_next(self) -> float | None:
        dues = [due for due, _ in self._late.values()]
        return max(min(dues) - time.monotonic(), 0) if dues else None
