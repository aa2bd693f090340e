"""Puts cells into the anatomy: which kind where, in which direction, and stamps them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsi_streamer.demo.anatomy import PAD, STEP, Maps
from wsi_streamer.demo.noise import Floats, Ints, hashed
from wsi_streamer.demo.sprites import DIRECTIONS, VARIANTS, Bytes, Cell, make_sprites
from wsi_streamer.model.geometry import Region

# Cells as far out as this are stamped too, because they reach into the window.
MARGIN = STEP * PAD - STEP


@dataclass(frozen=True)
class Layers:
    """What was stamped on a window, 0 to 255: nuclei, mucus of goblet cells, red blood cells."""

    nuclei: Bytes
    mucus: Bytes
    blood: Bytes


@dataclass(frozen=True)
class Spots:
    """Maps looked up at candidate places: the fields are those of Maps."""

    depth: Floats
    gland: Floats


@dataclass(frozen=True)
class Rule:
    """Where one kind of cell is: candidates stand `spacing` pixels apart, each is kept by chance.

    `chance` gives the probability at each point of the maps, `across` the map across whose lines
    of equal value the cell lies (or along, if `along`); None for any direction.
    """

    cell: Cell
    spacing: float
    chance: Callable[[Maps], Floats]
    direction: str | None = None
    along: bool = False


def _between(values: Floats, low: float, high: float) -> Floats:
    return ((values > low) & (values < high)).astype(np.float32)


def _stroma(maps: Maps) -> Floats:
    return _between(maps.gland, -1e9, -5) * _between(maps.vessel, -1e9, -6) * (1 - maps.fat)


def _basal(maps: Maps) -> Floats:
    return (1 - maps.atypia) * _between(maps.gland, 5, 17) * 0.8


def _tumour(maps: Maps) -> Floats:
    thick = 20 + 22 * maps.tone
    return maps.atypia * (maps.gland > 7) * (maps.gland < thick) * np.float32(0.72)


def _goblet(maps: Maps) -> Floats:
    return (1 - maps.atypia) * _between(maps.gland, 24, 38) * 0.75


def _spindle(maps: Maps) -> Floats:
    return _stroma(maps) * (0.36 + 0.3 * maps.muscle - 0.12 * maps.loose) * (1 - maps.lymph)


def _endothelium(maps: Maps) -> Floats:
    return _between(maps.vessel, -9, 3) * 0.4


def _lymphocyte(maps: Maps) -> Floats:
    return _stroma(maps) * maps.lymph * (1 - 0.85 * maps.centre)


def _plasma(maps: Maps) -> Floats:
    return _stroma(maps) * np.minimum(maps.lymph, 0.3) * (1 - maps.centre)


def _centre(maps: Maps) -> Floats:
    return _stroma(maps) * maps.centre * 0.9


def _red(maps: Maps) -> Floats:
    return (maps.vessel > 10) * (maps.blood < 0.6) * np.float32(0.9) * (maps.fat < 0.5)


RULES = (
    Rule(Cell.BASAL, 9.5, _basal, "gland"),
    Rule(Cell.TUMOUR, 12.5, _tumour, "gland"),
    Rule(Cell.GOBLET, 16, _goblet, "gland"),
    Rule(Cell.SPINDLE, 26, _spindle, "flow", along=True),
    Rule(Cell.SPINDLE, 14, _endothelium, "vessel", along=True),
    Rule(Cell.LYMPHOCYTE, 12.5, _lymphocyte),
    Rule(Cell.PLASMA, 16, _plasma),
    Rule(Cell.CENTRE, 15, _centre),
    Rule(Cell.RED, 9.5, _red),
)


class CellPainter:
    """Stamps cells; holds the sprites."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.sprites = {cell: make_sprites(cell, seed) for cell in Cell}

    def paint(self, window: Region, maps: Maps) -> Layers:
        """Return the cells of a window."""
        shape = (window.height + 2 * MARGIN + 64, window.width + 2 * MARGIN + 64)
        canvases = {cell: np.zeros(shape, np.uint8) for cell in (Cell.GOBLET, Cell.RED)}
        nuclei = np.zeros(shape, np.uint8)
        for number, rule in enumerate(RULES):
            self._stamp(canvases.get(rule.cell, nuclei), window, maps, rule, self.seed * 31 + number)
        inside = (slice(MARGIN + 32, MARGIN + 32 + window.height), slice(MARGIN + 32, MARGIN + 32 + window.width))
        return Layers(nuclei[inside], canvases[Cell.GOBLET][inside], canvases[Cell.RED][inside])

    def _stamp(self, canvas: Bytes, window: Region, maps: Maps, rule: Rule, seed: int) -> None:
        xs, ys, chance = _candidates(window, rule.spacing, seed)
        points = (ys + STEP * PAD) // STEP, (xs + STEP * PAD) // STEP
        kept = chance < (rule.chance(maps) * (maps.depth > 4))[points]
        xs, ys = xs[kept], ys[kept]
        rows, cols = points[0][kept], points[1][kept]
        numbers = _directions(maps, rule, rows, cols, chance[kept]) * VARIANTS
        numbers += (chance[kept] * 1e6).astype(np.int64) % VARIANTS
        sprites = self.sprites[rule.cell]
        side = sprites.shape[1]
        start = MARGIN + 32 - side // 2
        for x, y, number in zip((xs + start).tolist(), (ys + start).tolist(), numbers.tolist(), strict=True):
            view = canvas[y : y + side, x : x + side]
            np.maximum(view, sprites[number], out=view)


def _candidates(window: Region, spacing: float, seed: int) -> tuple[Ints, Ints, Floats]:
    """Return the candidate places in and around a window, relative to it, and a number for each."""
    cols = np.arange((window.x - MARGIN) // spacing - 1, (window.right + MARGIN) // spacing + 1)
    rows = np.arange((window.y - MARGIN) // spacing - 1, (window.bottom + MARGIN) // spacing + 1)
    grid = [axis.astype(np.int64) for axis in np.meshgrid(cols, rows)]
    jitter = hashed(grid[0], grid[1], seed)
    other = hashed(grid[0], grid[1], seed + 77)
    xs = np.floor((grid[0] + 0.1 + 0.8 * jitter) * spacing).astype(np.int64) - window.x
    ys = np.floor((grid[1] + 0.1 + 0.8 * other) * spacing).astype(np.int64) - window.y
    near = (xs >= -MARGIN) & (xs < window.width + MARGIN)
    near &= (ys >= -MARGIN) & (ys < window.height + MARGIN)
    return xs[near], ys[near], hashed(grid[0], grid[1], seed + 154)[near]


def _directions(maps: Maps, rule: Rule, rows: Ints, cols: Ints, chance: Floats) -> Ints:
    """Return the direction of each cell in steps of pi / DIRECTIONS."""
    if rule.direction is None:
        return (chance * 7919 % 1 * DIRECTIONS).astype(np.int64)
    field = getattr(maps, rule.direction)
    down = field[rows + 1, cols] - field[rows - 1, cols]
    right = field[rows, cols + 1] - field[rows, cols - 1]
    angle = np.arctan2(down, right) + (np.pi / 2 if rule.along else 0)
    return np.round(angle * (DIRECTIONS / np.pi)).astype(np.int64) % DIRECTIONS
