"""Samples to red, green and blue of 8 bits, on a white ground."""

from typing import Any

import numpy as np
import numpy.typing as npt

from wsi_streamer.model.tile import Alpha, Photometric, PixelLayout

WHITE = 255

# Stored samples of 8 or 16 bits, and pixels of 8 bits on their way out.
Samples = npt.NDArray[np.integer[Any]]
Pixels = npt.NDArray[np.uint8]


def to_rgb(pixels: Samples, layout: PixelLayout) -> Pixels:
    """Return (height, width, 3) uint8 from (height, width, samples) as a decoder gives them.

    16 bits become 8 as libtiff does it (tif_getimage.c): colours are rounded to the nearest, of
    grey the upper byte counts. An alpha sample lets white through; other extra samples are left
    out.
    """
    if layout.photometric is Photometric.PALETTE:
        palette = np.frombuffer(layout.palette, np.uint8).reshape(256, 3)
        indexed: Pixels = palette[pixels[:, :, 0]]
        return indexed
    is_color = layout.photometric in (Photometric.RGB, Photometric.YCBCR)
    samples = _to_8_bits(pixels, is_color=is_color)
    colors = 3 if is_color and samples.shape[2] >= 3 else 1
    color: Pixels = samples[:, :, :colors]
    if layout.photometric is Photometric.WHITE_IS_ZERO:
        color = np.uint8(WHITE) - color
    if layout.alpha is not Alpha.NONE and samples.shape[2] > colors:
        color = _on_white(color, samples[:, :, colors : colors + 1], layout.alpha)
    if colors == 1:
        color = np.repeat(color, 3, axis=2)
    rgb: Pixels = np.ascontiguousarray(color)
    return rgb


def _to_8_bits(pixels: Samples, *, is_color: bool) -> Pixels:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8, copy=False)
    wide = pixels.astype(np.uint32)
    narrow: Pixels = ((wide + 128) // 257 if is_color else wide >> 8).astype(np.uint8)
    return narrow


def _on_white(color: Pixels, alpha: Pixels, kind: Alpha) -> Pixels:
    if alpha.min() == WHITE:
        return color
    cover = alpha.astype(np.uint16)
    shown = color.astype(np.uint16)
    if kind is Alpha.STRAIGHT:
        shown = (shown * cover + 127) // 255
    blended: Pixels = np.minimum(shown + (WHITE - cover), WHITE).astype(np.uint8)
    return blended
