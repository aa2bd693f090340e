"""Encodes pixels as the tiles and strips of a TIFF page."""

import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np

from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.errors import EncodeError
from wsi_streamer.model.geometry import Size

# JPEG markers (ITU-T T.81, table B.1): tables go into the TIFF tag, application data nowhere.
_TABLES = (0xDB, 0xC4)
_SCAN = 0xDA
_APPLICATION = range(0xE0, 0xF0)


class JpegCoder:
    """Encodes abbreviated JPEG streams, YCbCr 4:2:2, that share `tables` (TIFF tag 347)."""

    def __init__(self, quality: int) -> None:
        self.quality = quality
        self.tables, _ = self._encode(np.zeros((16, 16, 3), np.uint8))

    def encode(self, pixels: Bytes) -> bytes:
        """Return the stream of an image, without tables. Raises EncodeError."""
        tables, stream = self._encode(pixels)
        if tables != self.tables:
            raise EncodeError("the JPEG encoder did not keep to the shared tables")
        return stream

    def strips(self, pixels: Bytes, rows: int) -> Iterator[bytes]:
        """Yield the streams of an image cut into strips."""
        for top in range(0, len(pixels), rows):
            yield self.encode(np.ascontiguousarray(pixels[top : top + rows]))

    def tiles(self, pixels: Bytes, tile: Size) -> Iterator[bytes]:
        """Yield the streams of an image cut into tiles; the last ones repeat its edge."""
        missing = -pixels.shape[0] % tile.height, -pixels.shape[1] % tile.width
        padded = np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        for top in range(0, padded.shape[0], tile.height):
            for left in range(0, padded.shape[1], tile.width):
                part = padded[top : top + tile.height, left : left + tile.width]
                yield self.encode(np.ascontiguousarray(part))

    def _encode(self, pixels: Bytes) -> tuple[bytes, bytes]:
        try:
            whole = imagecodecs.jpeg8_encode(
                pixels,
                level=self.quality,
                colorspace="RGB",
                outcolorspace="YCBCR",
                subsampling="422",
                optimize=False,
            )
        except imagecodecs.Jpeg8Error as exc:
            raise EncodeError(f"JPEG encoding failed: {exc}") from exc
        return _split(bytes(whole))


def _split(whole: bytes) -> tuple[bytes, bytes]:
    """Return the tables and the rest of a JPEG file, each a valid stream."""
    tables = rest = b"\xff\xd8"
    at = 2
    while whole[at + 1] != _SCAN:
        marker, length = struct.unpack_from(">xBH", whole, at)
        segment = whole[at : at + 2 + length]
        if marker in _TABLES:
            tables += segment
        elif marker not in _APPLICATION:
            rest += segment
        at += 2 + length
    return tables + b"\xff\xd9", rest + whole[at:]


def lzw_strips(pixels: Bytes, rows: int) -> Iterator[bytes]:
    """Yield the strips of an image as LZW of the differences between neighbours (predictor 2)."""
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]
    for top in range(0, len(pixels), rows):
        yield bytes(imagecodecs.lzw_encode(differences[top : top + rows].tobytes()))
