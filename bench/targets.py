"""What was asked of this server, and how to find in the figures whether it was reached."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.measurement import Figures, Measurement

OURS = "ours-s3"
Find = Callable[[Figures], float | None]


@dataclass(frozen=True)
class Target:
    """A figure of a work load, in a unit, that may be `at_most` so large."""

    work: str
    figure: str
    at_most: float
    unit: str
    find: Find


def figure(load: str, read: Callable[[Measurement], float]) -> Find:
    """Return how to find a figure of ours."""

    def find(figures: Figures) -> float | None:
        found = figures.median(load, OURS)
        return None if found is None else read(found)

    return find


def ratio(load: str, other: str) -> Find:
    """Return how to find the CPU of ours for one of another server."""
    return lambda figures: figures.ratio(load, OURS, other)


def _cpu(found: Measurement) -> float:
    return found.cpu_ms


def _view(found: Measurement) -> float:
    return found.view_ms


def _trips(found: Measurement) -> float:
    return found.round_trips


def _read_per_served(found: Measurement) -> float:
    return found.read_bytes / found.served_bytes


def _first_tile(layout: str) -> tuple[Target, Target]:
    work = f"first tile of an unknown slide, {layout} layout, 60 ms"
    load = f"first tile, unknown slide, {layout} layout, 60 ms"
    return (
        Target(work, "dependent round trips", 3, "", figure(load, _trips)),
        Target(work, "time", 290, "ms", figure(load, _view)),
    )


def _restart(layout: str) -> Target:
    work = f"first tile of a known slide after a restart, {layout} layout"
    load = f"first tile after a restart, {layout} layout, 60 ms"
    return Target(work, "dependent round trips", 1, "", figure(load, _trips))


RANDOM, SESSION = "random, 8 clients, cold", "session, 1 viewer, cold"
OTHER, AGAIN = "session, the other worker", "session, that worker again"
MADE, NOT_MODIFIED = "made levels, cold", "not modified (304)"
J2K_TILES, J2K_MADE = "JPEG 2000, tiles, cold", "JPEG 2000, made levels, cold"
VIEWPORT, VAST = "viewport of 24 tiles, cold, 60 ms", "100 vast slides open"
RANDOM_WORK, SESSION_WORK = "random level-0 tiles, cold, from S3", "pan-zoom session, cold, from S3"
MADE_WORK = "levels that the file lacks, cold, from S3"
AGAIN_WORK = "the same session again"
TARGETS = (
    Target(RANDOM_WORK, "CPU a tile", 1.15, "ms", figure(RANDOM, _cpu)),
    Target(RANDOM_WORK, "CPU, to tiffslide + s3fs", 0.35, "x", ratio(RANDOM, "tiffslide")),
    Target(RANDOM_WORK, "CPU, to OpenSlide, local", 0.5, "x", ratio(RANDOM, "openslide")),
    Target(RANDOM_WORK, "CPU, to iipsrv, local", 1.4, "x", ratio(RANDOM, "iipsrv")),
    Target(SESSION_WORK, "CPU a tile", 0.7, "ms", figure(SESSION, _cpu)),
    Target(SESSION_WORK, "CPU, to iipsrv, local", 1.0, "x", ratio(SESSION, "iipsrv")),
    Target(SESSION_WORK, "GETs a tile", 0.25, "", figure(SESSION, lambda it: it.requests)),
    Target(SESSION_WORK, "bytes read for one served", 2.0, "x", figure(SESSION, _read_per_served)),
    Target(f"{AGAIN_WORK}, another worker", "CPU a tile", 0.45, "ms", figure(OTHER, _cpu)),
    Target(
        f"{AGAIN_WORK}, another worker",
        "storage requests",
        0,
        "",
        figure(OTHER, lambda it: it.requests * it.tiles),
    ),
    Target(f"{AGAIN_WORK}, from memory", "CPU a tile", 0.35, "ms", figure(AGAIN, _cpu)),
    Target(
        MADE_WORK,
        "CPU, to OpenSlide, local",
        0.45,
        "x",
        ratio(MADE, "openslide"),
    ),
    Target("JPEG 2000, tiles", "CPU, to OpenSlide, local", 1.0, "x", ratio(J2K_TILES, "openslide")),
    Target(
        "JPEG 2000, made levels", "CPU, to OpenSlide, local", 0.4, "x", ratio(J2K_MADE, "openslide")
    ),
    *_first_tile("aperio"),
    *_first_tile("tifffile"),
    _restart("aperio"),
    _restart("tifffile"),
    Target("viewport of 24 tiles, cold, 60 ms", "time", 200, "ms", figure(VIEWPORT, _view)),
    Target("304 for a tile", "CPU", 0.3, "ms", figure(NOT_MODIFIED, _cpu)),
    Target(
        "worker with 100 slides of 100,000 x 80,000 px",
        "memory",
        250,
        "MB",
        figure(VAST, lambda it: it.memory_mb),
    ),
)
