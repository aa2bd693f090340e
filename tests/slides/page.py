"""Page: one image of a TIFF file, described by what a writer has to know."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# Compression (tag 259).
NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE = 1, 5, 7, 8, 32946
JPEG2000_YCBCR, JPEG2000_RGB, JPEG2000 = 33003, 33005, 34712
ZSTD, WEBP = 50000, 50001
LOSSLESS = (NONE, LZW, DEFLATE, OLD_DEFLATE, ZSTD)

# PhotometricInterpretation (tag 262).
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6

# ExtraSamples (tag 338).
UNSPECIFIED, PREMULTIPLIED, STRAIGHT = 0, 1, 2

# Types of tag values (TIFF 6.0, page 15; LONG8 is BigTIFF's).
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, LONG8 = 1, 2, 3, 4, 5, 7, 12, 16


class _Everywhere:
    def __contains__(self, place: object) -> bool:
        return True


# As `Page.sparse`: no tile at all is stored.
EVERYWHERE = _Everywhere()


@dataclass(frozen=True)
class Tag:
    """The value of a tag: bytes, or numbers ((numerator, denominator) for RATIONAL).

    `count` is what the file claims, if that is not how many there are.
    """

    kind: int
    values: bytes | tuple[int | float | tuple[int, int], ...]
    count: int | None = None


@dataclass(frozen=True)
class Jpeg:
    """How JPEG tiles are written; the defaults are libtiff's ways, at a high quality.

    Libtiff numbers components 1, 2, 3 and writes no marker that tells RGB from YCbCr; tifffile
    numbers them b"RGB". `adobe` is the transform of an Adobe marker: 0 is RGB, 1 is YCbCr.
    """

    quality: int = 95
    subsampling: str = "444"
    shared_tables: bool = True
    component_ids: bytes = b"\x01\x02\x03\x04"
    adobe: int | None = None


@dataclass(frozen=True)
class Page:
    """One image: its pixels, (height, width) or (height, width, samples), and how to store them.

    `tile` is (width, height); None stores strips of `rows_per_strip`. Tiles at (col, row) in
    `sparse` are left out (offset 0, byte count 0). `tile_data` replaces stored tiles, `tags` adds
    tags, and `overrides` has the last word on any tag: None removes it. `next_page` is the number
    of the page that the chain goes on with, if not with the one behind it.
    """

    pixels: npt.NDArray[np.generic]
    tile: tuple[int, int] | None = (256, 256)
    rows_per_strip: int | None = None
    compression: int = JPEG
    photometric: int = RGB
    planar: bool = False
    predictor: int = 1
    jpeg: Jpeg = Jpeg()
    jpeg2000_subsampled: bool = False
    extra_samples: tuple[int, ...] = ()
    palette: npt.NDArray[np.uint8] | None = None
    subfile_type: int = 0
    description: str | None = None
    resolution: tuple[tuple[int, int], int] | None = None
    sparse: Container[tuple[int, int]] = frozenset()
    tile_data: Mapping[tuple[int, int], bytes] = field(default_factory=dict)
    tags: Mapping[int, Tag] = field(default_factory=dict)
    overrides: Mapping[int, Tag | None] = field(default_factory=dict)
    next_page: int | None = None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.pixels.shape[0]

    @property
    def samples(self) -> int:
        """Samples per pixel, extra ones included."""
        return self.pixels.shape[2] if self.pixels.ndim == 3 else 1

    @property
    def bits(self) -> int:
        """Bits per sample."""
        return self.pixels.dtype.itemsize * 8

    @property
    def segment(self) -> tuple[int, int]:
        """Width and height of a stored tile or strip."""
        return self.tile or (self.width, min(self.rows_per_strip or self.height, self.height))

    @property
    def columns(self) -> int:
        """Number of tiles from left to right."""
        return -(-self.width // self.segment[0])

    @property
    def rows(self) -> int:
        """Number of tiles or strips from top to bottom."""
        return -(-self.height // self.segment[1])
