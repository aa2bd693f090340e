"""Pixels to the image formats that leave the server."""

import imagecodecs
import numpy as np

from wsi_streamer.errors import EncodeError
from wsi_streamer.imaging.color import Pixels

# From this quality on, chroma keeps its full resolution: who asks for 90 wants the colours.
FULL_CHROMA_QUALITY = 90


def encode_jpeg(pixels: Pixels, quality: int) -> bytes:
    """Return a baseline JPEG of (height, width, 3) pixels; raises EncodeError."""
    subsampling = "444" if quality >= FULL_CHROMA_QUALITY else "420"
    try:
        return bytes(
            imagecodecs.jpeg8_encode(
                np.ascontiguousarray(pixels),
                level=quality,
                colorspace="RGB",
                outcolorspace="YCBCR",
                subsampling=subsampling,
            )
        )
    except Exception as exc:
        # The codec raises classes of its own.
        raise EncodeError(f"cannot encode JPEG: {exc}") from exc
