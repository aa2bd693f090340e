"""Round structures (glands, vessels, follicles), strewn on a loose lattice without overlap."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from wsi_streamer.demo.noise import Floats, Ints, hashed

# Deeper outside of anything than any picture is wide.
FAR = -1e5


@dataclass(frozen=True)
class Pattern:
    """How one kind of structure is strewn: distances in pixels.

    `across` and `along` space the lattice, `radius` is the range of half widths, `stretch` that of
    length to width, `gap` the least distance between two, `kept` the share of places in use.
    """

    across: float
    along: float
    radius: tuple[float, float]
    stretch: tuple[float, float]
    gap: float
    kept: float


@dataclass(frozen=True)
class Blobs:
    """For each point, its distance inside the nearest structure, and a number that tells which."""

    inside: Floats
    pick: Floats


@dataclass(frozen=True)
class _Places:
    """The structures of some lattice places: centre, 1 / half axes, and number of each."""

    u: Floats
    v: Floats
    a: Floats
    b: Floats
    number: Floats


def blobs(pattern: Pattern, u: Floats, v: Floats, seed: int) -> Blobs:
    """Return the structures of a pattern at points with the coordinates (u, v)."""
    cols = np.floor(u / np.float32(pattern.across)).astype(np.int64)
    rows = np.floor(v / np.float32(pattern.along)).astype(np.int64)
    left, top = cols.min() - 1, rows.min() - 1
    width = cols.max() + 2 - left
    places = _places(pattern, np.arange(left, left + width), np.arange(top, rows.max() + 2), seed)
    home = (rows - top) * width + (cols - left)
    first = np.full(u.shape, FAR, np.float32)
    second, pick = first.copy(), np.zeros(u.shape, np.float32)
    for dx, dy in product((-1, 0, 1), repeat=2):
        index = home + (dx + dy * width)
        inside = _inside(places, index, u, v)
        second = np.maximum(second, np.minimum(first, inside))
        np.copyto(pick, places.number[index], where=inside > first)
        first = np.maximum(first, inside)
    # Half way to the second nearest runs a septum, so that neighbours flatten and do not merge.
    apart = (first - second) * np.float32(0.5) - np.float32(pattern.gap / 2)
    return Blobs(soft_minimum(first, apart, 14), pick)


def soft_minimum(one: Floats, other: Floats, width: float) -> Floats:
    """Return the lesser of two distances, with the corner between them rounded."""
    near = np.maximum(np.float32(width) - np.abs(one - other), 0)
    return np.asarray(np.minimum(one, other) - near * near * np.float32(0.25 / width), np.float32)


def _inside(places: _Places, index: Ints, u: Floats, v: Floats) -> Floats:
    """Return the distance of each point inside one structure; exact at its outline."""
    du, dv = u - places.u[index], v - places.v[index]
    p, q = du * places.a[index], dv * places.b[index]
    rho = np.sqrt(p * p + q * q)
    p *= places.a[index]
    q *= places.b[index]
    steep = np.sqrt(p * p + q * q)
    return np.asarray((1 - rho) * (rho + np.float32(1e-6)) / (steep + np.float32(1e-8)), np.float32)


def _places(pattern: Pattern, cols: Ints, rows: Ints, seed: int) -> _Places:
    """Return the structures on a rectangle of the lattice, row by row."""
    col, row = (axis.ravel() for axis in np.meshgrid(cols, rows))
    number, other, third, chance = (hashed(col, row, seed + 13 * k) for k in range(4))
    low, high = pattern.radius
    half = low + (high - low) * third
    stretch = pattern.stretch[0] + (pattern.stretch[1] - pattern.stretch[0]) * other
    # Every second column is shifted by half a place, as bricks are; what is not kept lies far off.
    u = (col + 0.25 + 0.5 * number) * pattern.across + np.where(chance > pattern.kept, -FAR, 0)
    v = (row + 0.15 + 0.4 * other + 0.3 * (col % 2)) * pattern.along
    return _Places(
        *(np.asarray(x, np.float32) for x in (u, v, 1 / half, 1 / (half * stretch), number))
    )
