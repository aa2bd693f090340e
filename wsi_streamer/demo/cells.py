"""Puts cells into the anatomy: which kind where, in which direction, and stamps them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wsi_streamer.demo.maps import PAD, STEP, Maps
from wsi_streamer.demo.noise import Floats, Ints, hashed
from wsi_streamer.demo.sprites import DIRECTIONS, VARIANTS, Bytes, Cell, make_sprites
from wsi_streamer.model.geometry import Region

# Cells as far out as this are stamped too, because they reach into the window.
MARGIN = STEP * PAD - STEP
# The canvas is larger still, so that no stamp crosses its edge.
BORDER = MARGIN + 24


@dataclass(frozen=True)
class Layers:
    """What was stamped on a window, 0 to 255: nuclei, mucus of goblet cells, red blood cells."""

    nuclei: Bytes
    mucus: Bytes
    blood: Bytes

    def cut(self, part: Region) -> "Layers":
        """Return a part of the window."""
        place = slice(part.y, part.bottom), slice(part.x, part.right)
        return Layers(self.nuclei[place], self.mucus[place], self.blood[place])


@dataclass(frozen=True)
class Rule:
    """Where one kind of cell is: candidates stand about `spacing` pixels apart, some are kept.

    `chance` gives the probability at each point of the maps. Cells lie along the slope of the map
    `towards`, or with `turned` across it; without it they lie anyhow.
    """

    cell: Cell
    spacing: float
    chance: Callable[[Maps], Floats]
    towards: Callable[[Maps], Floats] | None = None
    turned: bool = False


def _between(values: Floats, low: float, high: float) -> Floats:
    return ((values > low) & (values < high)).astype(np.float32)


def _stroma(maps: Maps) -> Floats:
    return _between(maps.gland, -1e9, -5) * _between(maps.vessel, -1e9, -6) * (maps.fat < 0.45)


def _basal(maps: Maps) -> Floats:
    return (1 - maps.atypia) * _between(maps.gland, 5, 17) * 0.8


def _tumour(maps: Maps) -> Floats:
    return maps.atypia * _between(maps.gland, 7, 42) * 0.72


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
    # Some vessels have been emptied.
    return _between(maps.vessel, 10, 1e9) * (maps.blood < 0.6) * (maps.fat < 0.5) * 0.9


RULES = (
    Rule(Cell.BASAL, 9.5, _basal, lambda maps: maps.gland),
    Rule(Cell.TUMOUR, 12.5, _tumour, lambda maps: maps.gland),
    Rule(Cell.GOBLET, 16, _goblet, lambda maps: maps.gland),
    Rule(Cell.SPINDLE, 26, _spindle, lambda maps: maps.flow, turned=True),
    Rule(Cell.SPINDLE, 14, _endothelium, lambda maps: maps.vessel, turned=True),
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
        shape = (window.height + 2 * BORDER, window.width + 2 * BORDER)
        nuclei, mucus, blood = (np.zeros(shape, np.uint8) for _ in range(3))
        canvases = {Cell.GOBLET: mucus, Cell.RED: blood}
        for number, rule in enumerate(RULES):
            seed = self.seed * 31 + number
            self._stamp(
                canvases.get(rule.cell, nuclei), rule, maps, _candidates(window, rule, seed)
            )
        return Layers(nuclei, mucus, blood).cut(Region(BORDER, BORDER, window.width, window.height))

    def _stamp(self, canvas: Bytes, rule: Rule, maps: Maps, places: "_Places") -> None:
        rows, cols = (places.ys + STEP * PAD) // STEP, (places.xs + STEP * PAD) // STEP
        kept = places.chance < (rule.chance(maps) * (maps.depth > 4))[rows, cols]
        chance = places.chance[kept]
        numbers = _directions(rule, maps, (rows[kept], cols[kept]), chance) * VARIANTS
        numbers += (chance * 1e6).astype(np.int64) % VARIANTS
        sprites = self.sprites[rule.cell]
        side = sprites.shape[1]
        xs, ys = (axis[kept] + (BORDER - side // 2) for axis in (places.xs, places.ys))
        for x, y, number in zip(xs.tolist(), ys.tolist(), numbers.tolist(), strict=True):
            view = canvas[y : y + side, x : x + side]
            np.maximum(view, sprites[number], out=view)


@dataclass(frozen=True)
class _Places:
    """Candidate places relative to a window, and a number from 0 to 1 for each."""

    xs: Ints
    ys: Ints
    chance: Floats


def _candidates(window: Region, rule: Rule, seed: int) -> _Places:
    """Return the candidate places in and around a window."""
    step = rule.spacing
    cols = np.arange((window.x - MARGIN) // step - 1, (window.right + MARGIN) // step + 1)
    rows = np.arange((window.y - MARGIN) // step - 1, (window.bottom + MARGIN) // step + 1)
    col, row = (axis.astype(np.int64).ravel() for axis in np.meshgrid(cols, rows))
    jitter, other, chance = (hashed(col, row, seed + 77 * k) for k in range(3))
    xs = np.floor((col + 0.1 + 0.8 * jitter) * step).astype(np.int64) - window.x
    ys = np.floor((row + 0.1 + 0.8 * other) * step).astype(np.int64) - window.y
    near = (xs >= -MARGIN) & (xs < window.width + MARGIN)
    near &= (ys >= -MARGIN) & (ys < window.height + MARGIN)
    return _Places(xs[near], ys[near], chance[near])


def _directions(rule: Rule, maps: Maps, points: tuple[Ints, Ints], chance: Floats) -> Ints:
    """Return the direction of each cell in steps of pi / DIRECTIONS."""
    if rule.towards is None:
        return (chance * 7919 % 1 * DIRECTIONS).astype(np.int64)
    grid = rule.towards(maps)
    rows, cols = points
    down = grid[rows + 1, cols] - grid[rows - 1, cols]
    right = grid[rows, cols + 1] - grid[rows, cols - 1]
    angle = np.arctan2(down, right) + (np.pi / 2 if rule.turned else 0)
    return np.asarray(np.round(angle * (DIRECTIONS / np.pi)), np.int64) % DIRECTIONS
