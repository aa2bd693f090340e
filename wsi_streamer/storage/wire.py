"""A connected socket on which no wait outlasts the deadline of the question."""

import io
import socket

from urllib3.exceptions import ProtocolError
from urllib3.exceptions import TimeoutError as WaitedTooLong

from wsi_streamer.storage.deadline import Deadline

# The part of a wait after which what was expected does not come soon.
SOON = 4


class ConnectionEnded(ProtocolError):
    """The other side ended a connection."""


class Wire:
    """Sends and receives; a single wait lasts `wait_s` at most, after `expect` a quarter more, and
    all end with the deadline.

    What goes wrong is raised as urllib3 calls it: TimeoutError, and ProtocolError for a connection
    that breaks. After the deadline StorageUnreachable is raised.
    """

    def __init__(self, sock: socket.socket, wait_s: float, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._least = 1
        self._is_slow = False
        self._wait_s = min(wait_s, deadline.left_s())
        if sock.gettimeout() != self._wait_s:
            sock.settimeout(self._wait_s)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._sock.sendall(data)
        except TimeoutError as exc:
            raise WaitedTooLong from exc
        except (ConnectionResetError, BrokenPipeError) as exc:
            raise ConnectionEnded("the connection was reset", exc) from exc
        except OSError as exc:
            raise ProtocolError("the connection broke", exc) from exc

    def expect(self, count: int) -> None:
        """Have the next `receive` wait until so many bytes have come.

        A body comes in packets, and to wake a thread for each costs more than to receive it. Where
        they do not come soon, each packet is waited for as usual. Over TLS, whose bytes are others,
        nothing changes.
        """
        if count > 1 and self._is_slow:
            return
        if count != self._least and type(self._sock) is socket.socket:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
            self._sock.settimeout(self._wait_s if count == 1 else self._wait_s / SOON)
            self._least = count

    def receive(self, room: memoryview) -> int:
        """Fill `room` with what has arrived and return its length; 0 after the end."""
        # The time-out of a socket is one of each wait, not of all.
        left_s = self._deadline.left_s()
        if left_s < self._wait_s:
            self._wait_s = left_s
            self._sock.settimeout(left_s if self._least == 1 else left_s / SOON)
        try:
            return self._sock.recv_into(room)
        except TimeoutError as exc:
            if self._least == 1:
                raise WaitedTooLong from exc
        except ConnectionResetError as exc:
            raise ConnectionEnded("the connection was reset", exc) from exc
        except OSError as exc:
            raise ProtocolError("the connection broke", exc) from exc
        self._is_slow = True
        self.expect(1)
        return self.receive(room)


class Replay(io.RawIOBase):
    """A file that gives bytes received before, and then those of a wire."""

    def __init__(self, received: bytes, wire: Wire) -> None:
        self._received = received
        self._wire = wire

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the file as http.client asks a socket for it; `mode` is "rb"."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        """Fill `room`, as `Wire.receive` does."""
        if not self._received:
            return self._wire.receive(room)
        count = min(len(room), len(self._received))
        room[:count] = self._received[:count]
        self._received = self._received[count:]
        return count
