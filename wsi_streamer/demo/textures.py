"""The fine textures that everything on a slide is painted with, and the colours of the stains."""

import numpy as np

from wsi_streamer.demo.noise import Floats
from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.model.geometry import Region

GLASS = (243.0, 242.4, 244.3)
# Optical density of one unit of each stain for red, green and blue light.
HAEMATOXYLIN = (0.62, 0.74, 0.30)
EOSIN = (0.12, 0.80, 0.42)
# Steps of the colour table for one unit of stain, and the step of no stain: noise goes both ways.
SHADES, NO_STAIN = 100, 2.5

# The grains repeat after this many pixels; they are too fine for that to be seen.
GRAIN = 512
FIBRES, FIBRES_PER_PIXEL = 4096, 4


class Textures:
    """Periodic textures of mean 0 and standard deviation 1, and the table of colours.

    `fibres` and `bundles` are one-dimensional: densities of thin and thick fibres across their
    direction.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.camera, self.fine, self.soft, self.coarse = (
            _grain(wavelength, rng) for wavelength in (0.8, 1.6, 5.0, 14.0)
        )
        self.fibres = _fibres({14: 0.6, 40: 1.0}, rng)
        self.bundles = _fibres({110: 1.0, 300: 0.7}, rng)
        self.colours = _colours()

    def at(self, texture: Floats, window: Region) -> Floats:
        """Return the part of a two-dimensional texture on a window of up to GRAIN pixels."""
        x, y = window.x % GRAIN, window.y % GRAIN
        return texture[y : y + window.height, x : x + window.width]

    def colour(self, window: Region, blue: Floats, pink: Floats) -> Bytes:
        """Return how amounts of haematoxylin and eosin look, with the noise of the camera."""
        noise = self.at(self.camera, window) * np.float32(0.7) + np.float32(NO_STAIN)
        row = np.clip(blue * SHADES + noise, 0, 255).astype(np.uint16)
        col = np.clip(pink * SHADES + noise, 0, 255).astype(np.uint16)
        return np.take(self.colours, (row << 8) | col, axis=0)


def _grain(wavelength: float, rng: np.random.Generator) -> Floats:
    """Return a texture in 2 x 2 periods, so that any window is a plain slice."""
    spectrum = np.fft.rfft2(rng.standard_normal((GRAIN, GRAIN)))
    fy, fx = np.fft.fftfreq(GRAIN)[:, None], np.fft.rfftfreq(GRAIN)[None, :]
    spectrum *= np.exp(-(fx**2 + fy**2) * wavelength**2)
    spectrum[0, 0] = 0
    texture = np.fft.irfft2(spectrum, s=(GRAIN, GRAIN))
    return np.tile((texture / texture.std()).astype(np.float32), (2, 2))


def _fibres(widths: dict[int, float], rng: np.random.Generator) -> Floats:
    """Return periodic noise of several widths, given with their weights."""
    frequency = np.fft.rfftfreq(FIBRES)
    spectrum = np.fft.rfft(rng.standard_normal(FIBRES))
    spectrum *= sum(
        weight * np.sqrt(width) * np.exp(-((frequency * width) ** 2))
        for width, weight in widths.items()
    )
    table = np.fft.irfft(spectrum, FIBRES)
    return np.asarray(np.clip(table / table.std(), -2, 2), np.float32)


def _colours() -> Bytes:
    """Return the colour of each pair of amounts, haematoxylin first, (65536, 3)."""
    amount = (np.arange(256) - NO_STAIN) / SHADES
    blue, pink = amount[:, None, None], amount[None, :, None]
    density = blue * np.array(HAEMATOXYLIN) + pink * np.array(EOSIN)
    # Where eosin is thick (red cells, muscle) it turns from pink to red.
    density = density + np.maximum(pink - 0.6, 0) * np.array((-0.06, 0.1, 0.35))
    colours = np.array(GLASS) * np.exp(-density)
    return np.asarray(np.round(colours), np.uint8).reshape(-1, 3)
