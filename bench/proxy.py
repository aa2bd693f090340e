"""Stands before the storage, adds the latency of a network and counts: `python -m bench.proxy`.

Each answer comes one round trip after its request at the earliest, and a new connection costs one
more. Bandwidth, slow start and TLS are not modelled. Commands come as lines of JSON on the input,
answers leave as lines on the output; the proxy ends with its input.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

CHUNK = 1 << 16


@dataclass
class Exchange:
    """A request: when it came and when the last byte of its answer left, in seconds."""

    started: float
    ended: float = float("inf")


@dataclass(frozen=True)
class Traffic:
    """What went to the storage: connections, requests, bytes of bodies read, and the length of the
    longest chain of requests of which each began after the one before had ended.
    """

    connections: int
    requests: int
    read_bytes: int
    round_trips: int


@dataclass
class Ledger:
    """What a proxy saw since it was last asked."""

    connections: int = 0
    read_bytes: int = 0
    exchanges: list[Exchange] = field(default_factory=list)

    def traffic(self) -> Traffic:
        """Return the sums."""
        return Traffic(
            self.connections, len(self.exchanges), self.read_bytes, chain_length(self.exchanges)
        )


def chain_length(exchanges: Sequence[Exchange]) -> int:
    """Return how many exchanges followed one another, at most: the dependent round trips.

    A request that began after another's answer was complete may depend on it: an upper bound.
    """
    depths: list[tuple[float, int]] = []
    for one in sorted(exchanges, key=lambda it: it.started):
        before = max((depth for ended, depth in depths if ended <= one.started), default=0)
        depths.append((one.ended, before + 1))
    return max((depth for _, depth in depths), default=0)


class Proxy:
    """A proxy in a process of its own; as a context manager it is ended at the end."""

    def __init__(self, upstream_port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.proxy", str(upstream_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.port = int(self._answer()["port"])

    def reset(self, round_trip_ms: float = 0) -> None:
        """Begin to count anew, with this latency from now on."""
        self._ask({"round_trip_ms": round_trip_ms})

    def traffic(self) -> Traffic:
        """Return what went through since the last reset."""
        return Traffic(**self._ask({}))

    def stop(self) -> None:
        """End the proxy; harmless when repeated."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _ask(self, command: dict[str, float]) -> dict[str, int]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the proxy ended")
        answer: dict[str, int] = json.loads(line)
        return answer


class _Relay:
    """Carries connections to the storage and back, late."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self.round_trip_s = 0.0
        self.ledger = Ledger()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry the exchanges of one connection, until either side ends it."""
        self.ledger.connections += 1
        # The handshake: what a client sends first has waited a round trip for it.
        arrived = time.perf_counter() + self.round_trip_s
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._upstream_port)
            while True:
                request = await _read_message(reader)
                exchange = Exchange(max(time.perf_counter(), arrived))
                ledger = self.ledger
                ledger.exchanges.append(exchange)
                await _sleep_until(exchange.started + self.round_trip_s)
                upstream.write(request)
                await self._answer(answers, writer, ledger, request[:5] == b"HEAD ")
                exchange.ended = time.perf_counter()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            for one in (writer, upstream):
                if one:
                    one.close()

    async def _answer(
        self,
        answers: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ledger: Ledger,
        is_head: bool,
    ) -> None:
        head = await answers.readuntil(b"\r\n\r\n")
        writer.write(head)
        has_body = not is_head and head.split(b" ", 2)[1] not in (b"204", b"304")
        left = _content_length(head) if has_body else 0
        while left:
            part = await answers.read(min(CHUNK, left))
            if not part:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(part)
            ledger.read_bytes += len(part)
            writer.write(part)
            await writer.drain()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head + await reader.readexactly(_content_length(head))


async def _sleep_until(moment: float) -> None:
    left = moment - time.perf_counter()
    if left > 0:
        await asyncio.sleep(left)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
        if name.lower() == b"transfer-encoding":
            raise OSError("a body of unknown length: the proxy counts bytes")
    return 0


async def _serve(upstream_port: int) -> None:
    relay = _Relay(upstream_port)
    server = await asyncio.start_server(relay.carry, "127.0.0.1", 0, limit=1 << 20)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    commands = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(commands)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        if "round_trip_ms" in command:
            relay.round_trip_s = command["round_trip_ms"] / 1000
            relay.ledger = Ledger()
        print(json.dumps(asdict(relay.ledger.traffic())), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
