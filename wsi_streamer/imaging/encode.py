"""Pixels to the image formats that leave the server."""

import io
from collections.abc import Sequence

import imagecodecs
import numpy as np
from PIL import Image

from wsi_streamer.errors import EncodeError
from wsi_streamer.imaging.color import Pixels
from wsi_streamer.imaging.quantisation import Steps, scaled_luminance

# Who asks for this or more wants the colours: halved chroma, coarsely quantised as the usual
# tables do it, is then most of the error. From here on chroma keeps its full resolution and is
# quantised half as coarsely as luminance: on real slides at quality 95, that brings the mean
# error from up to 3.3 grey levels to at most 1.9, for a third more bytes.
FINE_QUALITY = 90

# What Pillow calls the sampling factors of the first of three components, if others have 1 x 1.
SUBSAMPLINGS = {b"\x11\x11\x11": 0, b"\x21\x11\x11": 1, b"\x22\x11\x11": 2}


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
    steps = (scaled_luminance(quality), scaled_luminance(100 - (100 - quality) // 2))
    tables = [list(table) for table in steps]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", qtables=tables, subsampling=0)
    return file.getvalue()


def encode_like(pixels: Pixels, steps: Sequence[Steps], sampling: bytes, *, is_rgb: bool) -> bytes:
    """Return a baseline JPEG quantised as another one is; raises EncodeError.

    `pixels` are (height, width), or (height, width, 3) of red, green and blue. `steps` and
    `sampling` are the quantisation table and the sampling factors of each component; unusual
    factors become 1 x 1, as all do with `is_rgb`: components are red, green and blue, not YCbCr.
    """
    file = io.BytesIO()
    try:
        Image.fromarray(np.ascontiguousarray(pixels)).save(
            file,
            "JPEG",
            qtables=[list(table) for table in steps],
            # Pillow subsamples chroma only.
            subsampling=0 if is_rgb else SUBSAMPLINGS.get(sampling, 0),
            keep_rgb=is_rgb,
        )
    except Exception as exc:
        # Pillow raises anything for tables that it cannot use.
        raise EncodeError(f"cannot encode JPEG: {exc}") from exc
    return file.getvalue()
