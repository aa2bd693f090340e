"""Randomness that depends on the position alone, so that any part of a slide can be painted alone.

Everything is a pure function of coordinates and a seed: neighbouring windows, painted by different
processes in any order, fit together without a seam.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Standard deviation of numbers from 0 to 1 after cubic B-spline interpolation both ways.
_SPLINE_STD = 0.2887 * 0.48


def hashed(cols: Ints, rows: Ints, seed: int) -> Floats:
    """Return a uniform number from 0 to 1 for each integer point, always the same."""
    # Multiply and xorshift with the constants of lowbias32 (Wellons, "Hash function prospector").
    mixed = cols.astype(np.uint32) * np.uint32(0x9E3779B1)
    mixed = mixed ^ (rows.astype(np.uint32) * np.uint32(0x85EBCA77))
    mixed ^= np.uint32((seed * 0xC2B2AE3D) & 0xFFFFFFFF)
    mixed ^= mixed >> np.uint32(16)
    mixed *= np.uint32(0x7FEB352D)
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x846CA68B)
    mixed ^= mixed >> np.uint32(16)
    return mixed.astype(np.float32) * np.float32(2.0**-32)


def smooth_noise(xs: Floats, ys: Floats, wavelength: float, seed: int) -> Floats:
    """Return noise of mean 0 and standard deviation about 1 at the points of a grid.

    `xs` and `ys` are the coordinates of its columns and rows; the shape is (ys, xs).
    """
    left, across = _taps(xs, wavelength)
    top, down = _taps(ys, wavelength)
    cols = np.arange(left.min(), left.max() + 4)
    rows = np.arange(top.min(), top.max() + 4)
    lattice = (hashed(cols[None, :], rows[:, None], seed) - 0.5) / np.float32(_SPLINE_STD)
    tall = np.zeros((len(ys), len(cols)), np.float32)
    noise = np.zeros((len(ys), len(xs)), np.float32)
    for k in range(4):
        tall += down[k][:, None] * lattice[top - rows[0] + k]
    for k in range(4):
        noise += across[k] * tall[:, left - cols[0] + k]
    return noise


def fractal(xs: Floats, ys: Floats, octaves: dict[float, float], seed: int) -> Floats:
    """Return the sum of smooth noises, given as amplitudes by wavelength."""
    total = np.zeros((len(ys), len(xs)), np.float32)
    for index, (wavelength, amplitude) in enumerate(octaves.items()):
        total += np.float32(amplitude) * smooth_noise(xs, ys, wavelength, seed + 101 * index)
    return total


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """Return 0 up to `low`, 1 from `high`, and a soft slope between."""
    # With `low` above `high` the slope falls.
    slope = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(slope * slope * (3 - 2 * slope), np.float32)


def _taps(positions: Floats, wavelength: float) -> tuple[Ints, Floats]:
    """Return the first of four lattice points for each position, and their weights, (4, n)."""
    scaled = positions.astype(np.float64) / wavelength
    first = np.floor(scaled)
    t = scaled - first
    # The cubic B-spline: it is as smooth as can be, and hides the lattice.
    weights = (
        (1 - t) ** 3,
        3 * t**3 - 6 * t**2 + 4,
        -3 * t**3 + 3 * t**2 + 3 * t + 1,
        t**3,
    )
    return first.astype(np.int64) - 1, (np.stack(weights) / 6).astype(np.float32)
