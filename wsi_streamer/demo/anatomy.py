"""What lies where on the slide, as a function of the position: the maps of any window.

`cells` puts nuclei into the maps, and `section` turns both into stains.
"""

from dataclasses import replace

import numpy as np

from wsi_streamer.demo.islands import Island, Tissue, make_islands
from wsi_streamer.demo.lattice import FAR, Blobs, Pattern, blobs
from wsi_streamer.demo.maps import EDGE, PAD, STEP, Maps
from wsi_streamer.demo.noise import Floats, fractal, smoothstep
from wsi_streamer.model.geometry import Region, Size

CRYPTS = Pattern(across=146, along=430, radius=(48, 60), stretch=(2.2, 5.0), gap=12, kept=0.97)
ACINI = Pattern(across=260, along=310, radius=(70, 190), stretch=(0.8, 1.7), gap=24, kept=0.93)
VESSELS = Pattern(across=820, along=820, radius=(26, 120), stretch=(0.7, 1.8), gap=300, kept=0.5)
FOLLICLES = Pattern(across=900, along=900, radius=(170, 330), stretch=(0.8, 1.3), gap=120, kept=0.8)
NODULES = Pattern(
    across=1500, along=1300, radius=(120, 420), stretch=(0.7, 1.4), gap=200, kept=0.45
)


class Anatomy:
    """All pieces of tissue on a slide."""

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
                piece = _Piece(island, xs, ys, self.seed * 7919 + number * 1009)
                if piece.depth.max() > -EDGE:
                    maps = piece.maps()
                    found = found.or_deeper(maps) if found else maps
        return found


