"""Small slides painted with known colours, written byte by byte, without any code of ours.

`write_tiff` writes any TIFF file, broken ones too; `make_svs` and `make_pyramid` write slides and
return what they show. tifffile alone would hide errors: it puts IFDs first and names the
components of RGB in JPEG, which neither libtiff nor Aperio does.
"""

from tests.slides.page import (
    DEFLATE,
    EVERYWHERE,
    JPEG,
    JPEG2000,
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    LZW,
    NONE,
    OLD_DEFLATE,
    WEBP,
    ZSTD,
    Jpeg,
    Page,
    Tag,
)
from tests.slides.paint import flat, gradient, reduced, shown
from tests.slides.recipes import Painted, make_pyramid, make_svs
from tests.slides.writer import write_tiff

__all__ = [
    "DEFLATE",
    "EVERYWHERE",
    "JPEG",
    "JPEG2000",
    "JPEG2000_RGB",
    "JPEG2000_YCBCR",
    "LZW",
    "NONE",
    "OLD_DEFLATE",
    "WEBP",
    "ZSTD",
    "Jpeg",
    "Page",
    "Painted",
    "Tag",
    "flat",
    "gradient",
    "make_pyramid",
    "make_svs",
    "reduced",
    "shown",
    "write_tiff",
]
