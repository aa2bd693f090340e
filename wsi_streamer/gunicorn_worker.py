"""LingeringWorker: gunicorn's threads, which stay with a connection between close requests."""

# gunicorn ships no types.
# mypy: allow-subclassing-any

import select
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# A viewer that has a tile asks for the next one at once.
LINGER_MS = 2
# After so many requests of one connection it is the others' turn.
MOST_REQUESTS = 16


class LingeringWorker(ThreadWorker):
    """A worker whose threads wait a moment for the next request before they let go.

    gunicorn hands a kept connection back to its main thread after each request, and the main
    thread hands it out again: four switches between threads, which cost more than a tile from
    memory does. A thread stays for a few requests only, at most half of the threads stay, and
    none does where connections wait for a thread.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._may_stay = threading.Semaphore(self.cfg.threads // 2)

    def handle(self, conn: Any) -> Any:
        """Answer the requests of a connection as long as they follow each other closely."""
        result = super().handle(conn)
        # True says that the connection is kept; older and other answers are gunicorn's affair.
        if result is not True or not self._may_stay.acquire(blocking=False):
            return result
        try:
            left = MOST_REQUESTS
            while result is True and left and self.alive and self._has_more(conn):
                result = super().handle(conn)
                left -= 1
        finally:
            self._may_stay.release()
        return result

    def _has_more(self, conn: Any) -> bool:
        if self._waiting.qsize():
            return False
        poller = select.poll()
        poller.register(conn.sock, select.POLLIN)
        return bool(poller.poll(LINGER_MS))

    def get_thread_pool(self) -> Any:
        """Return gunicorn's pool of threads, and remember the queue before it."""
        pool = super().get_thread_pool()
        self._waiting = pool._work_queue
        return pool
