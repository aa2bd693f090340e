"""Pools of urllib3 that lend their connections to `exchange`."""

import http.client

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ProtocolError


class KeptPool(HTTPConnectionPool):
    """Connections without TLS to one host, of which the last used is lent first."""

    def take(self, wait_s: float) -> HTTPConnection:
        """Return a connection, which is open if it was used before and has not ended since.

        Raises urllib3's errors, after `wait_s` seconds without a free one.
        """
        connection = self._get_conn(wait_s)
        if isinstance(connection, HTTPConnection):
            return connection
        raise ProtocolError("urllib3 gave a connection of another kind")

    def connect(self, connection: HTTPConnection, timeout_s: float, target: str) -> None:
        """Open a connection, through a tunnel where a proxy is not to read `target`.

        Raises urllib3's errors, of certificates as well.
        """
        connection.timeout = timeout_s
        try:
            # A target that names the host is one for the proxy.
            if self.proxy is not None and target.startswith("/"):
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
        self._put_conn(connection if keep else None)


class KeptTlsPool(KeptPool, HTTPSConnectionPool):
    """Connections with TLS to one host."""


POOLS = {"http": KeptPool, "https": KeptTlsPool}
