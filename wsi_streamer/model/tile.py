"""Tiles: where they are, how they are stored, and what leaves the server."""

from dataclasses import dataclass
from enum import Enum

from wsi_streamer.model.geometry import Size


class Codec(Enum):
    """How the bytes of a stored tile are compressed."""

    RAW = "none"
    JPEG = "JPEG"
    JPEG2000 = "JPEG 2000"
    LZW = "LZW"
    DEFLATE = "Deflate"
    ZSTD = "ZSTD"
    WEBP = "WebP"


class Photometric(Enum):
    """What the samples of a stored pixel mean (TIFF 6.0, PhotometricInterpretation)."""

    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    YCBCR = 6


class Alpha(Enum):
    """What the sample behind the colours means (TIFF 6.0, ExtraSamples)."""

    NONE = "none"
    PREMULTIPLIED = "premultiplied"
    STRAIGHT = "straight"


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """Everything that decoding a stored tile needs besides its bytes; the same for a whole level.

    `samples` counts all samples of a pixel, extra ones included. With `planar`, each sample is
    stored as a tile of its own. `palette` holds 256 x 3 bytes, red, green, blue.
    """

    codec: Codec
    photometric: Photometric
    samples: int = 3
    bits: int = 8
    alpha: Alpha = Alpha.NONE
    planar: bool = False
    predictor: int = 1
    big_endian: bool = False
    jpeg_tables: bytes = b""
    palette: bytes = b""


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """A tile as the file stores it, not decoded.

    `parts` is one byte string, or one for each sample where the layout is planar; it is empty
    for a tile that the file leaves out, which shows the background. `size` is that of the stored
    tile, padding included; `visible` the part of it, at its upper left, that lies in the level.
    """

    parts: tuple[bytes, ...]
    layout: PixelLayout
    size: Size
    visible: Size


@dataclass(frozen=True, slots=True)
class TileAddress:
    """One served tile of one level of a slide."""

    level: int
    col: int
    row: int


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """An encoded image on its way out; `etag` names its bytes, without quotes.

    `is_source`: the compressed pixels are those of the file, and `quality` is estimated from
    them. `is_unchanged`: who asked has these bytes already, and `data` is empty.
    """

    data: bytes
    media_type: str
    quality: int
    etag: str
    cache_hit: bool
    is_source: bool = False
    is_unchanged: bool = False
