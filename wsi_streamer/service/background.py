"""Background: a few threads for work that nobody waits for."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

THREADS = 4
# Work that finds so much before it is left out: it would come too late.
MAX_WAITING = 8


class Background:
    """The threads of each process, begun when they are first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = 0
        self._waiting = 0

    def run(self, work: Callable[[], None]) -> bool:
        """Have something done soon; False if there is too much to do already."""
        with self._lock:
            if self._process != os.getpid() or self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="read-ahead")
                self._process = os.getpid()
                self._waiting = 0
            if self._waiting >= MAX_WAITING:
                return False
            try:
                future = self._pool.submit(work)
            except RuntimeError:
                # The system has no thread left, or the process is about to end.
                return False
            self._waiting += 1
        future.add_done_callback(self._count_down)
        return True

    def _count_down(self, _: object) -> None:
        with self._lock:
            self._waiting -= 1
