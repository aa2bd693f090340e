"""Writes what was measured as Markdown: docs/performance.md."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measurement import Figures, Measurement
from bench.targets import OURS, TARGETS, Target

NOTES = Path(__file__).parent / "notes.md"
HEAD = """# Performance

Measured by `make bench`, which writes this page; `bench/` says how. CPU is the user and system
time of all processes of a server, divided by the tiles that it served: the figure that decides how
many people a machine serves. Times and percentiles are those of a load generator on the same
machine, so compare them within a table only. Each figure is the median of {rounds} rounds in which
the servers took turns; a ratio is the median of the ratios of the rounds.
"""
METHOD = """## How it was measured

- Command: `{command}`, {minutes:.0f} minutes.
- Machine: {machine}.
- Slides: painted Aperio SVS of 40,000 x 30,000 pixels in tiles of 256, JPEG 4:2:0 of about 20 KB,
  levels 1, 4 and 16. In the layout "aperio" each directory follows its data, as libtiff writes; in
  "tifffile" it comes before. The JPEG 2000 slide has 10,240 x 7,680 pixels.
- Every server has 2 workers, those in Python 4 threads each. Before a cold run it is started anew
  with empty caches, and each worker serves {warm_up} tiles of another slide.
- A viewer has six connections and replays what OpenSeadragon asks for in a window of
  1920 x 1080 pixels, view after view without a pause; nothing is asked for twice. The files are in
  `bench/sessions`.
- The storage is SeaweedFS on the same machine behind a proxy that counts requests and bytes and
  adds latency where a load says so: a round trip for each exchange and for each new connection.
  Bandwidth and TLS are not modelled. "Trips" is the longest chain of requests of which each began
  when the one before was answered.
- Local servers read files that the page cache holds.
"""


@dataclass(frozen=True)
class Record:
    """A run of the benchmark: what was measured, with what, where; `peers` are titles by name."""

    command: str
    minutes: float
    machine: str
    peers: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    missing: Mapping[str, str]
    failures: Mapping[str, str]
    measurements: Sequence[Measurement]
    parts: Sequence[Mapping[str, float]] = ()


def machine() -> str:
    """Return what matters of this machine, without its name."""
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    python = platform.python_version()
    kernel = platform.release().partition("-")[0]
    return f"{os.cpu_count()} cores ({cpu}), {memory_gb:.0f} GB, Linux {kernel}, Python {python}"


def make_report(record: Record, notes: str, *, warm_up: int) -> str:
    """Return the page; `notes` is prose that goes in as it is."""
    figures = Figures(record.measurements)
    parts = [HEAD.format(rounds=figures.rounds()), targets_table(figures), notes.strip() + "\n"]
    if record.parts:
        parts.append(parts_table(record.parts))
    parts.append("## Figures\n")
    parts += [load_table(figures, load, record.peers) for load in figures.loads()]
    parts.append(
        METHOD.format(
            command=record.command,
            minutes=record.minutes,
            machine=record.machine,
            warm_up=warm_up,
        )
    )
    parts.append(versions_list(record))
    return "\n".join(parts)


def targets_table(figures: Figures) -> str:
    """Return the table of what was asked and what was reached."""
    lines = [
        "## Asked and reached\n",
        "| Work | Figure | At most | Reached | |",
        "|---|---|--:|--:|---|",
    ]
    lines += [_target_row(target, target.find(figures)) for target in TARGETS]
    return "\n".join(lines) + "\n"


def _target_row(target: Target, reached: float | None) -> str:
    head = f"| {target.work} | {target.figure} | {_amount(target.at_most, target.unit)} |"
    if reached is None:
        return f"{head} not measured | |"
    verdict = "yes" if reached <= target.at_most else "**no**"
    return f"{head} {_amount(reached, target.unit)} | {verdict} |"


def _amount(value: float, unit: str) -> str:
    text = f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"
    return f"{text} {unit}" if unit in ("ms", "MB") else text + unit


def load_table(figures: Figures, load: str, titles: Mapping[str, str]) -> str:
    """Return the table of a work load: a row for each server."""
    rows = [figures.median(load, peer) for peer in figures.peers(load)]
    found = [row for row in rows if row is not None]
    lines = [
        f"### {load[0].upper()}{load[1:]}: {found[0].tiles} tiles\n",
        "| Server | CPU ms | ours / theirs | p50 ms | p99 ms | view ms | requests | KB read "
        "| KB served | trips | MB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        lines += _server_rows(
            row, titles.get(row.peer, row.peer), figures.ratio(load, OURS, row.peer)
        )
    return "\n".join(lines) + "\n"


def _server_rows(row: Measurement, title: str, ratio: float | None) -> list[str]:
    own = "" if ratio is None or row.peer == OURS else f"{ratio:.2f}"
    storage = (
        " | | " if not row.requests else (f" {row.requests:.2f} | {row.read_bytes / 1000:.1f} | ")
    )
    lines = [
        f"| {title} | {row.cpu_ms:.2f} | {own} | {row.p50_ms:.1f} | {row.p99_ms:.1f} | "
        f"{row.view_ms:.0f} |{storage}{row.served_bytes / 1000:.1f} | "
        f"{row.round_trips:.0f} | {row.memory_mb:.0f} |"
    ]
    if row.front_cpu_ms:
        both = row.cpu_ms + row.front_cpu_ms
        lines.append(f"| … with the nginx before it | {both:.2f} | | | | | | | | | |")
    return lines


def parts_table(rounds: Sequence[Mapping[str, float]]) -> str:
    """Return the table of what single pieces of work cost, the median of the rounds."""
    lines = [
        "## Single pieces of work\n",
        "CPU of one thread in a process of its own, before each round (`bench/parts.py`).\n",
        "| Work | us |",
        "|---|--:|",
    ]
    for name in rounds[0]:
        median = statistics.median(one[name] for one in rounds)
        lines.append(f"| {name} | {median:.0f} |" if median >= 10 else f"| {name} | {median:.2f} |")
    return "\n".join(lines) + "\n"


def versions_list(record: Record) -> str:
    """Return the versions of all servers, and which could not run."""
    lines = ["## Versions\n"]
    for name, packages in record.versions.items():
        listed = ", ".join(f"{package} {version}" for package, version in packages.items())
        lines.append(f"- {record.peers.get(name, name)}: {listed}")
    for name, reason in record.missing.items():
        lines.append(f"- {record.peers.get(name, name)}: not available: {reason}")
    for name, reason in record.failures.items():
        lines.append(f"- Failed: {name}: {reason}")
    return "\n".join(lines) + "\n"
