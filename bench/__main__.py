"""`python -m bench`: paint, measure, write docs/performance.md."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.measurement import Measurement
from bench.paint.shelf import Shelf
from bench.parts import measure_parts
from bench.peers import PEERS
from bench.peers.base import ROOT, WORK, Peer
from bench.report import NOTES, Record, machine, make_report
from bench.stage import WARM_UP_TILES, Stage
from bench.trials import TRIALS, VARIANTS, Run, Trial

RESULTS = WORK / "results.json"
PART_RESULTS = WORK / "results-of-a-part.json"
REPORT = ROOT / "docs" / "performance.md"
QUICK_SCALE = 0.1


def read_options() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add(
        "--quick",
        action="store_true",
        help="a tenth of the tiles, one round, no variants of peers; writes no report",
    )
    add("--rounds", type=int, metavar="N", help="rounds, 3 where not given, 1 with --quick")
    add("--only", metavar="A,B", help="work loads: " + ", ".join(one.name for one in TRIALS))
    add("--peers", metavar="A,B", help="servers: " + ", ".join(one.name for one in PEERS))
    add("--report", action="store_true", help="write the report of the last results anew")
    add("--output", type=Path, help="where to write the report instead of docs/performance.md")
    return parser.parse_args()


def chosen(names: str | None, known: Sequence[str]) -> list[str]:
    """Return the names of an option in their order, all without it; ends the program on others."""
    if not names:
        return list(known)
    strange = set(names.split(",")) - set(known)
    if strange:
        sys.exit(f"unknown: {', '.join(sorted(strange))}; known are {', '.join(known)}")
    return [name for name in known if name in names.split(",")]


def runs(
    stage: Stage, peers: Sequence[Peer], trials: Sequence[Trial], rounds: int, scale: float
) -> Iterator[tuple[Trial, Run]]:
    """Return every work load on every server, round by round, so that all share the weather."""
    for number in range(1, rounds + 1):
        for trial in trials:
            for peer in peers:
                if trial.takes_part(peer):
                    yield trial, Run(stage, peer, number, scale)


def measure(trial: Trial, run: Run, found: list[Measurement], failures: dict[str, str]) -> None:
    """Add what a run shows to `found`; one that fails is noted, and the others go on."""
    try:
        for one in trial.measure(run):
            _show(one)
            found.append(one)
    except RuntimeError as exc:
        print(f"{trial.name}, {run.peer.name}: {exc}", file=sys.stderr, flush=True)
        failures[f"{trial.name}, {run.peer.title}"] = str(exc).partition("\n")[0]


def _show(found: Measurement) -> None:
    print(
        f"{found.round} {found.load:46} {found.peer:22} {found.cpu_ms:7.2f} ms CPU "
        f"p50 {found.p50_ms:7.1f} p99 {found.p99_ms:7.1f} view {found.view_ms:7.1f} "
        f"{found.requests:5.2f} req {found.read_bytes / 1000:7.1f} kB read "
        f"{found.served_bytes / 1000:6.1f} served {found.round_trips:4.0f} trips "
        f"{found.memory_mb:5.0f} MB",
        file=sys.stderr,
        flush=True,
    )


def main() -> None:
    """Run what the command line asks for."""
    options = read_options()
    # Everything that runs is ended by context managers: a signal has to pass through them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    is_part = bool(options.quick or options.only or options.peers)
    # A part of it must not take the place of the whole.
    results = PART_RESULTS if is_part else RESULTS
    if not options.report:
        record = run_all(options)
        WORK.mkdir(exist_ok=True)
        results.write_text(json.dumps(asdict(record), indent=1))
    if options.output or not is_part:
        text = make_report(read_record(results), NOTES.read_text(), warm_up=WARM_UP_TILES)
        (options.output or REPORT).write_text(text)
    if not options.report and record.failures:
        sys.exit("failed: " + "; ".join(record.failures))


def read_record(results: Path) -> Record:
    """Return what a run measured."""
    stored = json.loads(results.read_text())
    found = [Measurement(**one) for one in stored.pop("measurements")]
    return Record(**stored, measurements=found)


def run_all(options: argparse.Namespace) -> Record:
    """Measure and return all that the report needs."""
    names = chosen(options.peers, [one.name for one in PEERS])
    if options.quick and not options.peers:
        names = [name for name in names if name not in VARIANTS]
    missing = {one.name: one.missing() for one in PEERS if one.missing()}
    peers = [one for one in PEERS if one.name in names and not one.missing()]
    loads = chosen(options.only, [one.name for one in TRIALS])
    trials = [one for one in TRIALS if one.name in loads]
    shelf = Shelf(WORK / "slides")
    shelf.paint()
    found: list[Measurement] = []
    failures: dict[str, str] = {}
    parts: list[dict[str, float]] = []
    started = time.monotonic()
    with Stage(shelf.folder) as stage:
        rounds = options.rounds or (1 if options.quick else 3)
        scale = QUICK_SCALE if options.quick else 1.0
        for trial, one in runs(stage, peers, trials, rounds, scale):
            if len(parts) < one.round:
                parts.append(measure_parts(shelf.folder))
            measure(trial, one, found, failures)
    return Record(
        command=" ".join(["python -m bench", *sys.argv[1:]]),
        minutes=(time.monotonic() - started) / 60,
        machine=machine(),
        peers={one.name: one.title for one in PEERS},
        versions={one.name: one.versions() for one in peers},
        missing=missing,
        failures=failures,
        measurements=found,
        parts=parts,
    )


if __name__ == "__main__":
    main()
