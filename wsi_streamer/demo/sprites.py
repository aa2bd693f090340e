"""The stamps that nuclei, red cells and mucus are printed with, in every direction."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from wsi_streamer.demo.noise import Floats, smoothstep

Bytes = npt.NDArray[np.uint8]

DIRECTIONS = 24
VARIANTS = 8
# The largest length, in lengths of the look.
LONGEST = 1.5


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
    """How cells of one kind look.

    `length` and `width` are half axes in pixels, `dark` the depth of the stain, `vesicular` how
    pale the inside is within its rim, `spread` and `uneven` how much size and outline vary.
    """

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
    Cell.RED: Look(6.2, 5.8, 1.0, 0.25, 0.08, 0.03),
}


def make_sprites(cell: Cell, seed: int) -> Bytes:
    """Return the stamps of one kind, (DIRECTIONS * VARIANTS, side, side), 255 the darkest.

    The direction of stamp `number` is `number // VARIANTS * pi / DIRECTIONS`.
    """
    rng = np.random.default_rng((seed, int(cell)))
    angles = np.repeat(np.arange(DIRECTIONS) * (np.pi / DIRECTIONS), VARIANTS)
    return np.stack([_stamp(LOOKS[cell], float(angle), rng) for angle in angles])


def _stamp(look: Look, angle: float, rng: np.random.Generator) -> Bytes:
    """Return one stamp: an uneven, bent ellipse with a rim, chromatin and perhaps a nucleolus."""
    length = look.length * min(max(1 + rng.normal(0, look.spread), 0.5), LONGEST)
    width = max(look.width * (1 + rng.normal(0, look.spread)), 1.8)
    u, v = _turned(math.ceil(look.length * LONGEST) + 2, angle + rng.normal(0, 0.12), rng)
    v = v + rng.normal(0, 0.06) * u * u / length
    theta = np.arctan2(v / width, u / length)
    rho = np.hypot(u / length, v / width)
    for waves in (2, 3, 5):
        rho = rho * (1 + rng.normal(0, look.uneven) * np.cos(waves * theta + rng.uniform(0, 6)))
    rho = np.asarray(rho, np.float32)
    clumps = _blurred(rng.standard_normal(rho.shape))
    body = 1 - look.vesicular * smoothstep(rho, 1.0, 0.55)
    body = body + (0.10 + 0.2 * look.vesicular) * clumps
    if look.vesicular > 0.4:
        cx, cy = rng.normal(0, 0.25, 2)
        body = body + 0.7 * np.exp(-((u - cx * length) ** 2 + (v - cy * width) ** 2) / 3.5)
    inside = smoothstep((1 - rho) * np.float32(min(length, width)), -0.9, 1.3)
    dark = 140 * look.dark * (1 + rng.normal(0, 0.10))
    return np.asarray(np.clip(dark * inside * body, 0, 255), np.uint8)


def _turned(half: int, angle: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return coordinates along and across a direction, from a point near the middle."""
    axis = np.arange(-half, half + 1, dtype=np.float32)
    x, y = axis[None, :] + rng.uniform(-0.5, 0.5), axis[:, None] + rng.uniform(-0.5, 0.5)
    u, v = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    return np.asarray(u, np.float32), np.asarray(v, np.float32)


def _blurred(values: npt.NDArray[np.float64]) -> Floats:
    """Return noise without its finest part, with a standard deviation of 1."""
    frequency = np.fft.fftfreq(len(values))
    weight = np.exp(-34 * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    soft = np.fft.ifft2(np.fft.fft2(values) * weight).real
    return np.asarray(soft / soft.std(), np.float32)
