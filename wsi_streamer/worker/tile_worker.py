"""TileWorker: a worker of gunicorn in which one thread answers and others stand by."""

# gunicorn ships no types.
# mypy: allow-subclassing-any

import errno
import os
import select
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

from gunicorn.sock import ssl_context
from gunicorn.workers.base import Worker

from wsi_streamer.waiting import HOOK, BeforeWaiting
from wsi_streamer.worker.answering import Answering
from wsi_streamer.worker.client_socket import PATIENCE_S, take_over
from wsi_streamer.worker.connection import Connection
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
# Of all answers together, what clients were slow to take.
MOST_UNSENT = 64 * 1024 * 1024
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
        self._accepting = threading.Lock()
        self._tls: ssl.SSLContext | None = ssl_context(self.cfg) if self.cfg.is_ssl else None
        super().init_process()

    def run(self) -> None:
        """Serve until told to stop."""
        hook = getattr(self.wsgi, "extensions", {}).get(HOOK)
        if isinstance(hook, BeforeWaiting):
            hook.tell(self._turns.step_aside)
        for listener in self.sockets:
            listener.setblocking(False)
        self._accept_if(True)
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
            self._accept_if(self._has_room())

    def _finish(self) -> None:
        """Take no more connections, and give those that there are time for a last request."""
        self._accept_if(False)
        for listener in self.sockets:
            listener.close()
        last = time.monotonic() + self.cfg.graceful_timeout
        while self._connections and (now := time.monotonic()) < last:
            for connection in list(self._connections.values()):
                connection.deadline = min(connection.deadline, now + ENDING_S)
            self._look_after(LOOK_S / 2)

    def _has_room(self) -> bool:
        return len(self._connections) < int(self.cfg.worker_connections)

    def _accept_if(self, wanted: bool) -> None:
        """Wait for connections, or wait for them no longer."""
        with self._accepting:
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
            connection = self._take_connection(listener)
        except OSError as exc:
            if exc.errno not in NOTHING_TO_ACCEPT:
                self.log.error("cannot accept a connection: %s", exc)
                # Out of file descriptors, say: the main thread will have it tried again.
                self._accept_if(False)
            return
        if connection is None:
            return
        connection.wait_until(FIRST_REQUEST_S)
        self._connections[connection.fileno()] = connection
        self._turns.add(connection)
        if not self._has_room():
            self._accept_if(False)

    def _take_connection(self, listener: Any) -> Connection | None:
        with self._accepting:
            # Found ready before that, and perhaps about to be closed.
            if not self._is_accepting:
                return None
            sock, client = listener.accept()
            server = listener.getsockname()
        ours = take_over(sock, self._tls)
        ours.before_waiting = self._turns.step_aside
        ours.may_keep = self._may_keep
        ours.unsent = bytearray()
        return Connection(self.cfg, ours, client, server)

    def _may_keep(self, size: int) -> bool:
        unsent = sum(len(it.sock.unsent) for it in list(self._connections.values()))
        return unsent + size <= MOST_UNSENT

    def _handle(self, connection: Connection) -> None:
        """Do what a connection is ready for, and put it back or close it."""
        keep = False
        try:
            self._answer_some(connection)
            keep = True
        except (StopIteration, OSError):
            pass
        finally:
            self._turns.end(connection, keep=keep, event=connection.event)
            if not keep:
                self._forget(connection)

    def _answer_some(self, connection: Connection) -> None:
        """Answer the requests that have come.

        Raises StopIteration or OSError if the connection is done with.
        """
        if connection.sock.unsent:
            has_request = self._send_rest(connection) and connection.has_next()
        else:
            has_request = connection.read_head()
        answered = 0
        while has_request:
            goes_on = self._answering.answer(connection)
            if connection.sock.unsent:
                connection.is_last = not goes_on
                connection.wait_until(PATIENCE_S)
                # What it waits for has changed.
                self._turns.step_aside()
                return
            self._go_on(connection) if goes_on else self._end(connection)
            has_request = goes_on and connection.has_next()
            answered += 1
            if answered == MOST_REQUESTS:
                self._turns.step_aside()

    def _send_rest(self, connection: Connection) -> bool:
        """Send what a client was slow to take; True if it may be answered more."""
        self._turns.step_aside()
        if connection.sock.send_rest():
            connection.wait_until(PATIENCE_S)
        if connection.sock.unsent:
            return False
        self._end(connection) if connection.is_last else self._go_on(connection)
        return not connection.is_last

    def _go_on(self, connection: Connection) -> None:
        connection.wait_until(self.cfg.keepalive if self.alive else ENDING_S)

    def _end(self, connection: Connection) -> None:
        connection.wait_until(ENDING_S)
        connection.end()

    def _forget(self, connection: Connection) -> None:
        self._connections.pop(connection.fileno(), None)
        connection.close()
