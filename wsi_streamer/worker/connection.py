"""Connection: a client's connection, on which the thread that leads never waits."""

import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from gunicorn import http, util
from gunicorn.sock import ssl_wrap_socket

from wsi_streamer.worker.plain_request import PlainHeads, PlainRequest

# What a request head may take before it is the parser's affair to refuse it.
LARGEST_HEAD = 128 * 1024
READ_BYTES = 64 * 1024
END_OF_HEAD = b"\r\n\r\n"
# How long a client may keep a thread waiting for one more byte to come, or to go.
PATIENCE_S = 20.0


class ClientSocket(socket.socket):
    """A socket that tells before it waits for a client, and does not wait for ever.

    Raises TimeoutError after `PATIENCE_S` in which nothing came or went.
    """

    before_waiting: Callable[[], None]

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come, at most `size` bytes; b"" at the end."""
        try:
            return super().recv(size, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            self._wait(select.POLLIN)
            return super().recv(size, flags)

    # The signature of socket.socket; whatever is sent here is bytes.
    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it."""
        sent = self._send_some(data, flags)
        if sent < len(data):
            with memoryview(data) as view:
                while sent < len(view):
                    self._wait(select.POLLOUT)
                    sent += self._send_some(view[sent:], flags)

    def _send_some(self, data: Any, flags: int) -> int:
        try:
            return self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _wait(self, event: int) -> None:
        self.before_waiting()
        poller = select.poll()
        poller.register(self, event)
        if not poller.poll(1000 * PATIENCE_S):
            raise TimeoutError("the client keeps the server waiting")


class Connection:
    """A client's connection with the parser of its requests; `deadline` is when it is closed.

    `sock` is a ClientSocket, or that of TLS. After its last answer a connection is read from until
    the client has ended it too: closed at once, it could take back what was just sent (RFC 9112,
    section 9.6).
    """

    def __init__(self, cfg: Any, sock: Any, client: Any, server: Any) -> None:
        self.sock = sock
        self.client = client
        self.server = server
        self.parser: Any = http.get_parser(cfg, sock, client)
        self.deadline = 0.0
        self.is_ending = False
        self._left = LARGEST_HEAD
        self._fd = sock.fileno()
        self._received = b""
        self._plain = PlainHeads(cfg, client)
        self._request: PlainRequest | None = None

    def fileno(self) -> int:
        """Return the file descriptor, also that of a connection which is closed."""
        return int(self._fd)

    def read_head(self) -> bool:
        """Read what has come; True when a whole request head is there for the parser.

        Raises StopIteration at the end of the connection.
        """
        try:
            data = socket.socket.recv(self.sock, READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        if not data:
            raise StopIteration
        if self.is_ending:
            return self._ignore(data)
        received = self._received + data
        # Empty lines may stand before a request.
        if received.find(END_OF_HEAD) > 2 or len(received) > LARGEST_HEAD:
            self._received = b""
            self._request = self._plain.find_request(received)
            if self._request is None:
                self.parser.unreader.unread(received)
            return True
        self._received = received
        return False

    def next_request(self) -> Any:
        """Return a request; raises what gunicorn's parser does, StopIteration at the end."""
        request, self._request = self._request, None
        return request or next(self.parser)

    def finish_request(self) -> bool:
        """Read what the app left of the body of the last request; False if it is too much."""
        return bool(self.parser.finish_body())

    def _ignore(self, data: bytes) -> bool:
        self._left -= len(data)
        if self._left <= 0:
            raise StopIteration
        return False

    @property
    def has_more(self) -> bool:
        """Whether bytes of another request were received already."""
        pending = getattr(self.sock, "pending", None)
        return bool(self.parser.unreader.buf.getvalue()) or bool(pending and pending())

    def wait_until(self, seconds: float) -> None:
        """Have the connection closed if nothing comes for so long."""
        self.deadline = time.monotonic() + seconds

    def secure(self, cfg: Any) -> None:
        """Greet the client, if that was not done yet; raises OSError if it speaks no TLS."""
        if not isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(PATIENCE_S)
            self.sock = ssl_wrap_socket(self.sock, cfg)
            self.parser = http.get_parser(cfg, self.sock, self.client)

    def end(self) -> bool:
        """Say that nothing more will be sent; False if the connection can be closed at once.

        Raises OSError where the client is gone.
        """
        if isinstance(self.sock, ssl.SSLSocket):
            util.close_graceful(self.sock)
            return False
        self.is_ending = True
        self.sock.shutdown(socket.SHUT_WR)
        return True

    def close(self) -> None:
        """Close it."""
        util.close(self.sock)
