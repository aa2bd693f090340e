"""Paints any window of the demo slide: stains first, colours last.

Each pixel gets an amount of haematoxylin (blue: nuclei, mucus) and of eosin (pink: everything else);
how much light passes follows from both, as in a real section (Beer-Lambert).
"""

import numpy as np

from wsi_streamer.demo.anatomy import PAD, STEP, Anatomy, Maps
from wsi_streamer.demo.cells import CellPainter, Layers
from wsi_streamer.demo.noise import Floats, grain, hashed, smoothstep
from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.model.geometry import Region, Size

GLASS = (243.0, 242.5, 244.5)
# Optical density of each stain for red, green and blue light.
HAEMATOXYLIN = (0.62, 0.74, 0.30)
EOSIN = (0.12, 0.80, 0.42)
# Steps of the colour table for one unit of stain.
SHADES = 100

GRAIN = 512
WINDOW = 256
FIBRES = 4096


class TissuePainter:
    """Paints windows of a slide; two with the same size and seed paint the same pixels."""

    def __init__(self, size: Size, seed: int) -> None:
        self.anatomy = Anatomy(size, seed)
        self.cells = CellPainter(seed)
        self.seed = seed
        rng = np.random.default_rng(seed)
        self.fine, self.soft, self.coarse = (grain(GRAIN, w, rng) for w in (1.6, 5.0, 14.0))
        self.speckle = grain(GRAIN, 0.8, rng)
        self.fibres = _fibre_table(rng, {14: 0.6, 40: 1.0})
        self.bundles = _fibre_table(rng, {110: 1.0, 300: 0.7})
        self.colours = _colour_table()

    def paint(self, window: Region) -> Bytes:
        """Return the pixels of a window of whole multiples of STEP, (height, width, 3)."""
        maps = self.anatomy.find_maps(window)
        pixels = np.empty((window.height, window.width, 3), np.uint8)
        layers = self.cells.paint(window, maps) if maps else None
        for y in range(0, window.height, WINDOW):
            for x in range(0, window.width, WINDOW):
                part = Region(x, y, WINDOW, WINDOW).clipped(window.size)
                place = slice(part.y, part.bottom), slice(part.x, part.right)
                absolute = Region(window.x + part.x, window.y + part.y, part.width, part.height)
                if maps and layers:
                    cells = Layers(layers.nuclei[place], layers.mucus[place], layers.blood[place])
                    pixels[place] = self._tissue(absolute, _Close(maps, part), cells)
                else:
                    pixels[place] = self._glass(absolute)
        return pixels

    def _glass(self, window: Region) -> Bytes:
        nothing = np.zeros((window.height, window.width), np.float32)
        return self._colour(window, nothing, nothing)

    def _colour(self, window: Region, blue: Floats, pink: Floats) -> Bytes:
        """Return the colours of the stains, with the noise of the camera."""
        noise = self._grain(self.speckle, window) * np.float32(0.8) + np.float32(2.5)
        blue = np.clip(blue * SHADES + noise, 0, 255).astype(np.uint16)
        pink = np.clip(pink * SHADES + noise, 0, 255).astype(np.uint16)
        return self.colours[(blue << 8) | pink]

    def _grain(self, texture: Floats, window: Region, shift: int = 0) -> Floats:
        x, y = (window.x + shift) % GRAIN, (window.y + 3 * shift) % GRAIN
        return texture[y : y + window.height, x : x + window.width]

    def _tissue(self, window: Region, maps: "_Close", cells: Layers) -> Bytes:
        depth = maps("depth")
        if depth.max() < -4:
            return self._glass(window)
        fine, soft = self._grain(self.fine, window), self._grain(self.soft, window)
        coarse = self._grain(self.coarse, window)
        blue, pink = self._stroma(maps, fine, soft, coarse)
        fat = smoothstep(maps("fat") + 0.06 * coarse, 0.4, 0.6)
        if fat.max() > 0:
            kept = 1 - fat * self._fat_holes(window, coarse)
            blue, pink = blue * kept, (pink + fat * (0.5 + 0.05 * soft - pink)) * kept
        gland = maps("gland")
        if gland.max() > -14:
            blue, pink = self._gland(maps, gland, (blue, pink), cells, (fine, soft, coarse))
        vessel = maps("vessel")
        if vessel.max() > -30:
            blue, pink = self._vessel(vessel, (blue, pink), cells, soft)
        nuclei = cells.nuclei * np.float32(1 / 92)
        pink = pink * (1 - 0.45 * np.minimum(nuclei, 1))
        blue = np.maximum(blue, nuclei * (1 + 0.06 * fine))
        edge = smoothstep(depth + 1.5 * soft, -1.5, 2.5)
        tone = maps("tone") * edge
        rim = 1 + 0.25 * np.exp(-np.abs(depth - 4) * np.float32(1 / 6))
        return self._colour(window, blue * tone, pink * tone * rim)

    def _stroma(
        self, maps: "_Close", fine: Floats, soft: Floats, coarse: Floats
    ) -> tuple[Floats, Floats]:
        flow = maps("flow") + 1.6 * soft + 3.0 * coarse
        place = (flow * 4).astype(np.int32) & (FIBRES - 1)
        fibre, bundle = self.fibres[place], self.bundles[place]
        loose, muscle, patch = maps("loose"), maps("muscle"), maps("patch")
        uneven = 0.5 * coarse + bundle * patch
        pink = 0.46 + 0.13 * fibre + 0.05 * bundle + 0.07 * patch + 0.05 * soft + 0.03 * fine
        cleft = smoothstep(0.7 * fibre + uneven + 0.35 * soft, -0.4, -1.3)
        pink = pink * (1 - cleft * (0.15 + 0.75 * loose))
        split = smoothstep(np.abs(bundle + 0.8 * patch + 0.2), 0.13, 0.03)
        fleshy = (0.66 + 0.05 * fibre + 0.03 * bundle + 0.04 * soft) * (1 - 0.55 * split)
        pink = pink + muscle * (fleshy - pink)
        lymph = np.minimum(maps("lymph"), 0.6)
        blue = 0.05 + 0.02 * soft + 0.05 * muscle + 0.3 * lymph
        return blue, pink * (1 - 0.5 * lymph)

    def _gland(
        self,
        maps: "_Close",
        gland: Floats,
        stains: tuple[Floats, Floats],
        cells: Layers,
        grains: tuple[Floats, Floats, Floats],
    ) -> tuple[Floats, Floats]:
        fine, soft, coarse = grains
        atypia = maps("atypia")
        height = 46 + 6 * atypia
        inside = smoothstep(gland + 0.8 * soft, -1, 2)
        apex = gland - height + 2.5 * coarse + 1.5 * soft
        lumen = smoothstep(apex, -1.5, 2)
        mucus = cells.mucus * np.float32(1 / 140)
        blue = 0.26 + 0.12 * atypia + 0.05 * soft + 0.03 * fine
        pink = 0.34 + 0.05 * soft - 0.05 * atypia + 0.14 * smoothstep(apex, -9, -2)
        blue = blue + mucus * (0.16 + 0.05 * soft - blue)
        pink = pink + mucus * (0.07 - pink)
        filled = atypia * smoothstep(maps("secretion"), 0.62, 0.66)
        debris = smoothstep(coarse + 0.25 * soft + 1.6 * filled, 0.6, 2.6) * (0.12 + 0.3 * atypia)
        blue = blue + lumen * ((0.25 + 0.5 * filled * (fine > 1.2)) * debris - blue)
        pink = pink + lumen * (debris - pink)
        cleft = atypia * smoothstep(np.abs(gland + 6 + 3 * coarse), 5, 1) * smoothstep(coarse, 0, 0.8)
        below = 1 - 0.85 * cleft
        return stains[0] * below * (1 - inside) + blue * inside, stains[1] * below * (1 - inside) + pink * inside

    def _vessel(
        self, vessel: Floats, stains: tuple[Floats, Floats], cells: Layers, soft: Floats
    ) -> tuple[Floats, Floats]:
        wall = smoothstep(vessel, -18, -10)
        lumen = smoothstep(vessel + 0.4 * soft, -1, 1.5)
        blue, pink = stains
        pink = pink + wall * (0.68 + 0.06 * soft - pink)
        blood = cells.blood * np.float32(1 / 140)
        blue = blue * (1 - lumen)
        pink = pink + lumen * (0.02 + 0.95 * blood - pink)
        return blue, pink

    def _fat_holes(self, window: Region, coarse: Floats) -> Floats:
        """Return 1 inside fat cells and 0 on the thin walls between them."""
        spacing = 112.0
        xs = np.arange(window.x, window.right, dtype=np.float32)[None, :]
        ys = np.arange(window.y, window.bottom, dtype=np.float32)[:, None]
        first = np.full((window.height, window.width), 1e9, np.float32)
        second = first.copy()
        cols = np.arange(window.x // spacing - 1, window.right // spacing + 2).astype(np.int64)
        rows = np.arange(window.y // spacing - 1, window.bottom // spacing + 2).astype(np.int64)
        for row in rows:
            jitter = hashed(cols, np.full_like(cols, row), self.seed + 5)
            other = jitter * 173 % 1
            for col, x, y in zip(cols, jitter, other, strict=True):
                px = np.float32((col + 0.5 * (row % 2) + 0.15 + 0.7 * x) * spacing)
                py = np.float32((row + 0.15 + 0.7 * y) * spacing)
                distance = (xs - px) ** 2 + (ys - py) ** 2
                second = np.minimum(second, np.maximum(first, distance))
                first = np.minimum(first, distance)
        return smoothstep(np.sqrt(second) - np.sqrt(first) + coarse, 2.5, 7.5)


class _Close:
    """The maps of one window, in full resolution."""

    def __init__(self, maps: Maps, part: Region) -> None:
        self.maps = maps
        top, left = part.y // STEP + PAD, part.x // STEP + PAD
        self.rows = slice(top, top + part.height // STEP + 1)
        self.cols = slice(left, left + part.width // STEP + 1)

    def __call__(self, name: str) -> Floats:
        return _enlarged(getattr(self.maps, name)[self.rows, self.cols])


def _enlarged(grid: Floats) -> Floats:
    """Return a grid in STEP times the resolution, linearly interpolated, less its last point."""
    steps = np.arange(STEP, dtype=np.float32) / STEP
    height, width = grid.shape[0] - 1, grid.shape[1] - 1
    wide = grid[:, :-1, None] + np.diff(grid, axis=1)[:, :, None] * steps
    wide = wide.reshape(height + 1, width * STEP)
    tall = wide[:-1, None] + np.diff(wide, axis=0)[:, None] * steps[:, None]
    return np.asarray(tall.reshape(height * STEP, width * STEP), np.float32)


def _fibre_table(rng: np.random.Generator, widths: dict[int, float]) -> Floats:
    """Return the density of fibres across their direction: periodic noise of several widths."""
    fx = np.fft.rfftfreq(FIBRES)
    weight = sum(a * np.sqrt(w) * np.exp(-((fx * w) ** 2)) for w, a in widths.items())
    table = np.fft.irfft(np.fft.rfft(rng.standard_normal(FIBRES)) * weight, FIBRES)
    return np.asarray(np.clip(table / table.std(), -2, 2), np.float32)


def _colour_table() -> Bytes:
    """Return the colour of each pair of stains, (65536, 3)."""
    amount = np.arange(256) / SHADES - 0.025
    blue, pink = amount[:, None, None], amount[None, :, None]
    density = blue * np.array(HAEMATOXYLIN) + pink * np.array(EOSIN)
    # Where eosin is thick (red cells, muscle) it turns from pink to red.
    density = density + np.maximum(pink - 0.6, 0) * np.array((-0.06, 0.1, 0.35))
    colours = np.array(GLASS) * np.exp(-density)
    return np.clip(np.round(colours), 0, 255).astype(np.uint8).reshape(-1, 3)
