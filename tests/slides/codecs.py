"""Pixels of one tile to the bytes that a TIFF file stores, for each compression."""

import zlib

import imagecodecs
import numpy as np
import numpy.typing as npt

from tests.slides import jpeg2000
from tests.slides.jpeg import rewritten, tables_of
from tests.slides.page import (
    BLACK_IS_ZERO,
    DEFLATE,
    JPEG,
    JPEG2000,
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    LOSSLESS,
    LZW,
    NONE,
    OLD_DEFLATE,
    WEBP,
    WHITE_IS_ZERO,
    YCBCR,
    ZSTD,
    Page,
)

Samples = npt.NDArray[np.generic]
# Padding of edge tiles where nothing is lost by a sharp edge: whoever shows it is wrong.
PADDING = 77


def encode_segments(page: Page, byte_order: str) -> tuple[list[bytes | None], bytes]:
    """Return the stored tiles or strips in the order of the offsets, and the JPEG tables.

    A tile that is left out is None.
    """
    stored = page.pixels.reshape(page.height, page.width, page.samples)
    planes = [stored[..., [i]] for i in range(page.samples)] if page.planar else [stored]
    segments: list[bytes | None] = []
    tables = b""
    for plane in planes:
        for row in range(page.rows):
            for col in range(page.columns):
                if (col, row) in page.sparse:
                    segments.append(None)
                    continue
                data = encode(page, cut(page, plane, col, row), byte_order)
                if page.compression == JPEG and page.jpeg.shared_tables:
                    tables = tables_of(data)
                if page.compression == JPEG:
                    data = rewritten(data, page.jpeg)
                segments.append(page.tile_data.get((col, row), data))
    return segments, tables


def cut(page: Page, plane: Samples, col: int, row: int) -> Samples:
    """Return one tile with its padding, or one strip, of which the last has none."""
    width, height = page.segment
    piece = plane[row * height : (row + 1) * height, col * width : (col + 1) * width]
    if page.tile is None:
        return piece
    missing = ((0, height - piece.shape[0]), (0, width - piece.shape[1]), (0, 0))
    if page.compression in LOSSLESS:
        return np.pad(piece, missing, constant_values=PADDING)
    return np.pad(piece, missing, mode="edge")


def encode(page: Page, piece: Samples, byte_order: str) -> bytes:
    """Return one tile or strip, compressed; JPEG as a complete stream."""
    piece = np.ascontiguousarray(piece)
    if page.compression in LOSSLESS:
        return _compress(page.compression, _to_bytes(piece, page.predictor, byte_order))
    if page.compression == JPEG:
        return _encode_jpeg(page, piece)
    if page.compression == WEBP:
        return bytes(imagecodecs.webp_encode(piece, lossless=True))
    if page.compression == JPEG2000_YCBCR:
        return jpeg2000.encode_ycbcr(piece, subsampled=page.jpeg2000_subsampled)
    if page.compression in (JPEG2000_RGB, JPEG2000):
        return jpeg2000.encode(piece)
    raise ValueError(f"compression {page.compression}: use `overrides` to claim it")


def _to_bytes(piece: Samples, predictor: int, byte_order: str) -> bytes:
    if predictor == 2:
        # Horizontal differencing (TIFF 6.0, section 14), wrapping around.
        differences = piece.copy()
        differences[:, 1:] -= piece[:, :-1]
        piece = differences
    return piece.astype(piece.dtype.newbyteorder(byte_order)).tobytes()


def _compress(compression: int, data: bytes) -> bytes:
    if compression == NONE:
        return data
    if compression == LZW:
        return bytes(imagecodecs.lzw_encode(data))
    if compression in (DEFLATE, OLD_DEFLATE):
        return zlib.compress(data)
    assert compression == ZSTD
    return bytes(imagecodecs.zstd_encode(data))


def _encode_jpeg(page: Page, piece: Samples) -> bytes:
    samples = piece.shape[2]
    if samples == 1 or page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO):
        space = "GRAYSCALE" if samples == 1 else "UNKNOWN"
        piece = piece[..., 0] if samples == 1 else piece
        encoded = imagecodecs.jpeg8_encode(
            np.ascontiguousarray(piece),
            level=page.jpeg.quality,
            colorspace=space,
            outcolorspace=space,
        )
        return bytes(encoded)
    if samples > 3:
        raise ValueError("JPEG with an alpha sample is not written here")
    # RGB that is stored untouched is handed over as if it were YCbCr already.
    return bytes(
        imagecodecs.jpeg8_encode(
            piece,
            level=page.jpeg.quality,
            colorspace="RGB" if page.photometric == YCBCR else "YCBCR",
            outcolorspace="YCBCR",
            subsampling=page.jpeg.subsampling,
        )
    )
