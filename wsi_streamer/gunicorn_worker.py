"""LingeringWorker: gunicorn's threads, which stay with a connection between close requests."""

# gunicorn ships no types.
# mypy: allow-subclassing-any

import select
import threading
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# A viewer that has a tile asks for the next one at once.
LINGER_MS = 2


class LingeringWorker(ThreadWorker):
    """A worker whose threads wait a moment for the next request before they let go.

    gunicorn hands a kept connection back to its main thread after each request, and the main
    thread hands it out again: four switches between threads, which cost more than a tile from
    memory does. At most half of the threads wait, so that other connections find one free.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._may_linger = threading.Semaphore(max(self.cfg.threads // 2, 1))

    def handle(self, conn: Any) -> Any:
        """Answer the requests of a connection as long as they follow each other closely."""
        result = super().handle(conn)
        # True says that the connection is kept; older and other answers are gunicorn's affair.
        while result is True and self.alive and self._has_more(conn):
            result = super().handle(conn)
        return result

    def _has_more(self, conn: Any) -> bool:
        if not self._may_linger.acquire(blocking=False):
            return False
        try:
            poller = select.poll()
            poller.register(conn.sock, select.POLLIN)
            return bool(poller.poll(LINGER_MS))
        finally:
            self._may_linger.release()
