"""One GET on a kept connection: sent as it was prepared, answered with as little work as can be.

Of the CPU time that urllib3 and http.client spend on a small request, two thirds go into objects
that nobody looks at. Making connections, TLS, proxies and the pool stay theirs.
"""

from dataclasses import dataclass

from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as WaitedTooLong

from wsi_streamer.storage.deadline import Deadline
from wsi_streamer.storage.http_answer import Answer, OddAnswer, PlainAnswer, parse_plain
from wsi_streamer.storage.http_pool import KeptPool
from wsi_streamer.storage.s3_errors import NoAnswer
from wsi_streamer.storage.wire import ConnectionEnded, Wire

# Status line and headers of S3 take less than a kilobyte.
HEAD_ROOM = 8 * 1024
MAX_PLAIN_HEAD = 64 * 1024
# A body up to this size comes with its headers into one block and is copied out of it; for more,
# another wait costs less than copying.
MAX_ALONG = 64 * 1024
EMPTY_LINE = b"\r\n\r\n"
# Where http.client ends the headers as well.
BARE_EMPTY_LINES = (b"\n\n", b"\n\r\n")


@dataclass(frozen=True, slots=True)
class Question:
    """A request, ready to be sent, and the length of body expected."""

    message: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How long making a connection, and a whole attempt or one wait of it, may last."""

    connect_s: float
    attempt_s: float


class Exchange:
    """Borrows a connection of a pool and asks once; a context manager, which gives it back.

    A connection is used again only if just the answer was read from it.
    """

    def __init__(self, pool: KeptPool, waits: Waits, deadline: Deadline) -> None:
        self._pool = pool
        self._waits = waits
        self._deadline = deadline
        self._answer: Answer | None = None
        try:
            self._connection = pool.take(deadline.left_s())
        except HTTPError as exc:
            raise NoAnswer from exc

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        answer = self._answer
        self._pool.give_back(self._connection, keep=answer is not None and answer.is_drained)

    def ask(self, question: Question) -> Answer:
        """Return the answer, of which the body has yet to be read.

        A connection that the other side had ended while nobody used it is made anew, once. Raises
        NoAnswer, and StorageUnreachable after the deadline.
        """
        connection = self._connection
        was_open = not connection.is_closed
        try:
            try:
                self._answer = self._ask(connection, question)
            except ConnectionEnded:
                connection.close()
                if not was_open:
                    raise
                self._answer = self._ask(connection, question)
        except HTTPError as exc:
            raise NoAnswer from exc
        return self._answer

    def _ask(self, connection: HTTPConnection, question: Question) -> Answer:
        wait_s = self._waits.attempt_s
        if connection.sock is None:
            left_s = self._deadline.left_s()
            self._pool.connect(connection, min(self._waits.connect_s, left_s))
            wait_s -= left_s - self._deadline.left_s()
        if connection.sock is None or wait_s <= 0:
            raise WaitedTooLong
        wire = Wire(connection.sock, wait_s, self._deadline)
        wire.send(question.message)
        # Starting a thread may take a millisecond; now it is one of those spent on waiting.
        self._pool.have_spares()
        return receive_answer(wire, question.length)


def receive_answer(wire: Wire, length: int) -> Answer:
    """Return an answer with `length` bytes of body, of which some may have come along.

    Raises ConnectionEnded, and urllib3's errors for an answer that is none.
    """
    block = bytearray(HEAD_ROOM + (length if length <= MAX_ALONG else 0))
    got, end = receive_head(wire, block)
    plain = parse_plain(block[:end].decode("latin-1")) if end >= 0 else None
    if plain:
        status, headers = plain
        begin = end + len(EMPTY_LINE)
        if int(headers["content-length"]) <= length + HEAD_ROOM - begin:
            return PlainAnswer(status, headers, block, (begin, got), wire)
    return OddAnswer(bytes(block[:got]), wire)


def receive_head(wire: Wire, block: bytearray) -> tuple[int, int]:
    """Return how many bytes were received, and where the empty line behind the headers begins.

    It is negative for headers that are too long, or in which lines end without CR.
    """
    got, end, limit = 0, -1, min(len(block), MAX_PLAIN_HEAD)
    with memoryview(block) as room:
        while end < 0 and got < limit:
            count = wire.receive(room[got:])
            if not count and not got:
                raise ConnectionEnded("the connection ended")
            since = max(got - len(EMPTY_LINE), 0)
            got += count
            end = block.find(EMPTY_LINE, since, got)
            bare = end < 0 and any(block.find(it, since, got) >= 0 for it in BARE_EMPTY_LINES)
            if bare or not count:
                break
    return got, end
