"""The connections of a pool that nobody uses, and the right to make more of them."""

import select
import ssl
import threading
import time
from collections.abc import Callable

from urllib3.connection import HTTPConnection

# Firewalls and gateways forget connections without a word, some after a few minutes (those of AWS
# after 350 s). Clients of Amazon's keep them for this long.
MAX_IDLE_S = 60.0


class IdleConnections:
    """A stack of open connections, of which with those in use there are never more than `most`.

    Whoever takes one, or the right to make one, gives it back.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._freed = threading.Condition(threading.Lock())
        # Since when each is idle; the last used is on top.
        self._idle: list[tuple[float, HTTPConnection]] = []
        self._room = most

    def lacks(self, few: int) -> bool:
        """Say whether fewer than `few` are idle and not too old, and one more may be made."""
        idle = self._idle
        try:
            return (len(idle) < few and self._room > 0) or self._is_old(idle[0])
        except IndexError:
            # Taken meanwhile: no lock is held here, for this is asked with each request.
            return self._room > 0

    def take(self, wait_s: float) -> HTTPConnection | None:
        """Return the connection that was used last, or None, which is the right to make one.

        Those that have ended are closed. Raises TimeoutError after `wait_s` without either.
        """
        with self._freed:
            if not (self._idle or self._room) and not self._freed.wait_for(self._is_free, wait_s):
                raise TimeoutError
            if not self._idle:
                self._room -= 1
                return None
            since, connection = self._idle.pop()
        while self._is_old((since, connection)) or not is_quiet(connection):
            connection.close()
            with self._freed:
                if not self._idle:
                    return None
                self._room += 1
                self._freed.notify()
                since, connection = self._idle.pop()
        return connection

    def take_right(self, few: int) -> bool:
        """Take the right to make one more if fewer than `few` are idle; never waits for it.

        Those that have been idle for too long, at the bottom, are closed and do not count.
        """
        old = []
        with self._freed:
            while self._idle and self._is_old(self._idle[0]):
                old.append(self._idle.pop(0)[1])
            self._room += len(old)
            lacks = len(self._idle) < few and self._room > 0
            self._room -= lacks
        for connection in old:
            connection.close()
        return lacks

    def give_back(self, connection: HTTPConnection | None) -> None:
        """Take back an open connection, or the right to make one."""
        with self._freed:
            if connection is None:
                self._room += 1
            else:
                self._idle.append((self._clock(), connection))
            self._freed.notify()

    def add_spare(self, connection: HTTPConnection) -> None:
        """Put a new connection below all others: those in use before know the way's bandwidth."""
        with self._freed:
            self._idle.insert(0, (self._clock(), connection))
            self._freed.notify()

    def close(self) -> None:
        """Close what is idle. Takes no lock: in a forked process nobody might let go of it."""
        while self._idle:
            _, connection = self._idle.pop()
            connection.close()

    def _is_old(self, entry: tuple[float, HTTPConnection]) -> bool:
        return self._clock() - entry[0] > MAX_IDLE_S

    def _is_free(self) -> bool:
        return bool(self._idle or self._room)


def is_quiet(connection: HTTPConnection) -> bool:
    """Say whether nothing came on an idle connection: not its end, nor what nobody asked for."""
    sock = connection.sock
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(0):
        return True
    # With TLS, tickets for later sessions come without being asked for (RFC 8446, 4.6.1).
    try:
        sock.settimeout(0)
        sock.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    return False