class _Piece:
    """One piece of tissue on one grid.

    All variation comes from noises, told apart by a number, with amplitudes by wavelength.
    """

    def __init__(self, island: Island, xs: Floats, ys: Floats, seed: int) -> None:
        self.island, self.xs, self.ys, self.seed = island, xs, ys, seed
        self.u, self.v = island.local(xs, ys)
        self.width = np.float32(island.half_width)
        rough = {0.9: 0.12, 0.3: 0.06}
        octaves = {part * island.half_width: rough[part] * island.half_width for part in rough}
        outline = self.noise({**octaves, 300: 32, 80: 9, 24: 2.5}, 20)
        self.depth = np.minimum(island.depth(self.u, self.v) + outline, self.cracks())
        # From -1 to 1 across the piece: the layers of the bowel, or the hilum of a node.
        self.layer = self.v / self.width + self.noise({2600: 0.07, 700: 0.03, 200: 0.01}, 10)

    def maps(self) -> Maps:
        """Return the maps."""
        kinds = {
            Tissue.BOWEL_WALL: self.bowel_wall,
            Tissue.TUMOUR: self.tumour,
            Tissue.LYMPH_NODE: self.lymph_node,
        }
        return kinds[self.island.tissue]()

    def noise(self, octaves: dict[float, float], number: int) -> Floats:
        return fractal(self.xs, self.ys, octaves, self.seed + number)

    def cracks(self) -> Floats:
        """Return the distance from the cracks that a section gets on the knife."""
        # Along the zero of one noise, but only where another is high.
        line = np.abs(self.noise({1900: 900, 120: 45, 30: 10}, 30))
        high = np.maximum(1.2 - self.noise({2300: 1}, 40), 0)
        return np.asarray(line - 12 + 300 * high, np.float32)

    def blobs(self, pattern: Pattern, wobble: float, number: int) -> Blobs:
        """Return structures in the frame of the island, with irregular outlines."""
        size = pattern.radius[1]
        octaves = {3.1 * size: wobble * size, 1.1 * size: 0.3 * wobble * size, 40: 2.5}
        u = self.u + self.noise(octaves, number)
        v = self.v + self.noise(octaves, number + 7)
        return blobs(pattern, u, v, self.seed + number)

    def stroma(self) -> Maps:
        """Return the maps of tissue that has nothing but fibres and vessels."""
        vessels = self.blobs(VESSELS, 0.25, 80)
        zero = np.zeros_like(self.depth)
        waves = self.noise({2600: 420, 800: 150, 240: 32, 80: 8}, 50)
        return Maps(
            depth=self.depth,
            gland=np.full_like(self.depth, FAR),
            secretion=zero,
            vessel=np.minimum(vessels.inside, self.depth - 45),
            blood=vessels.pick,
            # The surface has a skin of fibres along it.
            flow=self.v + waves + 3 * np.clip(self.depth, 0, 50),
            atypia=zero,
            muscle=zero,
            fat=zero,
            loose=zero,
            lymph=zero,
            centre=zero,
            tone=1 + self.noise({1500: 0.05, 300: 0.03}, 120),
            patch=self.noise({380: 0.6, 130: 0.5}, 130),
        )

    def bowel_wall(self) -> Maps:
        """Return mucosa with crypts, submucosa, two layers of muscle, and fat under the serosa."""
        layer, stroma = self.layer, self.stroma()
        crypts = self.blobs(CRYPTS, 0.5, 60)
        surface = np.minimum(48 - self.depth, (layer - 0.62) * self.width)
        gland = np.maximum(np.minimum(crypts.inside, (layer - 0.56) * self.width), surface)
        mucosa = smoothstep(layer, 0.53, 0.56)
        submucosa = smoothstep(layer, 0.02, 0.08) * (1 - mucosa)
        muscle = smoothstep(layer, 0.06, 0.03) * smoothstep(layer, -0.62, -0.58)
        muscle = muscle + smoothstep(layer, 0.48, 0.5) * (1 - mucosa)
        # The fibres of the outer layer of muscle cross those of the inner one.
        outer = smoothstep(layer, -0.24, -0.26)
        crossing = self.u - self.v + self.noise({700: 160, 200: 40}, 51)
        between = smoothstep(np.abs(layer + 0.25) * self.width, 36, 0)
        nodules = smoothstep(self.blobs(NODULES, 0.3, 90).inside, -60, 60)
        return replace(
            stroma,
            gland=gland,
            secretion=crypts.pick,
            vessel=np.minimum(stroma.vessel - 35 * muscle, (0.5 - layer) * self.width),
            flow=_around(gland, stroma.flow + outer * crossing),
            muscle=muscle * (1 - 0.9 * between),
            fat=self.bowel_fat(submucosa),
            loose=0.25 + 0.75 * np.maximum(submucosa, between),
            lymph=np.maximum(0.34 * mucosa, nodules * smoothstep(layer, 0.25, 0.4)) + 0.02,
        )

    def bowel_fat(self, submucosa: Floats) -> Floats:
        """Return the fat under the serosa, between septa, and lobules in the submucosa."""
        outside = smoothstep(self.noise({1100: 0.09}, 100) - 0.6 - self.layer, 0, 0.03)
        lobules = smoothstep(self.noise({900: 1}, 101), 1.3, 1.45)
        septa = smoothstep(np.abs(self.noise({1100: 1, 150: 0.12}, 103)), 0.03, 0.06)
        serosa = smoothstep(self.depth + self.noise({160: 10}, 102), 18, 34)
        return np.asarray(np.maximum(outside, submucosa * lobules) * septa * serosa, np.float32)

    def tumour(self) -> Maps:
        """Return irregular glands in dense stroma, with aggregates of lymphocytes."""
        stroma = self.stroma()
        acini = self.blobs(ACINI, 0.4, 60)
        sparse = 90 * smoothstep(self.noise({1300: 1, 500: 0.4}, 61), 0.2, 1.6)
        gland = np.minimum(acini.inside - sparse - 4, self.depth - 60)
        nodules = smoothstep(self.blobs(NODULES, 0.3, 90).inside, -80, 60)
        scattered = 0.16 * smoothstep(self.noise({700: 1}, 91), 0, 1.5)
        return replace(
            stroma,
            gland=gland,
            secretion=acini.pick,
            vessel=np.minimum(stroma.vessel, -gland - 40),
            flow=_around(gland, stroma.flow),
            atypia=np.ones_like(gland),
            loose=0.35 + 0.25 * smoothstep(self.noise({1100: 1}, 110), -1, 1),
            lymph=np.maximum(nodules, scattered) + 0.03,
        )

    def lymph_node(self) -> Maps:
        """Return follicles with pale centres under a capsule, sinuses, and a hilum of fat."""
        stroma = self.stroma()
        follicles = np.minimum(self.blobs(FOLLICLES, 0.2, 60).inside, -stroma.vessel - 30)
        cortex = smoothstep(self.depth, 900, 500)
        follicle = smoothstep(follicles, -5, 40) * cortex
        vein = np.abs(self.noise({420: 1, 120: 0.2}, 70))
        quiet = smoothstep(self.noise({900: 1}, 71), -0.4, 0.4)
        dense: Floats = np.maximum(smoothstep(vein, 0.1, 0.25), quiet)
        capsule = smoothstep(self.depth + self.noise({200: 12}, 72), 60, 80)
        fat = smoothstep(self.noise({900: 0.1}, 100) - 0.5 - self.layer, 0, 0.05)
        lymph = np.maximum(0.62 + 0.06 * self.noise({300: 1}, 73), 0.95 * follicle)
        return replace(
            stroma,
            flow=stroma.flow + 900 * np.minimum(vein, np.float32(0.25)),
            fat=fat * capsule,
            loose=0.6 - 0.6 * dense,
            lymph=lymph * dense * capsule * (1 - fat) + 0.02,
            centre=smoothstep(follicles, 60, 85) * cortex,
        )


def _around(gland: Floats, flow: Floats) -> Floats:
    """Return a flow with the fibres near glands wrapped around them."""
    return np.asarray(flow + 0.8 * np.clip(gland, -70, 0), np.float32)
