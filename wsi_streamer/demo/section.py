"""Stains one small window of tissue: structure by structure, from the stroma up."""

import numpy as np

from wsi_streamer.demo.cells import Layers
from wsi_streamer.demo.maps import EDGE, PAD, STEP, Maps
from wsi_streamer.demo.noise import Floats, hashed, smoothstep
from wsi_streamer.demo.textures import FIBRES, FIBRES_PER_PIXEL, Textures
from wsi_streamer.model.geometry import Region

FAT_CELL = 112
# Heights of normal and of tumour epithelium.
COLUMNAR, STRATIFIED = 46, 52


class Section:
    """The stains of one window: `blue` (haematoxylin) and `pink` (eosin), about 0 to 2.

    `window` is in pixels of the slide, `part` the same relative to the maps and to `cells`.
    """

    def __init__(
        self, window: Region, part: Region, maps: Maps, cells: Layers, textures: Textures
    ) -> None:
        self.window, self.part, self.maps, self.textures = window, part, maps, textures
        self.cells = cells.cut(part)
        self.fine = textures.at(textures.fine, window)
        self.soft = textures.at(textures.soft, window)
        self.coarse = textures.at(textures.coarse, window)
        self.blue: Floats = np.zeros((window.height, window.width), np.float32)
        self.pink = self.blue

    def stain(self) -> tuple[Floats, Floats]:
        """Return `blue` and `pink` with everything in them; both 0 on bare glass."""
        if not self._reaches(self.maps.depth, -EDGE):
            return self.blue, self.pink
        self._stain_stroma()
        if self._reaches(self.maps.fat, 0):
            self._stain_fat()
        if self._reaches(self.maps.gland, -14):
            self._stain_glands()
        if self._reaches(self.maps.vessel, -40):
            self._stain_vessels()
        nuclei = self.cells.nuclei * np.float32(1 / 92)
        self.pink = self.pink * (1 - 0.45 * np.minimum(nuclei, 1))
        self.blue = np.maximum(self.blue, nuclei * (1 + 0.06 * self.fine))
        self._fade_to_glass()
        return self.blue, self.pink

    def _near(self, grid: Floats) -> Floats:
        """Return a map in full resolution."""
        return enlarge(grid[self._points()])

    def _reaches(self, grid: Floats, level: float) -> bool:
        return bool(grid[self._points()].max() > level)

    def _points(self) -> tuple[slice, slice]:
        top, left = self.part.y // STEP + PAD, self.part.x // STEP + PAD
        rows, cols = self.part.height // STEP + 1, self.part.width // STEP + 1
        return slice(top, top + rows), slice(left, left + cols)

    def _cover(self, cover: Floats, blue: Floats, pink: Floats) -> None:
        self.blue = self.blue + cover * (blue - self.blue)
        self.pink = self.pink + cover * (pink - self.pink)

    def _stain_stroma(self) -> None:
        """Collagen with clefts, and muscle, both along the flow; lymphoid tissue hides them."""
        fine, soft, coarse, maps = self.fine, self.soft, self.coarse, self.maps
        flow = self._near(maps.flow) + 1.6 * soft + 3.0 * coarse
        place = (flow * FIBRES_PER_PIXEL).astype(np.int32) & (FIBRES - 1)
        fibre, bundle = self.textures.fibres[place], self.textures.bundles[place]
        patch = self._near(maps.patch)
        pink = 0.46 + 0.13 * fibre + 0.05 * bundle + 0.07 * patch + 0.05 * soft + 0.04 * fine
        gaps = smoothstep(0.7 * fibre + 0.5 * coarse + bundle * patch + 0.35 * soft, -0.4, -1.3)
        pink = pink * (1 - gaps * (0.15 + 0.75 * self._near(maps.loose)))
        blue = 0.05 + 0.02 * soft
        if self._reaches(maps.muscle, 0):
            muscle = self._near(maps.muscle)
            split = smoothstep(np.abs(bundle + 0.8 * patch + 0.2), 0.13, 0.03)
            fleshy = (0.66 + 0.05 * fibre + 0.03 * bundle + 0.03 * soft + 0.03 * fine) * (
                1 - 0.55 * split
            )
            pink = pink + muscle * (fleshy - pink)
            blue = blue + 0.05 * muscle
        lymph: Floats = np.minimum(self._near(maps.lymph), np.float32(0.7))
        self.blue = blue + 0.27 * lymph
        self.pink = pink + lymph * (0.22 + 0.04 * soft + 0.04 * fine - pink)

    def _stain_fat(self) -> None:
        """Nothing but thin walls remains of fat cells."""
        fat = smoothstep(self._near(self.maps.fat) + 0.06 * self.coarse, 0.4, 0.6)
        wall = 1 - fat * smoothstep(self._fat_walls() + self.coarse, 2.5, 7.5)
        self.pink = (self.pink + fat * (0.5 + 0.05 * self.soft - self.pink)) * wall
        self.blue = self.blue * wall

    def _fat_walls(self) -> Floats:
        """Return the distance from the walls of the fat cells."""
        window = self.window
        xs = np.arange(window.x, window.right, dtype=np.float32)[None, :]
        ys = np.arange(window.y, window.bottom, dtype=np.float32)[:, None]
        first = np.full(self.soft.shape, 1e9, np.float32)
        second = first.copy()
        for x, y, weight in _fat_cells(window):
            # Weights make the walls arcs, as of bubbles that press on each other.
            distance = ((xs - x) ** 2 + (ys - y) ** 2) * weight
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
        return np.asarray(np.sqrt(second) - np.sqrt(first), np.float32)

    def _stain_glands(self) -> None:
        """Epithelium with mucus, its lumen, and the cleft that tumour glands shrink away from."""
        fine, soft, coarse, maps = self.fine, self.soft, self.coarse, self.maps
        gland, atypia = self._near(maps.gland), self._near(maps.atypia)
        cleft = atypia * smoothstep(np.abs(gland + 6 + 3 * coarse), 5, 1)
        self._cover(0.85 * cleft * smoothstep(coarse, 0, 0.8), 0 * soft, 0 * soft)
        apex = gland - (COLUMNAR + (STRATIFIED - COLUMNAR) * atypia) + 2.5 * coarse + 1.5 * soft
        blue = 0.26 + 0.12 * atypia + 0.05 * soft + 0.04 * fine
        pink = 0.34 + 0.05 * soft - 0.05 * atypia + 0.14 * smoothstep(apex, -9, -2)
        self._cover(smoothstep(gland + 0.8 * soft, -1, 2), blue, pink)
        mucus = self.cells.mucus * np.float32(1 / 140)
        self._cover(mucus, 0.16 + 0.05 * soft, 0.07 + 0 * soft)
        # Some tumour glands are full of dead cells.
        dead = atypia * smoothstep(self._near(maps.secretion), 0.62, 0.66)
        debris = smoothstep(coarse + 0.25 * soft + 1.6 * dead, 0.6, 2.6) * (0.12 + 0.3 * atypia)
        dust = (0.25 + 0.5 * dead * (fine > 1.2)) * debris
        self._cover(smoothstep(apex, -1.5, 2), dust, debris)

    def _stain_vessels(self) -> None:
        """A loose sheath, a firm wall, and blood or nothing within."""
        soft, vessel = self.soft, self._near(self.maps.vessel)
        sheath = smoothstep(np.abs(vessel + 27), 11, 4) * (0.3 + 0.15 * self.coarse)
        self.pink = self.pink * (1 - np.clip(sheath, 0, 1))
        self._cover(smoothstep(vessel, -18, -10), self.blue, 0.70 + 0.06 * soft)
        blood = self.cells.blood * np.float32(1 / 140)
        self._cover(smoothstep(vessel + 0.4 * soft, -1, 1.5), 0 * soft, 0.02 + 0.95 * blood)

    def _fade_to_glass(self) -> None:
        depth = self._near(self.maps.depth)
        edge = smoothstep(depth + 1.5 * self.soft, -1.5, 2.5) * self._near(self.maps.tone)
        self.blue = self.blue * edge
        # Stain gathers in the rim.
        self.pink = self.pink * edge * (1 + 0.25 * smoothstep(np.abs(depth - 4), 16, 0))


