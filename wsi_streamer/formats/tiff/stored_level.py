"""One level as a TIFF file stores it: where its tiles or strips lie and how they are compressed."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wsi_streamer.errors import DecodeError, UnsupportedFormat
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.tiff.directory import Ifd
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import Alpha, Codec, Photometric, PixelLayout

# Compression (tag 259). 33003 and 33005 are Aperio's JPEG 2000, in YCbCr and in RGB; 34712 is
# the registered JPEG 2000; 32946 is the old number of Deflate.
CODECS = {
    1: Codec.RAW,
    5: Codec.LZW,
    7: Codec.JPEG,
    8: Codec.DEFLATE,
    32946: Codec.DEFLATE,
    33003: Codec.JPEG2000,
    33005: Codec.JPEG2000,
    34712: Codec.JPEG2000,
    50000: Codec.ZSTD,
    50001: Codec.WEBP,
}
REFUSED_CODECS = {
    2: "CCITT RLE",
    3: "CCITT T.4",
    4: "CCITT T.6",
    6: "old-style JPEG",
    9: "JBIG",
    10: "JBIG",
    32773: "PackBits",
    33007: "JPEG 2000 of ALT",
    34661: "JBIG",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34925: "LZMA",
    34926: "ZSTD of NDPI",
    34934: "JPEG XR",
    22610: "JPEG XR",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
APERIO_JPEG2000_YCBCR = 33003
TILE_OVERHEAD = 65536
MAX_TILE_BYTES = 16 * 1024 * 1024
STRIP_ROWS = 256


@dataclass(frozen=True)
class StoredLevel:
    """The tiles (or strips) of one IFD.

    `offsets` and `byte_counts` hold one number a tile, row by row, and for planar files once
    for each sample, one sample after another.
    """

    grid: TileGrid
    layout: PixelLayout
    is_stripped: bool
    offsets: npt.NDArray[np.uint64]
    byte_counts: npt.NDArray[np.uint64]

    def ranges(self, col: int, row: int, file_size: int) -> list[tuple[int, int]]:
        """Return (offset, length) of each part of a tile; none for a tile that is left out.

        Raises DecodeError for a tile that cannot be where the file says it is.
        """
        index = row * self.grid.columns + col
        stride = self.grid.columns * self.grid.rows
        planes = self.layout.samples if self.layout.planar else 1
        places = [
            (int(self.offsets[index + i * stride]), int(self.byte_counts[index + i * stride]))
            for i in range(planes)
        ]
        # Sparse files leave tiles out: both numbers, or just the length, are 0 (GDAL, libtiff).
        if all(length == 0 for _, length in places):
            return []
        for offset, length in places:
            self._check_place(offset, length, file_size)
        return places

    def _check_place(self, offset: int, length: int, file_size: int) -> None:
        raw = self.grid.tile.pixels * self.layout.samples * self.layout.bits // 8
        if length > max(MAX_TILE_BYTES, raw) or length > 4 * raw + TILE_OVERHEAD:
            raise DecodeError(f"a tile claims {length} bytes, far more than its pixels need")
        if offset < 8 or not length or offset + length > file_size:
            raise DecodeError(
                f"a tile lies at {offset} + {length} bytes, the file has {file_size}: "
                "was it copied completely?"
            )


def read_level(ifd: Ifd, *, is_big_endian: bool, limits: Limits) -> StoredLevel:
    """Return the level that an IFD describes; raises UnsupportedFormat with the reason."""
    size = Size(ifd.number(256), ifd.number(257))
    if not (0 < size.width < 2**31 and 0 < size.height < 2**31):
        raise UnsupportedFormat(f"The TIFF image has an impossible size {size}")
    layout = _read_layout(ifd, is_big_endian)
    if layout.codec is Codec.JPEG2000 and not limits.jpeg2000:
        raise UnsupportedFormat("JPEG 2000 is switched off on this server (WSI_JPEG2000)")
    is_stripped = 322 not in ifd.tags
    tile = _strip_size(ifd, size) if is_stripped else Size(ifd.number(322), ifd.number(323))
    grid = _check_grid(TileGrid(size, tile), is_stripped, limits)
    offsets = ifd.numbers(273 if is_stripped else 324)
    counts = ifd.numbers(279 if is_stripped else 325)
    wanted = grid.columns * grid.rows * (layout.samples if layout.planar else 1)
    if len(offsets) < wanted or len(counts) < wanted:
        raise UnsupportedFormat(
            f"The TIFF image names {min(len(offsets), len(counts))} tiles or strips, not {wanted}"
        )
    level = StoredLevel(grid, layout, is_stripped, offsets[:wanted], counts[:wanted])
    return _cut_strips(level) if is_stripped else level


def _strip_size(ifd: Ifd, size: Size) -> Size:
    # RowsPerStrip is by default "infinite": the image is one strip (TIFF 6.0, page 39).
    rows = ifd.number(278, size.height)
    return Size(size.width, min(rows if rows > 0 else size.height, size.height))


def _check_grid(grid: TileGrid, is_stripped: bool, limits: Limits) -> TileGrid:
    tile, side = grid.tile, limits.max_tile_side
    if tile.width < 1 or tile.height < 1:
        raise UnsupportedFormat(f"The TIFF image has tiles of {tile.width} x {tile.height} pixels")
    if not is_stripped and max(tile.width, tile.height) > side:
        raise UnsupportedFormat(
            f"Tiles of {tile.width} x {tile.height} pixels are larger than {side} "
            "(WSI_MAX_TILE_SIDE)"
        )
    if grid.columns * grid.rows > limits.max_tiles:
        raise UnsupportedFormat(
            f"A level of {grid.columns * grid.rows} tiles is more than {limits.max_tiles} "
            "(WSI_MAX_TILES)"
        )
    return grid


def _cut_strips(level: StoredLevel) -> StoredLevel:
    """Return a level of strips with long uncompressed strips cut to about 256 rows.

    Rows of uncompressed pixels lie one behind the other, so any of them can be read alone.
    """
    grid, layout = level.grid, level.layout
    rows = grid.tile.height
    is_raw = layout.codec is Codec.RAW and layout.predictor == 1 and not layout.planar
    if rows <= STRIP_ROWS or not is_raw:
        return level
    # Only a divisor keeps all pieces but the last of the image equally high.
    is_single = grid.rows == 1
    pieces = [n for n in range(STRIP_ROWS, 15, -1) if rows % n == 0]
    if not is_single and not pieces:
        return level
    height = STRIP_ROWS if is_single else pieces[0]
    cut = TileGrid(grid.image, Size(grid.tile.width, height))
    row_bytes = grid.image.width * layout.samples * layout.bits // 8
    first_rows = np.arange(cut.rows, dtype=np.uint64) * np.uint64(height)
    strip = first_rows // np.uint64(rows)
    within = (first_rows - strip * np.uint64(rows)) * np.uint64(row_bytes)
    left = level.byte_counts[strip].astype(np.int64) - within.astype(np.int64)
    offsets = np.where(left > 0, level.offsets[strip] + within, 0).astype(np.uint64)
    counts = np.clip(left, 0, height * row_bytes).astype(np.uint64)
    return replace(level, grid=cut, offsets=offsets, byte_counts=counts)


def _read_layout(ifd: Ifd, is_big_endian: bool) -> PixelLayout:
    codec = _read_codec(ifd)
    bits = set(ifd.numbers(258).tolist()) or {1}
    samples = ifd.number(277, 1)
    layout = PixelLayout(
        codec=codec,
        photometric=_read_photometric(ifd),
        samples=samples,
        bits=bits.pop() if len(bits) == 1 else 0,
        alpha=_read_alpha(ifd),
        planar=ifd.number(284, 1) == 2 and samples > 1,
        predictor=ifd.number(317, 1),
        big_endian=is_big_endian,
        jpeg_tables=ifd.data(347) if codec is Codec.JPEG else b"",
        palette=_read_palette(ifd),
    )
    for is_wrong, reason in LAYOUT_CHECKS:
        if is_wrong(layout):
            raise UnsupportedFormat(f"Unsupported pixels: {reason}")
    # SampleFormat: 1 is unsigned, and what most writers leave out.
    if set(ifd.numbers(339).tolist()) - {1, 4}:
        raise UnsupportedFormat(
            "Unsupported pixels: signed or floating-point samples need a display window"
        )
    if ifd.number(266, 1) != 1 and codec in (Codec.RAW, Codec.LZW):
        raise UnsupportedFormat("Unsupported pixels: bits in reverse order (FillOrder 2)")
    return layout


IMAGE_CODECS = (Codec.JPEG, Codec.JPEG2000, Codec.WEBP)
LAYOUT_CHECKS: tuple[tuple[Callable[[PixelLayout], bool], str], ...] = (
    (lambda it: it.bits not in (8, 16), "only 8 and 16 bits per sample are supported"),
    (lambda it: not 1 <= it.samples <= 4, "only 1 to 4 samples per pixel are supported"),
    (
        lambda it: it.bits != 8 and it.codec in IMAGE_CODECS,
        "JPEG, JPEG 2000 and WebP are supported with 8 bits per sample",
    ),
    (
        lambda it: it.photometric is Photometric.PALETTE and (it.bits != 8 or not it.palette),
        "a palette of 8 bits is needed",
    ),
    (
        lambda it: it.photometric in (Photometric.RGB, Photometric.YCBCR) and it.samples < 3,
        "colour needs three samples per pixel",
    ),
    (
        lambda it: it.photometric is Photometric.YCBCR and it.codec not in IMAGE_CODECS,
        "YCbCr is supported in JPEG, JPEG 2000 and WebP",
    ),
    (
        lambda it: it.photometric is Photometric.YCBCR and it.planar,
        "YCbCr in separate planes",
    ),
    (lambda it: it.predictor not in (1, 2), "floating-point predictor"),
)


def _read_codec(ifd: Ifd) -> Codec:
    number = ifd.number(259, 1)
    if number not in CODECS:
        name = REFUSED_CODECS.get(number, f"number {number}")
        raise UnsupportedFormat(
            f"Unsupported compression: {name} (JPEG, JPEG 2000, LZW, Deflate, ZSTD, WebP and "
            "none are supported)"
        )
    return CODECS[number]


def _read_photometric(ifd: Ifd) -> Photometric:
    number = ifd.number(262, 1)
    if ifd.number(259) == APERIO_JPEG2000_YCBCR:
        return Photometric.YCBCR
    try:
        return Photometric(number)
    except ValueError:
        raise UnsupportedFormat(
            f"Unsupported pixels: photometric interpretation {number}"
        ) from None


def _read_alpha(ifd: Ifd) -> Alpha:
    extra = ifd.numbers(338).tolist()
    return {1: Alpha.PREMULTIPLIED, 2: Alpha.STRAIGHT}.get(extra[0] if extra else 0, Alpha.NONE)


def _read_palette(ifd: Ifd) -> bytes:
    values = ifd.numbers(320)
    if ifd.number(262, 1) != Photometric.PALETTE.value or len(values) != 768:
        return b""
    # All reds, then all greens, then all blues, of 16 bits.
    return (values.reshape(3, 256).T >> np.uint64(8)).astype(np.uint8).tobytes()
