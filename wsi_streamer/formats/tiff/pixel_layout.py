"""How the pixels of one IFD are stored, and why some kinds of pixels are refused."""

from collections.abc import Callable

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.tiff.directory import Ifd
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


def read_layout(ifd: Ifd, *, is_big_endian: bool) -> PixelLayout:
    """Return how an IFD's pixels are stored; raises UnsupportedFormat with the reason."""
    codec = _read_codec(ifd)
    bits = set(ifd.numbers(258)) or {1}
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
    check_layout(layout)
    # SampleFormat: 1 is unsigned, and what most writers leave out.
    if set(ifd.numbers(339)) - {1, 4}:
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
    (
        lambda it: (
            it.photometric is Photometric.YCBCR and it.samples != 3 and it.codec is not Codec.WEBP
        ),
        "YCbCr has three samples per pixel",
    ),
    (lambda it: it.predictor not in (1, 2), "floating-point predictor"),
)


def check_layout(layout: PixelLayout) -> None:
    """Raise UnsupportedFormat, with the reason, for pixels that cannot be decoded."""
    for is_wrong, reason in LAYOUT_CHECKS:
        if is_wrong(layout):
            raise UnsupportedFormat(f"Unsupported pixels: {reason}")


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
    return {1: Alpha.PREMULTIPLIED, 2: Alpha.STRAIGHT}.get(ifd.number(338), Alpha.NONE)


def _read_palette(ifd: Ifd) -> bytes:
    values = ifd.numbers(320)
    if ifd.number(262, 1) != Photometric.PALETTE.value or len(values) != 768:
        return b""
    # All reds, then all greens, then all blues, of 16 bits.
    return bytes(min(values[i + color * 256] >> 8, 255) for i in range(256) for color in range(3))
