"""Pictures to put into slides, and what a viewer has to show of a stored page."""

import numpy as np
import numpy.typing as npt

from tests.slides.page import (
    BLACK_IS_ZERO,
    PALETTE,
    PREMULTIPLIED,
    STRAIGHT,
    WHITE_IS_ZERO,
    Page,
)

Pixels = npt.NDArray[np.uint8]


def gradient(width: int, height: int) -> Pixels:
    """Return (height, width, 3): red grows to the right, green downwards, blue goes in waves.

    Each place has a colour of its own and no edge is sharp, so that a compressed tile that is
    misplaced, mirrored or stretched differs by far more than compression does.
    """
    x = np.arange(width)[None, :] / max(width - 1, 1)
    y = np.arange(height)[:, None] / max(height - 1, 1)
    pixels = np.empty((height, width, 3), np.float64)
    pixels[..., 0] = 20 + 215 * x
    pixels[..., 1] = 20 + 215 * y
    pixels[..., 2] = 128 + 90 * np.sin((2 * x + 3 * y) * np.pi)
    return np.rint(pixels).astype(np.uint8)


def flat(width: int, height: int, color: tuple[int, int, int]) -> Pixels:
    """Return (height, width, 3) of one colour, without using memory."""
    return np.broadcast_to(np.array(color, np.uint8), (height, width, 3))


def reduced(pixels: Pixels, factor: int, *, round_up: bool = False) -> Pixels:
    """Return an image reduced by averaging squares of `factor` pixels.

    Pixels at the edges that do not fill a square are cut off, as Aperio does, or averaged on
    their own.
    """
    if not round_up:
        height, width = (side // factor * factor for side in pixels.shape[:2])
        pixels = pixels[:height, :width]
    rows, columns = (range(0, side, factor) for side in pixels.shape[:2])
    sums = np.add.reduceat(pixels.astype(np.float64), rows, axis=0)
    sums = np.add.reduceat(sums, columns, axis=1)
    heights = np.minimum(factor, pixels.shape[0] - np.array(rows))
    widths = np.minimum(factor, pixels.shape[1] - np.array(columns))
    return np.rint(
        sums / (heights[:, None] * widths).reshape(*sums.shape[:2], *(1,) * (sums.ndim - 2))
    ).astype(np.uint8)


def shown(page: Page) -> Pixels:
    """Return what a viewer shows of a page: (height, width, 3) of 8 bits, on a white ground.

    Rounding is libtiff's (tif_getimage.c), as in OpenSlide.
    """
    stored = page.pixels.reshape(page.height, page.width, page.samples)
    if page.pixels.dtype == np.uint16:
        stored = _to_8_bits(stored, is_grey=page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO))
    if page.photometric == PALETTE and page.palette is not None:
        return _without_sparse(page, page.palette[stored[..., 0]])
    colors = stored[..., : stored.shape[2] - len(page.extra_samples)]
    if page.photometric == WHITE_IS_ZERO:
        colors = 255 - colors
    if page.extra_samples and page.extra_samples[0] in (PREMULTIPLIED, STRAIGHT):
        alpha = stored[..., colors.shape[2], None].astype(np.uint32)
        if page.extra_samples[0] == STRAIGHT:
            colors = (colors.astype(np.uint32) * alpha + 127) // 255
        colors = (colors + (255 - alpha)).clip(0, 255).astype(np.uint8)
    if colors.shape[2] == 1:
        colors = np.repeat(colors, 3, axis=2)
    return _without_sparse(page, colors[..., :3].astype(np.uint8))


def _to_8_bits(stored: npt.NDArray[np.generic], *, is_grey: bool) -> Pixels:
    # Grey loses its low byte (put16bitbwtile), colour is rounded (Bitdepth16To8).
    narrow = stored >> 8 if is_grey else (stored.astype(np.uint32) + 128) // 257
    return narrow.astype(np.uint8)


def _without_sparse(page: Page, pixels: Pixels) -> Pixels:
    missing = [
        (col, row)
        for row in range(page.rows)
        for col in range(page.columns)
        if (col, row) in page.sparse
    ]
    if not missing:
        return pixels
    if len(missing) == page.rows * page.columns:
        return flat(page.width, page.height, (255, 255, 255))
    pixels = pixels.copy()
    width, height = page.segment
    for col, row in missing:
        pixels[row * height : (row + 1) * height, col * width : (col + 1) * width] = 255
    return pixels