def _fat_cells(window: Region) -> list[tuple[float, float, float]]:
    """Return the centre and weight of each fat cell that may reach into a window."""
    cols = np.arange(window.x // FAT_CELL - 1, window.right // FAT_CELL + 2)
    rows = np.arange(window.y // FAT_CELL - 1, window.bottom // FAT_CELL + 2)
    col, row = (axis.ravel() for axis in np.meshgrid(cols, rows))
    jitter, other, weight = (hashed(col, row, 500 + k) for k in range(3))
    xs = (col + 0.5 * (row % 2) + 0.15 + 0.7 * jitter) * FAT_CELL
    ys = (row + 0.15 + 0.7 * other) * FAT_CELL
    return list(zip(xs.tolist(), ys.tolist(), (0.7 + 0.6 * weight).tolist(), strict=True))


def enlarge(grid: Floats) -> Floats:
    """Return a grid in STEP times the resolution, interpolated linearly, without its last point."""
    steps = np.arange(STEP, dtype=np.float32) / STEP
    height, width = grid.shape[0] - 1, grid.shape[1] - 1
    wide = grid[:, :-1, None] + np.diff(grid, axis=1)[:, :, None] * steps
    wide = wide.reshape(height + 1, width * STEP)
    tall = wide[:-1, None] + np.diff(wide, axis=0)[:, None] * steps[:, None]
    return np.asarray(tall.reshape(height * STEP, width * STEP), np.float32)
