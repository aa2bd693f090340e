"""What lies where in the tissue: smooth maps of the structures, before any cell is painted.

The maps are sampled on a coarse grid, one point every STEP pixels of level 0, and depend on the
position alone. `cells` puts nuclei into them and `tissue` turns both into colours.
"""

from dataclasses import dataclass, fields

import numpy as np

from wsi_streamer.demo.islands import Island, Tissue, make_islands
from wsi_streamer.demo.lattice import Blobs, Pattern, blobs
from wsi_streamer.demo.noise import Floats, fractal, smoothstep
from wsi_streamer.model.geometry import Region, Size

# Structures are at least a nucleus wide (12 pixels), so that every fourth pixel tells enough.
STEP = 4
# How far the maps reach beyond the window, in points: more than half of the largest nucleus.
PAD = 8

CRYPTS = Pattern(across=146, along=430, radius=(48, 60), stretch=(2.2, 5.0), gap=12, kept=0.97)
TUMOUR_GLANDS = Pattern(across=260, along=310, radius=(70, 190), stretch=(0.8, 1.7), gap=24, kept=0.93)
VESSELS = Pattern(across=820, along=820, radius=(26, 120), stretch=(0.7, 1.8), gap=300, kept=0.5)
FOLLICLES = Pattern(across=900, along=900, radius=(170, 330), stretch=(0.8, 1.3), gap=120, kept=0.8)
AGGREGATES = Pattern(across=1500, along=1300, radius=(120, 420), stretch=(0.7, 1.4), gap=200, kept=0.45)


@dataclass(frozen=True)
class Maps:
    """Maps of one window, all of one shape.

    depth: distance below the surface of the tissue, in pixels; negative on glass.
    gland: distance inside the nearest gland from its basement membrane; negative in the stroma.
    vessel: the same for blood vessels; blood: a number from 0 to 1 that each vessel has.
    flow: a coordinate across the fibres; they run along its lines of equal value.
    secretion: a number from 0 to 1 that each gland has, of what fills it.
    atypia: 0 for normal bowel epithelium, 1 for tumour.
    muscle, fat, loose, lymph, centre: 0 to 1, how much of each there is; `centre` are germinal centres.
    tone: variation of the staining, about 1; patch: variation of the stroma, about 0.
    """

    depth: Floats
    gland: Floats
    vessel: Floats
    blood: Floats
    flow: Floats
    secretion: Floats
    atypia: Floats
    muscle: Floats
    fat: Floats
    loose: Floats
    lymph: Floats
    centre: Floats
    tone: Floats
    patch: Floats

    def or_deeper(self, other: "Maps") -> "Maps":
        """Return the maps of whichever tissue is deeper at each point."""
        mine = self.depth >= other.depth
        names = [field.name for field in fields(self)]
        return Maps(*(np.where(mine, getattr(self, name), getattr(other, name)) for name in names))


