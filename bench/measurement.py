"""What one run of one work load against one server showed, and the medians of several."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from bench.load import Result
from bench.proxy import Traffic


@dataclass(frozen=True)
class Measurement:
    """Figures of one run, those of a tile divided by the number of tiles.

    `load` names the work load, `peer` the server. CPU and times are in ms. `front_cpu_ms` is the
    CPU of a program that stands before the server and is not in `cpu_ms`. `view_ms` is the time of
    a whole view, `round_trips` the length of the chain of dependent requests to the storage.
    """

    load: str
    peer: str
    round: int
    tiles: int
    cpu_ms: float
    front_cpu_ms: float
    p50_ms: float
    p99_ms: float
    view_ms: float
    served_bytes: float
    requests: float
    read_bytes: float
    round_trips: float
    connections: float
    memory_mb: float


@dataclass(frozen=True)
class Subject:
    """What is measured: the name of the work load, the server and the round."""

    load: str
    peer: str
    round: int


def make_measurement(
    subject: Subject, result: Result, traffic: Traffic, cpu: tuple[float, float], memory_mb: float
) -> Measurement:
    """Return the figures of a run; `cpu` is that of the server and of its front in ms."""
    tiles = len(result.latencies_ms)
    return Measurement(
        load=subject.load,
        peer=subject.peer,
        round=subject.round,
        tiles=tiles,
        cpu_ms=cpu[0] / tiles,
        front_cpu_ms=cpu[1] / tiles,
        p50_ms=percentile(result.latencies_ms, 50),
        p99_ms=percentile(result.latencies_ms, 99),
        view_ms=percentile(result.views_ms, 50),
        served_bytes=result.served_bytes / tiles,
        requests=traffic.requests / tiles,
        read_bytes=traffic.read_bytes / tiles,
        round_trips=traffic.round_trips,
        connections=traffic.connections,
        memory_mb=memory_mb,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


class Figures:
    """All measurements of a run of the benchmark, asked for by load and peer."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self._all = measurements

    def loads(self) -> list[str]:
        """Return the names of the loads in the order in which they ran."""
        return list(dict.fromkeys(one.load for one in self._all))

    def peers(self, load: str) -> list[str]:
        """Return the servers that were measured with a load, in their order."""
        return list(dict.fromkeys(one.peer for one in self._all if one.load == load))

    def rounds(self) -> int:
        """Return the number of rounds."""
        return len({one.round for one in self._all})

    def median(self, load: str, peer: str) -> Measurement | None:
        """Return the median of each figure over the rounds; None if it was not measured."""
        found = self._of(load, peer)
        if not found:
            return None
        rows = list(found.values())
        values = {
            it.name: statistics.median(getattr(row, it.name) for row in rows)
            for it in fields(Measurement)
            if it.name not in ("load", "peer", "round", "tiles")
        }
        return Measurement(load=load, peer=peer, round=0, tiles=rows[0].tiles, **values)

    def ratio(self, load: str, peer: str, other: str) -> float | None:
        """Return the median over the rounds of how much CPU `peer` needs for one of `other`."""
        ours, theirs = self._of(load, peer), self._of(load, other)
        ratios = [
            ours[number].cpu_ms / theirs[number].cpu_ms
            for number in ours.keys() & theirs.keys()
            if theirs[number].cpu_ms
        ]
        return statistics.median(ratios) if ratios else None

    def _of(self, load: str, peer: str) -> dict[int, Measurement]:
        return {one.round: one for one in self._all if (one.load, one.peer) == (load, peer)}
