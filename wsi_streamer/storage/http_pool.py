"""Pools of urllib3 that lend their connections to `exchange`, and keep a few to spare."""

import http.client
import logging
import threading
import time
import weakref

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import EmptyPoolError, HTTPError, ProtocolError

from wsi_streamer.storage.idle_connections import IdleConnections

log = logging.getLogger(__name__)

# So many are left for those who ask next, at the same time or soon after; connecting takes a
# round trip, with TLS two.
SPARES = 2
# Nobody waits for a spare one.
SPARE_CONNECT_S = 1.0
# After one that could not be made.
FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0


class KeptPool(HTTPConnectionPool):
    """Connections without TLS to one host, of which the last used is lent first.

    When few are left, more are made in the background, by one thread that ends when there are
    enough, or one cannot be made. Then none is tried for a while, twice as long each time.
    """

    # Whether there is a proxy that is not to read what passes.
    tunnels = False

    def __init__(self, host: str, port: int | None = None, **settings: object) -> None:
        # urllib3 hands its own settings through.
        super().__init__(host, port, **settings)  # type: ignore[arg-type]
        self._idle = IdleConnections(self.pool.maxsize if self.pool else 1)
        self._filling = threading.Lock()
        self._rest_until = time.monotonic()
        self._rest_s = FIRST_REST_S
        weakref.finalize(self, self._idle.close)

    def take(self, wait_s: float) -> HTTPConnection:
        """Return a connection, which is open if it was used before and has not ended since.

        Raises urllib3's errors, after `wait_s` seconds without a free one.
        """
        try:
            connection = self._idle.take(wait_s)
        except TimeoutError as exc:
            raise EmptyPoolError(self, "all connections are in use") from exc
        return connection or self._make()

    def connect(self, connection: HTTPConnection, timeout_s: float) -> None:
        """Open a connection, through a tunnel where a proxy is not to read what passes.

        Raises urllib3's errors, of certificates as well.
        """
        connection.timeout = timeout_s
        try:
            if self.tunnels:
                self._prepare_proxy(connection)
            if connection.is_closed:
                self._validate_conn(connection)
            if connection.is_closed:
                connection.connect()
        except HTTPError:
            raise
        # urllib3's error of certificates is a ValueError.
        except (OSError, ValueError, http.client.HTTPException) as exc:
            raise ProtocolError("no connection could be made", exc) from exc

    def give_back(self, connection: HTTPConnection, *, keep: bool) -> None:
        """Take a connection back, to be used again or to be closed."""
        if not keep:
            connection.close()
        self._idle.give_back(connection if keep else None)

    def have_spares(self, count: int = SPARES) -> None:
        """Have connections made in the background until `count` are idle; costs nothing if so."""
        if not (self._idle.lacks(count) and self._may_try() and self._filling.acquire(False)):
            return
        try:
            threading.Thread(target=self._fill, args=(count,), name="spares", daemon=True).start()
        except RuntimeError as exc:
            # No threads to be had, or the process is about to end.
            self._filling.release()
            log.debug("no spare connections: %s", exc)

    def _fill(self, count: int) -> None:
        try:
            while self._may_try() and self._idle.take_right(count):
                self._add_spare()
        finally:
            self._filling.release()

    def _add_spare(self) -> None:
        """Make an idle connection of a right to make one, if the storage lets us."""
        connection, is_open = self._make(), False
        try:
            self.connect(connection, SPARE_CONNECT_S)
            is_open = True
        except HTTPError as exc:
            log.debug("no spare connection to %s: %s", self.host, exc)
        finally:
            if is_open:
                self._rest_s = FIRST_REST_S
                self._idle.add_spare(connection)
            else:
                self._rest_until = time.monotonic() + self._rest_s
                self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)
                self.give_back(connection, keep=False)

    def _may_try(self) -> bool:
        return time.monotonic() >= self._rest_until

    def _make(self) -> HTTPConnection:
        connection = self._new_conn()
        if isinstance(connection, HTTPConnection):
            return connection
        raise ProtocolError("urllib3 gave a connection of another kind")


class KeptTlsPool(KeptPool, HTTPSConnectionPool):
    """Connections with TLS to one host."""


POOLS: dict[str, type] = {"http": KeptPool, "https": KeptTlsPool}
