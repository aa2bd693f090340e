"""TileWorker: a worker of gunicorn in which one thread answers and others stand by."""

# gunicorn ships no types.
# mypy: allow-subclassing-any

import errno
import os
import select
import threading
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.base import Worker

from wsi_streamer.waiting import HOOK, BeforeWaiting
from wsi_streamer.worker.answering import Answering
from wsi_streamer.worker.connection import ClientSocket, Connection
from wsi_streamer.worker.turns import Turns

# How often the main thread looks after the others.
LOOK_S = 0.1
# A thread that is busy for longer without having said so is no leader any more.
LONGEST_LEAD_S = 0.1
# A new connection has to send a request within this time, and so has one that sends slowly.
FIRST_REQUEST_S = 20.0
# After the last answer, and before a worker ends, clients have so long.
ENDING_S = 2.0
# After so many requests that came together, others may be answered meanwhile.
MOST_REQUESTS = 16
# Of accept(2): the client is gone, or another worker was faster.
NOTHING_TO_ACCEPT = {errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED}


class TileWorker(Worker):
    """A worker whose threads take turns: see `turns`.

    The main thread hears signals, tells gunicorn that the worker lives, closes idle connections
    and relieves a leader who is busy for too long.
    """

    alive: bool

    def init_process(self) -> None:
        """Prepare the process after the fork; does not return before the worker ends."""
        self._turns = Turns()
        self._answering = Answering(self, self._turns.step_aside)
        self._connections: dict[int, Connection] = {}
        self._is_accepting = False
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop."""
        hook = getattr(self.wsgi, "extensions", {}).get(HOOK)
        if isinstance(hook, BeforeWaiting):
            hook.tell(self._turns.step_aside)
        for listener in self.sockets:
            listener.setblocking(False)
        self._accept_more()
        for number in range(self.cfg.threads):
            threading.Thread(target=self._serve, name=f"tiles-{number}", daemon=True).start()
        while self.alive and self.ppid == os.getppid():
            self._look_after(LOOK_S)
        self._finish()

    def goes_on(self) -> bool:
        """Count a request; False if it is among the last ones of this worker."""
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        return bool(self.alive)

    def _look_after(self, seconds: float) -> None:
        """Wait so long, or until a signal comes, and see that all is well."""
        self.notify()
        # Signals write into the pipe.
        if select.select([self.PIPE[0]], [], [], seconds)[0]:
            with suppress(BlockingIOError):
                os.read(self.PIPE[0], 4096)
        self._turns.relieve(LONGEST_LEAD_S)
        now = time.monotonic()
        for connection in list(self._connections.values()):
            if connection.deadline < now and self._turns.remove(connection):
                self._forget(connection)
        if self.alive:
            self._accept_more()

    def _finish(self) -> None:
        """Take no more connections, and give those that there are time for a last request."""
        for listener in self.sockets:
            self._turns.remove(listener)
            listener.close()
        end = time.monotonic() + ENDING_S
        for connection in list(self._connections.values()):
            connection.deadline = min(connection.deadline, end)
        last = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and time.monotonic() < last:
            self._look_after(LOOK_S / 2)

    def _accept_more(self) -> None:
        """Wait for connections, unless there are as many as there may be."""
        wanted = len(self._connections) < self.cfg.worker_connections
        if wanted != self._is_accepting:
            self._is_accepting = wanted
            for listener in self.sockets:
                self._turns.add(listener) if wanted else self._turns.remove(listener)

    def _serve(self) -> None:
        """Do the work of a thread."""
        while True:
            if self._turns.wait():
                self._lead()

    def _lead(self) -> None:
        while self._turns.take_lead():
            for source in self._turns.ready():
                try:
                    if not isinstance(source, Connection):
                        self._accept(source)
                    elif self._turns.begin(source):
                        self._handle(source)
                    else:
                        break
                except Exception:
                    self.log.exception("Error handling a connection")

    def _accept(self, listener: Any) -> None:
        try:
            sock, client = listener.accept()
        except OSError as exc:
            if exc.errno not in NOTHING_TO_ACCEPT:
                self.log.error("cannot accept a connection: %s", exc)
                # Out of file descriptors, say: asking again at once would not help.
                time.sleep(LOOK_S)
            return
        ours = ClientSocket(fileno=sock.detach())
        ours.before_waiting = self._turns.step_aside
        ours.setblocking(True)
        connection = Connection(self.cfg, ours, client, listener.getsockname())
        connection.wait_until(FIRST_REQUEST_S)
        self._connections[connection.fileno()] = connection
        self._turns.add(connection)
        if len(self._connections) >= self.cfg.worker_connections:
            self._accept_more()

    def _handle(self, connection: Connection) -> None:
        """Answer what a connection asks, and put it back or close it."""
        keep = False
        try:
            keep = self._answer_some(connection)
        except (StopIteration, OSError):
            keep = False
        finally:
            if keep:
                self._turns.end(connection, keep=True)
            else:
                self._drop(connection)

    def _answer_some(self, connection: Connection) -> bool:
        """Answer the requests that have come; False if the connection is done with."""
        if self.cfg.is_ssl:
            # Without TLS it can be seen whether a request has come; with it, reading may wait.
            self._turns.step_aside()
            connection.secure(self.cfg)
        elif not connection.read_head():
            return True
        answered = 0
        while self._answering.answer(connection):
            if not connection.has_more:
                connection.wait_until(self.cfg.keepalive if self.alive else ENDING_S)
                return True
            answered += 1
            if answered == MOST_REQUESTS:
                self._turns.step_aside()
        connection.wait_until(ENDING_S)
        return connection.end()

    def _drop(self, connection: Connection) -> None:
        self._turns.end(connection, keep=False)
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection.fileno(), None)
        connection.close()
