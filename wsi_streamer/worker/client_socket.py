"""ClientSocket: a client's socket, plain or of TLS, on which no thread waits for the client.

What the client does not take at once stays in `unsent`, to be sent when there is room for it.
"""

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# How long a client may keep the server waiting for the next byte to come, or to go.
PATIENCE_S = 20.0
# Of TLS, progress shows only between records. (RFC 8446, section 5.1)
RECORD_BYTES = 16 * 1024


class ClientSocket(socket.socket):
    """A non-blocking socket that sends what it can and keeps the rest.

    `may_keep` says whether there is memory for so many bytes more. `before_waiting` is called by
    a thread that has to wait after all, since the app wants to read the body of a request.
    """

    before_waiting: Callable[[], None]
    may_keep: Callable[[int], bool]
    unsent: bytearray

    def receive(self, size: int) -> bytes | None:
        """Return what has come, at most `size` bytes; b"" at the end, None if nothing has."""
        try:
            return socket.socket.recv(self, size)
        except BlockingIOError:
            return None

    def send_some(self, data: bytes | memoryview) -> int:
        """Send what can be sent now; return how many bytes that was."""
        try:
            return self.send(data)
        except BlockingIOError:
            return 0

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Wait for something to come and return it; raises TimeoutError after `PATIENCE_S`."""
        while (data := self.receive(buflen)) is None:
            self.before_waiting()
            poller = select.poll()
            poller.register(self, select.POLLIN)
            if not poller.poll(1000 * PATIENCE_S):
                raise TimeoutError("the client keeps the server waiting")
        return data

    # The signature of socket.socket; whatever is sent here is bytes.
    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send what can be sent now and keep the rest; raises TimeoutError if that is too much."""
        sent = 0 if self.unsent else self.send_some(data)
        if sent == len(data):
            return
        if not self.may_keep(len(data) - sent):
            self.unsent.clear()
            raise TimeoutError("the clients do not take their answers")
        with memoryview(data) as view:
            self.unsent += view[sent:]

    def send_rest(self) -> bool:
        """Send some of what was kept; True if any of it could be sent."""
        with memoryview(self.unsent) as view:
            sent = self.send_some(view)
        del self.unsent[:sent]
        return sent > 0


class TlsSocket(ClientSocket, ssl.SSLSocket):
    """A ClientSocket of TLS, which greets the client when it hears from it.

    Raises OSError where the client speaks no TLS.
    """

    _has_greeted = False

    def receive(self, size: int) -> bytes | None:
        """Return what has come, as ClientSocket does."""
        try:
            if not self._has_greeted:
                self.do_handshake()
                self._has_greeted = True
            return ssl.SSLSocket.recv(self, size)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None

    def send_some(self, data: bytes | memoryview) -> int:
        """Send what can be sent now; return how many bytes that was."""
        sent = 0
        with memoryview(data) as view, suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            while sent < len(view):
                sent += self.send(view[sent : sent + RECORD_BYTES])
        return sent

    def shutdown(self, how: int) -> None:
        """Say goodbye, and shut the socket down."""
        with suppress(OSError, ValueError):
            self.unwrap()
        super().shutdown(how)


def take_over(sock: socket.socket, tls: ssl.SSLContext | None) -> ClientSocket:
    """Return the accepted socket as a ClientSocket; raises OSError where the client is gone."""
    if tls is None:
        ours = ClientSocket(fileno=sock.detach())
        ours.setblocking(False)
        return ours
    sock.setblocking(False)
    tls.sslsocket_class = TlsSocket
    secured = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
    if not isinstance(secured, TlsSocket):
        raise TypeError("a TLS context that makes sockets of its own")
    return secured
