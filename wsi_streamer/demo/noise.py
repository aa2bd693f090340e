"""Randomness that depends on the position alone, so that any part of a slide can be painted alone.

Everything is a pure function of coordinates and a seed: neighbouring windows, painted by different
processes in any order, fit together without a seam.
"""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

# Variance of white noise after cubic B-spline interpolation, in both directions.
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
    lattice = hashed(cols[None, :], rows[:, None], seed) - np.float32(0.5)
    top -= rows[0]
    left -= cols[0]
    rough = sum(down[k][:, None] * lattice[top + k] for k in range(4))
    wide = sum(across[k] * rough[:, left + k] for k in range(4))
    return np.asarray(wide / np.float32(_SPLINE_STD), np.float32)


def fractal(xs: Floats, ys: Floats, octaves: dict[float, float], seed: int) -> Floats:
    """Return the sum of smooth noises, given as amplitudes by wavelength."""
    total = np.zeros((len(ys), len(xs)), np.float32)
    for index, (wavelength, amplitude) in enumerate(octaves.items()):
        total += np.float32(amplitude) * smooth_noise(xs, ys, wavelength, seed + 101 * index)
    return total


def grain(size: int, wavelength: float, rng: np.random.Generator) -> Floats:
    """Return a square periodic texture of mean 0 and standard deviation 1, twice as large.

    It repeats after `size` pixels, and holds four periods, so that a window of up to `size` pixels
    starting anywhere in the first one is a plain slice.
    """
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :]
    spectrum *= np.exp(-(fx**2 + fy**2) * wavelength**2)
    texture = np.fft.irfft2(spectrum, s=(size, size))
    return np.tile(((texture - texture.mean()) / texture.std()).astype(np.float32), (2, 2))


def smoothstep(values: Floats, low: float, high: float) -> Floats:
    """Return 0 up to `low`, 1 from `high`, and a soft slope between."""
    # With `low` above `high` the slope falls.
    slope = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(slope * slope * (3 - 2 * slope), np.float32)


def _taps(positions: Floats, wavelength: float) -> tuple[Ints, tuple[Floats, ...]]:
    """Return the first of four lattice points for each position, and their spline weights."""
    scaled = positions.astype(np.float64) / wavelength
    first = np.floor(scaled)
    t = (scaled - first).astype(np.float32)
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    return first.astype(np.int64) - 1, weights
