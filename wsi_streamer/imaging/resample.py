"""Smaller images from larger ones."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from wsi_streamer.imaging.color import Pixels
from wsi_streamer.model.geometry import Region, Size

# Pillow's reduce() counts in 32 bits of fixed point: beyond this, averages of whites turn grey.
LARGEST_EXACT_FACTOR = 128


def reduce_by(pixels: Pixels, factor: tuple[int, int]) -> Pixels:
    """Return the averages of rectangles of `factor` pixels (across, down), each at most 128.

    Those at the right and lower edge may be cut off: they are averages of what there is.
    """
    return pixels if factor == (1, 1) else np.asarray(Image.fromarray(pixels).reduce(factor))


def shift(pixels: Pixels, halvings: int) -> Pixels:
    """Return the pixels that lie in the middle of the squares which an image's own stand for.

    A low resolution of a wavelet, halved so often, stands for the upper left
    pixels of the squares that it was made of (ITU-T T.800, F.3.8); the average of a square lies
    in its middle, (1 - 1 / 2^halvings) / 2 pixels to the right and below. Interpolates by cubic
    convolution (Keys 1981, a = -1/2).
    """
    weights = _cubic_weights((1 - 0.5**halvings) / 2)
    # Around 0, sums of 255 * 152 / 128 levels fit into 16 bits before they are scaled back.
    levels = pixels.astype(np.int16)
    levels -= 128
    for axis in (1, 0):
        levels = _shift_along(levels, weights, axis)
    levels += 128
    return np.clip(levels, 0, 255, out=levels).astype(np.uint8)


@cache
def _cubic_weights(distance: float) -> tuple[int, ...]:
    """Return the weights, in 128ths, of pixels at -1, 0, 1 and 2 for what lies at `distance`."""
    t = distance
    first, last = -t * (1 - t) ** 2 / 2, -(1 - t) * t**2 / 2
    third = (1 + 4 * t - 3 * t * t) * t / 2
    before, after, behind = (round(128 * weight) for weight in (first, third, last))
    return before, 128 - before - after - behind, after, behind


def _shift_along(
    levels: npt.NDArray[np.int16], weights: tuple[int, ...], axis: int
) -> npt.NDArray[np.int16]:
    """Return the sums of four neighbours along an axis, the outermost pixels repeated."""
    length = levels.shape[axis]
    first = levels.take([0], axis)
    last = levels.take([-1, -1], axis)
    padded = np.concatenate([first, levels, last], axis)
    parts = [padded[:, at : at + length] if axis else padded[at : at + length] for at in range(4)]
    total = parts[1] * np.int16(weights[1])
    for weight, part in zip(weights[::2] + weights[3:], parts[::2] + parts[3:], strict=True):
        total += part * np.int16(weight)
    total += 64
    total >>= 7
    return total


def resize(
    pixels: Pixels,
    size: Size,
    box: tuple[float, float, float, float] | None = None,
    *,
    sharp: bool = False,
) -> Pixels:
    """Return the part `box` (left, upper, right, lower) of an image, scaled to `size`.

    The default averages areas, which makes neighbouring tiles fit without a seam; `sharp` is
    Lanczos, better for single pictures. Enlarging is bilinear.
    """
    enlarges = box is not None and (box[2] - box[0] < size.width or box[3] - box[1] < size.height)
    how = Image.Resampling.LANCZOS if sharp else Image.Resampling.BOX
    if enlarges:
        how = Image.Resampling.BILINEAR
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((size.width, size.height), how, box=box))


class Average:
    """Averages of rectangles of `factor` pixels (across, down), summed up piece by piece.

    `size` is that of the whole source. Pieces may come in any order and cut rectangles anywhere;
    each pixel has to come once. Sums are exact for every factor.
    """

    def __init__(self, size: Size, factor: tuple[int, int]) -> None:
        self._size = size
        self._factor = factor
        shape = (-(-size.height // factor[1]), -(-size.width // factor[0]), 3)
        # The narrowest type that holds the largest sum.
        largest = 255 * factor[0] * factor[1]
        self._sums: npt.NDArray[np.unsignedinteger] = np.zeros(shape, np.min_scalar_type(largest))

    def add(self, pixels: Pixels, place: Region) -> None:
        """Add the pixels that lie at `place` of the source."""
        across, down = self._factor
        rows, first_row = _starts(place.y, place.bottom, down)
        columns, first_column = _starts(place.x, place.right, across)
        sums = np.add.reduceat(pixels, rows, axis=0, dtype=self._sums.dtype)
        sums = np.add.reduceat(sums, columns, axis=1, dtype=self._sums.dtype)
        self._sums[
            first_row : first_row + len(rows), first_column : first_column + len(columns)
        ] += sums

    def result(self) -> Pixels:
        """Return the averages, rounded to the nearest."""
        across, down = self._factor
        height, width = self._sums.shape[:2]
        rows = np.minimum(down, self._size.height - np.arange(height) * down)
        columns = np.minimum(across, self._size.width - np.arange(width) * across)
        # One row at a time: the sums of a whole picture would be widened at once.
        averages = np.empty(self._sums.shape, np.uint8)
        for row in range(height):
            counts = (rows[row] * columns)[:, None]
            averages[row] = (self._sums[row] + counts // 2) // counts
        return averages


def _starts(start: int, end: int, factor: int) -> tuple[npt.NDArray[np.intp], int]:
    """Return where rectangles begin within start..end, from `start`, and the first one's index."""
    first = start // factor
    edges = np.arange(first, -(-end // factor)) * factor - start
    return np.maximum(edges, 0), first
