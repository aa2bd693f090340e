"""Plays somebody who looks at a slide and keeps what was asked for: `python -m bench.viewer`.

The viewer is OpenSeadragon in a window of 1920 x 1080 pixels: it asks for the tiles that it lacks
of the level that fits, from the middle of the view outwards. The files in bench/sessions are what
the benchmark replays; they say the same for every server.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.places import TILE, Place, SlideShape

SESSIONS = Path(__file__).parent / "sessions"
RECORDED = SlideShape("recorded", 40_000, 30_000)
WINDOW = (1920, 1080)
# A level is drawn while one of its pixels covers at least half a pixel of the screen
# (OpenSeadragon, minPixelRatio).
MIN_PIXEL_RATIO = 0.5
POWERS = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class View:
    """What one move of the viewer asks for, and how long the person then looks, in ms."""

    dwell_ms: int
    places: tuple[Place, ...]


@dataclass
class Camera:
    """The middle of the window in pixels of level 0, and pixels of level 0 per screen pixel."""

    x: float
    y: float
    zoom: float

    def level(self, downsamples: Sequence[int]) -> int:
        """Return the downsample of the level that is drawn."""
        fit = [one for one in downsamples if one / self.zoom >= MIN_PIXEL_RATIO]
        return min(fit) if fit else max(downsamples)

    def visible(self, shape: SlideShape, downsample: int) -> list[Place]:
        """Return the tiles of a level inside the window, from its middle outwards."""
        width, height = shape.level_size(downsample)
        x, y, scale = self.x / downsample, self.y / downsample, self.zoom / downsample
        half_width, half_height = WINDOW[0] / 2 * scale, WINDOW[1] / 2 * scale
        columns = _indices(x - half_width, x + half_width, width)
        rows = _indices(y - half_height, y + half_height, height)
        places = [Place(downsample, col * TILE, row * TILE) for row in rows for col in columns]
        return sorted(places, key=lambda it: math.dist((it.x + 128, it.y + 128), (x, y)))


def record(
    shape: SlideShape, downsamples: Sequence[int], tiles: int, seed: int
) -> tuple[View, ...]:
    """Return the views of somebody who looks at `tiles` tiles; a tile is asked for only once.

    The person overviews, zooms into a spot, follows it at several magnifications and comes back.
    """
    rng = random.Random(seed)
    fit = max(shape.width / WINDOW[0], shape.height / WINDOW[1])
    camera = Camera(shape.width / 2, shape.height / 2, fit)
    seen: set[Place] = set()
    views: list[View] = []
    heading = 0.0
    while len(seen) < tiles:
        visible = camera.visible(shape, camera.level(downsamples))
        new = [place for place in visible if place not in seen][: tiles - len(seen)]
        if new:
            seen.update(new)
            views.append(View(rng.randrange(200, 2500), tuple(new)))
        heading = _move(camera, shape, fit, heading, rng)
    return tuple(views)


def save(path: Path, views: Sequence[View]) -> None:
    """Write views as JSON, one a line: the dwell time and rows of downsample, x, y."""
    lines = [
        json.dumps([view.dwell_ms, [[it.downsample, it.x, it.y] for it in view.places]])
        for view in views
    ]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def load(name: str) -> tuple[View, ...]:
    """Return the views of a file of bench/sessions."""
    rows = json.loads((SESSIONS / f"{name}.json").read_text())
    return tuple(View(dwell, tuple(Place(*place) for place in places)) for dwell, places in rows)


def recordings() -> dict[str, tuple[View, ...]]:
    """Return every session under its name: what bench/sessions has to hold.

    `stored` asks for levels that the slide stores and `deepzoom` for powers of two; `viewer-1` to
    `viewer-8` are eight people who look at the same slide at the same time.
    """
    stored = RECORDED.downsamples
    crowd = {f"viewer-{seed}": record(RECORDED, stored, 150, seed) for seed in range(1, 9)}
    return crowd | {
        "stored": record(RECORDED, stored, 1200, 100),
        "deepzoom": record(RECORDED, POWERS, 1200, 100),
    }


def _indices(start: float, end: float, length: int) -> range:
    """Return the tiles between two pixels of a level of this length; whole tiles only."""
    first = max(math.floor(start / TILE), 0)
    return range(first, min(math.floor(end / TILE) + 1, length // TILE))


def _move(
    camera: Camera, shape: SlideShape, fit: float, heading: float, rng: random.Random
) -> float:
    """Move a camera by one step of the person and return the direction of the next pan."""
    step = rng.random()
    if camera.zoom > 1 and step < 0.30:
        camera.zoom = max(camera.zoom / 2, 1)
        camera.x += rng.uniform(-0.25, 0.25) * WINDOW[0] * camera.zoom
        camera.y += rng.uniform(-0.25, 0.25) * WINDOW[1] * camera.zoom
    elif camera.zoom < fit and step > 0.88:
        camera.zoom = min(camera.zoom * rng.choice((2, 2, 4)), fit)
    else:
        heading += rng.gauss(0, 0.6)
        length = rng.uniform(0.15, 0.6) * camera.zoom
        camera.x += math.cos(heading) * length * WINDOW[0]
        camera.y += math.sin(heading) * length * WINDOW[1]
        if not (0 < camera.x < shape.width and 0 < camera.y < shape.height):
            heading += math.pi
    camera.x = min(max(camera.x, 0), shape.width)
    camera.y = min(max(camera.y, 0), shape.height)
    return heading


if __name__ == "__main__":
    for name, views in recordings().items():
        save(SESSIONS / f"{name}.json", views)
