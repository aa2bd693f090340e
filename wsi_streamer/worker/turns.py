"""Turns: which thread of a worker answers requests, and who takes over when it has to wait.

One thread leads: it waits for connections and answers what they ask, one after the other. The
others sleep. Handing each request to another thread costs several switches, and threads that run
at the same time fight for the interpreter lock at each system call; both cost more than a tile
from memory. Before a leader waits or works for long it steps aside, which costs two system calls
and wakes nobody: another thread wakes up only if a request comes before the leader is back.
"""

import select
import threading
import time
from collections.abc import Callable
from typing import Protocol

# How many connections a leader looks at before it asks again which are ready.
MOST_READY = 16


class Source(Protocol):
    """Something that can be waited for: a connection or a listening socket."""

    def fileno(self) -> int:
        """Return the file descriptor."""


class Turns:
    """Leadership among the threads of one process, and what the leader waits for.

    `_ready` tells which sources can be read. `_relief` can be read when `_ready` can and nobody
    leads: the other threads wait for that one. It is armed for one event at a time, so that one
    thread wakes up (epoll(7), EPOLLONESHOT; an epoll can be waited for by another).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._leader: int | None = None
        self._ready = select.epoll()
        self._relief = select.epoll()
        self._relief.register(self._ready.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
        self._sources: dict[int, Source] = {}
        # What the leader is busy with, and since when.
        self._current: Source | None = None
        self._since = 0.0

    def add(self, source: Source) -> None:
        """Wait for a source from now on."""
        with self._lock:
            self._sources[source.fileno()] = source
            self._ready.register(source.fileno(), select.EPOLLIN)

    def remove(self, source: Source) -> bool:
        """Wait for a source no longer; False if a thread has it in hand, or nobody waits for it."""
        with self._lock:
            if source is self._current or not self._waits_for(source):
                return False
            self._forget(source)
            return True

    def wait(self) -> bool:
        """Sleep until there is something to do and nobody who does it; True: the caller leads."""
        self._relief.poll()
        return self.take_lead()

    def take_lead(self) -> bool:
        """Lead if nobody does."""
        with self._lock:
            if self._leader is None:
                self._leader = threading.get_ident()
                self._relief.modify(self._ready.fileno(), 0)
                return True
            return self._leads()

    def ready(self) -> list[Source]:
        """Wait, as the leader, for sources that can be read; return some of them."""
        found = self._ready.poll(None, MOST_READY)
        # Some may have been removed meanwhile.
        return [it for fd, _ in found if (it := self._sources.get(fd))]

    def begin(self, source: Source) -> bool:
        """Take a source in hand; False if the caller does not lead, or somebody else has it."""
        with self._lock:
            if not self._leads() or not self._waits_for(source):
                return False
            self._current = source
            self._since = self._clock()
            return True

    def end(self, source: Source, *, keep: bool, event: int = select.EPOLLIN) -> None:
        """Put a source back, or wait for it no longer: then it may be closed.

        `event` is what is waited for; it may be another one only after `step_aside`.
        """
        with self._lock:
            if self._current is source:
                self._current = None
                if not keep:
                    self._forget(source)
            elif keep:
                self._sources[source.fileno()] = source
                self._ready.modify(source.fileno(), event)
            else:
                self._ready.unregister(source.fileno())

    def step_aside(self) -> None:
        """Let others lead if it is the caller who does."""
        if self._leader == threading.get_ident():
            with self._lock:
                if self._leads():
                    self._release()

    def relieve(self, patience_s: float) -> None:
        """Let others lead if the leader has been busy with one source for longer than that."""
        with self._lock:
            if self._current is not None and self._clock() - self._since > patience_s:
                self._release()

    def _waits_for(self, source: Source) -> bool:
        # Another one may have its file descriptor by now.
        return self._sources.get(source.fileno()) is source

    def _forget(self, source: Source) -> None:
        del self._sources[source.fileno()]
        self._ready.unregister(source.fileno())

    def _leads(self) -> bool:
        return self._leader == threading.get_ident()

    def _release(self) -> None:
        if self._current is not None:
            # Not ready again before it is put back. Of a connection that breaks, epoll tells all
            # the same, but only once.
            fd = self._current.fileno()
            self._ready.modify(fd, select.EPOLLONESHOT)
            self._sources.pop(fd, None)
            self._current = None
        self._leader = None
        self._relief.modify(self._ready.fileno(), select.EPOLLIN | select.EPOLLONESHOT)
