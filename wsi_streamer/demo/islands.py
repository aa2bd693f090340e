"""Where the pieces of tissue lie on the glass, and the coordinates along and across each."""

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from wsi_streamer.demo.noise import Floats
from wsi_streamer.model.geometry import Region, Size

# The slide for which the sizes below are drawn; others get the same picture, smaller or larger.
DRAWN = Size(24_000, 18_000)


class Tissue(Enum):
    """What a piece of tissue is."""

    BOWEL_WALL = "bowel wall"
    TUMOUR = "adenocarcinoma"
    LYMPH_NODE = "lymph node"


@dataclass(frozen=True)
class Island:
    """A piece of tissue: a bent bar with round corners, in pixels of level 0."""

    tissue: Tissue
    x: float
    y: float
    half_length: float
    half_width: float
    angle: float
    bend: float = 0.0

    def local(self, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
        """Return the coordinates along (u) and across (v) the piece, for a grid of points."""
        cos, sin = np.float32(math.cos(self.angle)), np.float32(math.sin(self.angle))
        x, y = (xs - np.float32(self.x))[None, :], (ys - np.float32(self.y))[:, None]
        u, v = x * cos + y * sin, y * cos - x * sin
        return u, v - np.float32(self.bend / self.half_length**2) * u * u

    def depth(self, u: Floats, v: Floats) -> Floats:
        """Return the distance from the smooth outline, positive inside, exact near it only."""
        corner = np.float32(0.7 * min(self.half_width, self.half_length))
        beyond_u = np.abs(u) - np.float32(self.half_length) + corner
        beyond_v = np.abs(v) - np.float32(self.half_width) + corner
        outside = np.hypot(np.maximum(beyond_u, 0), np.maximum(beyond_v, 0))
        return np.asarray(corner - outside - np.minimum(np.maximum(beyond_u, beyond_v), 0))

    def touches(self, region: Region) -> bool:
        """Say whether tissue may reach into the region; true too often, never too seldom."""
        reach = 1.25 * math.hypot(self.half_length, self.half_width) + abs(self.bend)
        x = min(max(self.x, region.x), region.right) - self.x
        y = min(max(self.y, region.y), region.bottom) - self.y
        return math.hypot(x, y) <= reach


def make_islands(size: Size) -> tuple[Island, ...]:
    """Return the pieces of tissue of a slide of this size."""
    across, down = size.width / DRAWN.width, size.height / DRAWN.height
    unit = min(across, down)

    def island(
        tissue: Tissue, centre: tuple[int, int], half: tuple[int, int], angle: float, bend: int = 0
    ) -> Island:
        x, y = centre[0] * across, centre[1] * down
        return Island(tissue, x, y, half[0] * unit, half[1] * unit, angle, bend * unit)

    return (
        island(Tissue.BOWEL_WALL, (7700, 9000), (7200, 3300), -0.45, 1900),
        island(Tissue.TUMOUR, (18500, 4900), (4200, 3000), 0.35, -700),
        island(Tissue.LYMPH_NODE, (19300, 13700), (2900, 2000), -0.30, 350),
        island(Tissue.TUMOUR, (13700, 15600), (1100, 520), 0.75, 200),
        island(Tissue.LYMPH_NODE, (12300, 1500), (520, 360), 0.2),
    )
