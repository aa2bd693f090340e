"""The stamps that nuclei, red cells and mucus are printed with, in every direction."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from wsi_streamer.demo.noise import Floats, smoothstep

Bytes = npt.NDArray[np.uint8]

DIRECTIONS = 24
VARIANTS = 10


class Cell(IntEnum):
    """The kinds of cells that are stamped."""

    BASAL = 0
    TUMOUR = 1
    SPINDLE = 2
    LYMPHOCYTE = 3
    PLASMA = 4
    CENTRE = 5
    GOBLET = 6
    RED = 7


@dataclass(frozen=True)
class Look:
    """Half length and half width in pixels, darkness, and how vesicular (pale inside, clear rim)."""

    length: float
    width: float
    dark: float
    vesicular: float
    spread: float
    uneven: float = 0.05


LOOKS = {
    Cell.BASAL: Look(8.6, 4.9, 1.0, 0.25, 0.16),
    Cell.TUMOUR: Look(10.2, 6.6, 0.95, 0.5, 0.24),
    Cell.SPINDLE: Look(12.5, 2.6, 1.1, 0.0, 0.22),
    Cell.LYMPHOCYTE: Look(5.2, 4.9, 1.35, 0.1, 0.10, 0.025),
    Cell.PLASMA: Look(6.0, 5.0, 1.15, 0.3, 0.12),
    Cell.CENTRE: Look(7.4, 6.2, 0.75, 0.55, 0.15),
    Cell.GOBLET: Look(11.0, 7.5, 1.0, 0.0, 0.18),
    Cell.RED: Look(6.2, 5.8, 1.0, -0.2, 0.08, 0.03),
}


def make_sprites(cell: Cell, seed: int) -> Bytes:
    """Return the stamps of one kind, (DIRECTIONS * VARIANTS, side, side), 255 the darkest.

    The direction of stamp `number` is `number // VARIANTS * pi / DIRECTIONS`.
    """
    look = LOOKS[cell]
    rng = np.random.default_rng((seed, int(cell)))
    half = math.ceil(look.length * (1 + 1.6 * look.spread)) + 2
    axis = np.arange(-half, half + 1, dtype=np.float32)
    stamps = [
        _stamp(look, axis, math.pi * direction / DIRECTIONS, rng)
        for direction in range(DIRECTIONS)
        for _ in range(VARIANTS)
    ]
    return np.stack(stamps)


def _stamp(look: Look, axis: Floats, angle: float, rng: np.random.Generator) -> Bytes:
    """Return one stamp: an uneven ellipse with chromatin, a rim and sometimes a nucleolus."""
    x, y = axis[None, :] + rng.uniform(-0.5, 0.5), axis[:, None] + rng.uniform(-0.5, 0.5)
    angle += rng.normal(0, 0.12)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    length = look.length * (1 + rng.normal(0, look.spread))
    width = look.width * (1 + rng.normal(0, look.spread))
    length, width = min(max(length, 3), 1.6 * look.length), max(width, 1.8)
    v = v + rng.normal(0, 0.06) * u * u / length
    theta = np.arctan2(v / width, u / length)
    uneven = sum(rng.normal(0, look.uneven) * np.cos(k * theta + rng.uniform(0, 6)) for k in (2, 3, 5))
    rho = np.hypot(u / length, v / width) * (1 + uneven)
    inside = smoothstep((1 - rho) * min(length, width), -0.9, 1.3)
    clumps = _blurred(rng.standard_normal(rho.shape), 1.3)
    body = 1 - look.vesicular * smoothstep(rho, 1.0, 0.55) + (0.10 + 0.2 * max(look.vesicular, 0)) * clumps
    if look.vesicular > 0.4:
        cx, cy = rng.normal(0, 0.25, 2)
        body += 0.7 * np.exp(-((u - cx * length) ** 2 + (v - cy * width) ** 2) / 3.5)
    dark = look.dark * (1 + rng.normal(0, 0.10))
    return np.clip(inside * body * dark * 140, 0, 255).astype(np.uint8)


def _blurred(values: npt.NDArray[np.float64], radius: float) -> Floats:
    fy, fx = (np.fft.fftfreq(n)[:, None] for n in values.shape)
    soft = np.fft.ifft2(np.fft.fft2(values) * np.exp(-((fx.T**2 + fy**2) * 20 * radius**2))).real
    return np.asarray(soft / soft.std(), np.float32)
