"""Smaller images from larger ones."""

import numpy as np
from PIL import Image

from wsi_streamer.imaging.color import Pixels
from wsi_streamer.model.geometry import Size


def reduce_by(pixels: Pixels, factor: int) -> Pixels:
    """Return the averages of squares of `factor` pixels; those at the edges may be cut off."""
    return pixels if factor == 1 else np.asarray(Image.fromarray(pixels).reduce(factor))


def resize(
    pixels: Pixels,
    size: Size,
    box: tuple[float, float, float, float] | None = None,
    *,
    sharp: bool = False,
) -> Pixels:
    """Return the part `box` (left, upper, right, lower) of an image, scaled to `size`.

    The default averages areas, which makes neighbouring tiles fit without a seam; `sharp` is
    Lanczos, better for single pictures.
    """
    how = Image.Resampling.LANCZOS if sharp else Image.Resampling.BOX
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size.width, size.height), how, box=box))
