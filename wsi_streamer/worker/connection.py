"""Connection: a client's connection, on which the thread that leads never waits."""

import re
import select
import socket
import time
from typing import Any

from gunicorn import http, util

from wsi_streamer.worker.client_socket import ClientSocket
from wsi_streamer.worker.plain_request import END, PlainHeads, PlainRequest

LARGEST_HEAD = 128 * 1024
READ_BYTES = 64 * 1024
# A head with one is none, however it goes on. (RFC 9112, section 2.2)
BARE_LF = re.compile(rb"(?<!\r)\n")


class Connection:
    """A client's connection with the parser of its requests; `deadline` is when it is closed.

    After its last answer a connection is read from until the client has ended it too: closed at
    once, it could take back what was just sent (RFC 9112, section 9.6).
    """

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.deadline = 0.0
        # Whether what is being sent was the last answer.
        self.is_last = False
        self._parser: Any = http.get_parser(cfg, sock, client)
        self._is_ending = False
        self._fd = sock.fileno()
        self._received = b""
        self._is_too_long = False
        self._plain = PlainHeads(cfg, client)
        self._request: PlainRequest | None = None

    def fileno(self) -> int:
        """Return the file descriptor, also that of a connection which is closed."""
        return self._fd

    @property
    def event(self) -> int:
        """What the connection waits for: the client takes an answer, or asks."""
        return select.EPOLLOUT if self.sock.unsent else select.EPOLLIN

    def read_head(self) -> bool:
        """Read what has come; True when there is a whole request head, or one that is none.

        Raises StopIteration at the end of the connection.
        """
        data = self.sock.receive(READ_BYTES)
        if data is None:
            return False
        if not data:
            raise StopIteration
        return not self._is_ending and self._add(data)

    def has_next(self) -> bool:
        """Say whether another whole request head has come together with the last one."""
        unreader = self._parser.unreader
        return bool(unreader.buf.getvalue()) and self._add(unreader.read())

    def next_request(self) -> Any:
        """Return the request whose head has come; raises what gunicorn's parser does."""
        if self._is_too_long:
            raise http.errors.LimitRequestHeaders("the head does not end")
        request, self._request = self._request, None
        return request or next(self._parser)

    def wait_until(self, seconds: float) -> None:
        """Have the connection closed if nothing comes for so long."""
        self.deadline = time.monotonic() + seconds

    def end(self) -> None:
        """Say that nothing more will be sent; raises OSError where the client is gone."""
        self._is_ending = True
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close it."""
        util.close(self.sock)

    def _add(self, data: bytes) -> bool:
        # An end may have come in two pieces.
        start = max(0, len(self._received) - len(END) + 1)
        received = self._received + data
        self._is_too_long = len(received) > LARGEST_HEAD
        if received.find(END, start) >= 0 or BARE_LF.search(received, start):
            self._received = b""
            self._is_too_long = False
            self._request = self._plain.find_request(received)
            if self._request is None:
                self._parser.unreader.unread(received)
            return True
        self._received = received
        return self._is_too_long