class Anatomy:
    """The whole slide, as a function from a window to its maps."""

    def __init__(self, size: Size, seed: int) -> None:
        self.seed = seed
        self.islands = make_islands(size)

    def find_maps(self, window: Region) -> Maps | None:
        """Return the maps of a window and PAD points around it, or None if it is all glass."""
        xs = (window.x + STEP * np.arange(-PAD, window.width // STEP + PAD + 1)).astype(np.float32)
        ys = (window.y + STEP * np.arange(-PAD, window.height // STEP + PAD + 1)).astype(np.float32)
        found: Maps | None = None
        for number, island in enumerate(self.islands):
            if island.touches(window):
                maps = _IslandMaps(island, xs, ys, self.seed * 7919 + number * 1009).maps()
                found = found.or_deeper(maps) if found else maps
        return found if found and found.depth.max() > 0 else None


class _IslandMaps:
    """The maps of one piece of tissue on one grid."""

    def __init__(self, island: Island, xs: Floats, ys: Floats, seed: int) -> None:
        self.island, self.xs, self.ys, self.seed = island, xs, ys, seed
        self.u, self.v = island.local(xs, ys)
        size = island.half_width
        rough = {0.9 * size: 0.12 * size, 0.3 * size: 0.06 * size, 300: 32, 80: 9, 24: 2.5}
        depth = island.depth(self.u, self.v) + self.noise(rough, 20)
        self.depth = np.minimum(depth, self.cracks()).astype(np.float32)
        self.layer = self.v / np.float32(size) + self.noise({2600: 0.07, 700: 0.03, 200: 0.01}, 10)

    def noise(self, octaves: dict[float, float], number: int) -> Floats:
        return fractal(self.xs, self.ys, octaves, self.seed + number)

    def cracks(self) -> Floats:
        """Return the distance from the cracks that a section gets on the knife."""
        # Along the zero of one noise, but only where another is high.
        line = np.abs(self.noise({1900: 900, 120: 45, 30: 10}, 30))
        return np.asarray(line - 12 + 300 * np.maximum(1.2 - self.noise({2300: 1}, 40), 0))

    def blobs(self, pattern: Pattern, wobble: float, number: int) -> Blobs:
        """Return structures in the frame of the island, with irregular outlines."""
        size = pattern.radius[1]
        octaves = {3.1 * size: wobble * size, 1.1 * size: 0.3 * wobble * size, 40: 2.5}
        u = self.u + self.noise(octaves, number)
        v = self.v + self.noise(octaves, number + 7)
        return blobs(pattern, u, v, self.seed + number)

    def flow(self, gland: Floats) -> Floats:
        """Return the coordinate across the fibres; they run along the island and around glands."""
        waves = self.noise({2600: 420, 800: 150, 240: 32, 80: 8}, 50)
        return np.asarray(self.v + waves + 0.8 * np.clip(gland, -70, 0), np.float32)

    def maps(self) -> Maps:
        """Return the maps."""
        return {
            Tissue.BOWEL_WALL: self.bowel_wall,
            Tissue.TUMOUR: self.tumour,
            Tissue.LYMPH_NODE: self.lymph_node,
        }[self.island.tissue]()

    def bowel_wall(self) -> Maps:
        """Mucosa with crypts, submucosa, two layers of muscle, and fat under the serosa."""
        layer, width = self.layer, np.float32(self.island.half_width)
        crypts = self.blobs(CRYPTS, 0.5, 60)
        surface = np.minimum(48 - self.depth, (layer - 0.62) * width)
        gland = np.maximum(np.minimum(crypts.inside, (layer - 0.56) * width), surface)
        vessels = self.blobs(VESSELS, 0.25, 80)
        mucosa = smoothstep(layer, 0.53, 0.56)
        muscle = smoothstep(layer, 0.06, 0.03) * smoothstep(layer, -0.62, -0.58)
        muscle += smoothstep(layer, 0.48, 0.5) * (1 - mucosa)
        nodules = smoothstep(self.blobs(AGGREGATES, 0.3, 90).inside, -60, 60)
        nodules *= smoothstep(layer, 0.25, 0.4)
        fat = smoothstep(-0.6 - layer + self.noise({1100: 0.09}, 100), 0, 0.03)
        submucosa = smoothstep(layer, 0.02, 0.08) * (1 - mucosa)
        fat = np.maximum(fat, submucosa * smoothstep(self.noise({900: 1}, 101), 1.3, 1.45))
        fat *= smoothstep(np.abs(self.noise({1100: 1, 150: 0.12}, 103)), 0.03, 0.06)
        serosa = smoothstep(self.depth + self.noise({160: 10}, 102), 18, 34)
        outer = smoothstep(self.layer, -0.24, -0.26)
        septum = np.exp(-(((self.layer + 0.25) * width) ** 2) * np.float32(1 / 18**2))
        return Maps(
            depth=self.depth,
            gland=gland,
            vessel=np.minimum(vessels.inside - 35 * muscle, (0.5 - layer) * width),
            blood=vessels.pick,
            flow=np.where(outer > 0.5, self.u + self.noise({700: 160, 200: 40}, 51), self.flow(gland)),
            secretion=crypts.pick,
            atypia=np.zeros_like(layer),
            muscle=muscle * (1 - 0.9 * septum),
            fat=fat * serosa,
            loose=0.25 + 0.75 * np.maximum(submucosa, septum),
            lymph=np.maximum(0.34 * mucosa, nodules) + 0.02,
            centre=np.zeros_like(layer),
            tone=1 + self.noise({1500: 0.05, 300: 0.03}, 120),
            patch=self.noise({380: 0.6, 130: 0.5}, 130),
        )

    def tumour(self) -> Maps:
        """Irregular glands in dense stroma, with aggregates of lymphocytes."""
        sparse = 90 * smoothstep(self.noise({1300: 1, 500: 0.4}, 61), 0.2, 1.6)
        glands = self.blobs(TUMOUR_GLANDS, 0.4, 60)
        gland = np.minimum(glands.inside - sparse - 4, self.depth - 60)
        vessels = self.blobs(VESSELS, 0.25, 80)
        lymph = smoothstep(self.blobs(AGGREGATES, 0.3, 90).inside, -80, 60)
        cuff = 0.16 * smoothstep(self.noise({700: 1}, 91), 0, 1.5)
        fat = smoothstep(self.noise({1600: 1, 400: 0.2}, 100), 1.55, 1.7)
        return Maps(
            depth=self.depth,
            gland=np.where(fat > 0, np.minimum(gland, -30 * fat), gland),
            vessel=np.minimum(vessels.inside, -gland - 40),
            blood=vessels.pick,
            flow=self.flow(gland),
            secretion=glands.pick,
            atypia=np.ones_like(gland),
            muscle=np.zeros_like(gland),
            fat=fat,
            loose=0.35 + 0.25 * smoothstep(self.noise({1100: 1}, 110), -1, 1),
            lymph=np.maximum(lymph, cuff) + 0.03,
            centre=np.zeros_like(gland),
            tone=1 + self.noise({1500: 0.05, 300: 0.03}, 120),
            patch=self.noise({380: 0.6, 130: 0.5}, 130),
        )

    def lymph_node(self) -> Maps:
        """A capsule, follicles with pale germinal centres, sinuses, and a hilum of fat."""
        follicles = self.blobs(FOLLICLES, 0.2, 60).inside
        cortex = smoothstep(self.depth, 900, 500)
        sinus = smoothstep(np.abs(self.noise({420: 1, 120: 0.2}, 70)), 0.1, 0.25)
        sinus = np.maximum(sinus, smoothstep(self.noise({900: 1}, 71), -0.4, 0.4))
        capsule = smoothstep(self.depth + self.noise({200: 12}, 72), 60, 80)
        fat = smoothstep(-0.5 - self.layer + self.noise({900: 0.1}, 100), 0, 0.05)
        follicle = smoothstep(follicles, -5, 40) * cortex
        lymph = np.maximum(0.62 + 0.2 * self.noise({300: 0.3}, 73), 0.95 * follicle)
        vessels = self.blobs(VESSELS, 0.25, 80)
        outside = np.full_like(lymph, -1000)
        return Maps(
            depth=self.depth,
            gland=outside,
            vessel=np.minimum(vessels.inside, -follicles - 30),
            blood=vessels.pick,
            flow=self.flow(outside),
            secretion=np.zeros_like(lymph),
            atypia=np.zeros_like(lymph),
            muscle=np.zeros_like(lymph),
            fat=fat * capsule,
            loose=0.6 * (1 - sinus),
            lymph=lymph * sinus * capsule * (1 - fat) + 0.02,
            centre=smoothstep(follicles, 60, 85) * cortex,
            tone=1 + self.noise({1500: 0.05, 300: 0.03}, 120),
            patch=self.noise({380: 0.6, 130: 0.5}, 130),
        )
