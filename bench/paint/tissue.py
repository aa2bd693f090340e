"""A picture of stained tissue that compresses as real tissue does, as endless as a slide needs."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bench.places import TILE

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

SIDE = 4096
CELL = 64
CELLS = 1024
NUCLEI = 26_000
EOSIN = np.array([228, 150, 190], np.float32)
STROMA = np.array([190, 95, 150], np.float32)
HAEMATOXYLIN = np.array([88, 52, 130], np.float32)
GLASS = 243


class Tissue:
    """A square of tissue that repeats, on glass that does not; the same seed, the same picture."""

    def __init__(self, seed: int = 7) -> None:
        self._rng = np.random.default_rng(seed)
        full = _stain(self._rng)
        self.levels = {1: full, 4: _reduced(full, 4), 16: _reduced(full, 16)}
        self._is_tissue = _noise(self._rng, CELLS, (4, 8, 16, 32)) > -0.9

    @cached_property
    def _glass(self) -> Pixels:
        grain = GLASS + self._rng.normal(0, 1.2, (TILE, TILE, 1))
        return np.clip(grain, 0, 255).astype(np.uint8).repeat(3, axis=2)

    def tile(self, downsample: int, col: int, row: int) -> Pixels:
        """Return the pixels of a tile of a level as (256, 256, 3) uint8."""
        level = self.levels[downsample]
        side = level.shape[0] // TILE
        y, x = row % side * TILE, col % side * TILE
        pixels = level[y : y + TILE, x : x + TILE]
        here = np.arange(TILE) * downsample
        cells_y = (row * TILE * downsample + here) // CELL % CELLS
        cells_x = (col * TILE * downsample + here) // CELL % CELLS
        is_tissue = self._is_tissue[np.ix_(cells_y, cells_x)]
        if is_tissue.all():
            return pixels
        shown: Pixels = np.where(is_tissue[..., None], pixels, self._glass)
        return shown


def _noise(rng: np.random.Generator, side: int, octaves: tuple[int, ...]) -> Floats:
    """Return smooth noise of about unit variance that repeats after `side` pixels."""
    total = np.zeros((side, side), np.float32)
    for knots in octaves:
        grid = np.pad(rng.standard_normal((knots, knots)).astype(np.float32), (0, 1), "wrap")
        at = np.linspace(0, knots, side, endpoint=False)
        index, part = at.astype(int), (at % 1).astype(np.float32)
        part = part * part * (3 - 2 * part)
        rows = grid[index] * (1 - part)[:, None] + grid[index + 1] * part[:, None]
        total += (rows[:, index] * (1 - part) + rows[:, index + 1] * part) / np.sqrt(
            knots / octaves[0]
        )
    return total


def _stain(rng: np.random.Generator) -> Pixels:
    """Return the square of tissue: stroma, nuclei and the grain of a camera."""
    coarse = _noise(rng, SIDE, (16, 32, 64, 128, 256, 512))
    fine = _noise(rng, SIDE, (512, 1024, 2048))
    mix = np.clip(0.5 + 0.35 * coarse + 0.25 * fine, 0, 1)[..., None]
    picture = EOSIN * (1 - mix) + STROMA * mix
    _add_nuclei(picture, rng)
    picture += rng.normal(0, 5, (SIDE, SIDE, 1)).astype(np.float32)
    stained: Pixels = np.clip(picture, 0, 255).astype(np.uint8)
    return stained


def _add_nuclei(picture: Floats, rng: np.random.Generator) -> None:
    across = np.arange(-14, 15)
    yy, xx = np.mgrid[-14:15, -14:15]
    for _ in range(NUCLEI):
        y, x = rng.integers(0, SIDE, 2)
        long, short = rng.uniform(5, 11, 2)
        turn = rng.uniform(0, np.pi)
        u = (xx * np.cos(turn) + yy * np.sin(turn)) / long
        v = (yy * np.cos(turn) - xx * np.sin(turn)) / short
        mask = np.clip(1.4 - 1.1 * (u * u + v * v), 0, 1)[..., None] * rng.uniform(0.6, 0.95)
        where = np.ix_((y + across) % SIDE, (x + across) % SIDE)
        picture[where] = picture[where] * (1 - mask) + (HAEMATOXYLIN + rng.normal(0, 12, 3)) * mask


def _reduced(picture: Pixels, factor: int) -> Pixels:
    side = picture.shape[0] // factor
    parts = picture.reshape(side, factor, side, factor, 3)
    reduced: Pixels = parts.mean((1, 3), dtype=np.float32).astype(np.uint8)
    return reduced
