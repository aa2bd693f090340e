"""Stored tiles to pixels: one function for all codecs, and the only caller of a decoder.

Each header is checked against what the file promised before a decoder sees a byte, because
decoders believe headers: 633 bytes can claim 12 GB.
"""

import io
import math
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from PIL import Image

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging import jpeg, jpeg2000, lzw
from wsi_streamer.imaging.color import Pixels, Samples, to_rgb
from wsi_streamer.imaging.joined_jpeg import join_tables
from wsi_streamer.imaging.low_resolution import find_low_resolution
from wsi_streamer.imaging.promise import check_samples, check_size
from wsi_streamer.imaging.resample import LARGEST_EXACT_FACTOR, reduce_by, shift
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Alpha, Codec, EncodedTile, Photometric, PixelLayout

BACKGROUND = 255
# How often `decode_tile` can halve: beyond this, averages are not exact.
MAX_REDUCE = LARGEST_EXACT_FACTOR.bit_length() - 1
# libjpeg makes of each block of 8 x 8 pixels one of 4, 2 or 1, from its lower frequencies.
MAX_JPEG_REDUCE = 3


def decode_tile(tile: EncodedTile, reduce: int = 0) -> Pixels:
    """Return the visible part of a stored tile as (height, width, 3) uint8, red, green, blue.

    `reduce` halves it so often, at most `MAX_REDUCE` times: by the codec where it can, which is
    cheaper than all the pixels, otherwise by averages. Sides are rounded up, and the last pixel
    is the average of what there is. A tile that the file leaves out is white. Raises DecodeError.
    """
    visible, factor = tile.visible, 1 << reduce
    if not tile.parts:
        shape = (-(-visible.height // factor), -(-visible.width // factor), 3)
        return np.full(shape, BACKGROUND, np.uint8)
    layout = tile.layout
    samples = 1 if layout.planar else layout.samples
    # A codec would mix the padding into a last pixel that is only partly visible.
    most = min(reduce, _count_halvings(visible.width, visible.height))
    if layout.planar or not _has_samples_to_average(layout):
        most = 0
    decoded = [_decode_part(part, layout, tile.size, samples, most) for part in tile.parts]
    done = decoded[0][1]
    height, width = visible.height >> done, visible.width >> done
    if any(part.shape[0] < height or part.shape[1] < width for part, _ in decoded):
        raise DecodeError("a tile holds fewer pixels than the file promises")
    parts = [part[:height, :width] for part, _ in decoded]
    pixels: Samples = np.dstack(parts) if len(parts) > 1 else parts[0]
    rest = factor >> done
    return reduce_by(to_rgb(pixels, layout), (rest, rest))


def _decode_part(
    data: bytes, layout: PixelLayout, size: Size, samples: int, reduce: int
) -> tuple[Samples, int]:
    """Return (height, width, samples) as stored, except that JPEG gives RGB for YCbCr.

    The number is how often the pixels are halved already: `reduce` times or less.
    """
    try:
        scaling = SCALING_DECODERS.get(layout.codec) if reduce else None
        if scaling:
            return scaling(data, layout, size, samples, reduce)
        return DECODERS[layout.codec](data, layout, size, samples), 0
    except DecodeError:
        raise
    except Exception as exc:
        # Codecs raise classes of their own and anything else on hostile input.
        raise DecodeError(f"cannot decode a {layout.codec.value} tile: {exc}") from exc


def _has_samples_to_average(layout: PixelLayout) -> bool:
    """Return whether averages of samples are those of colours.

    Between two places of a palette is any other colour, and hidden pixels must not count.
    """
    return layout.photometric is not Photometric.PALETTE and layout.alpha is Alpha.NONE


def _count_halvings(*sides: int) -> int:
    """Return how often all sides can be halved without a rest."""
    together = math.gcd(*sides)
    return (together & -together).bit_length() - 1


def _decode_jpeg(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    header = jpeg.parse_header(data)
    check_size("JPEG", header.width, header.height, size)
    check_samples(header.components, layout, samples)
    if layout.jpeg_tables:
        jpeg.check_tables(layout.jpeg_tables)
    # As libtiff does, the photometric tag decides, and an Adobe or JFIF marker does not.
    spaces = {Photometric.YCBCR: ("YCBCR", "RGB"), Photometric.RGB: ("RGB", "RGB")}
    stored, wanted = spaces.get(layout.photometric, ("GRAYSCALE", "GRAYSCALE"))
    if samples not in (1, 3) or (samples == 1) != (stored == "GRAYSCALE"):
        stored = wanted = "UNKNOWN" if samples != 1 else "GRAYSCALE"
    pixels = imagecodecs.jpeg8_decode(
        data, tables=layout.jpeg_tables or None, colorspace=stored, outcolorspace=wanted
    )
    if pixels.shape[:2] != (header.height, header.width):
        raise DecodeError(f"a JPEG tile decodes to {pixels.shape}, unlike its header")
    return _with_samples(pixels, samples)


def _decode_jpeg_scaled(
    data: bytes, layout: PixelLayout, size: Size, samples: int, reduce: int
) -> tuple[Samples, int]:
    """Decode with fewer frequencies, which imagecodecs does not offer and Pillow does."""
    # The modes of Pillow: what is stored, whatever the markers say, and what comes out.
    spaces = {
        (Photometric.YCBCR, 3): ("YCbCr", "RGB"),
        (Photometric.RGB, 3): ("RGB", "RGB"),
        (Photometric.BLACK_IS_ZERO, 1): ("L", "L"),
        (Photometric.WHITE_IS_ZERO, 1): ("L", "L"),
    }
    space = spaces.get((layout.photometric, samples))
    if not space:
        return _decode_jpeg(data, layout, size, samples), 0
    joined = join_tables(data, layout, size)
    width, height = joined.head.header.width, joined.head.header.height
    done = min(reduce, MAX_JPEG_REDUCE, _count_halvings(width, height))
    if not done:
        return _decode_jpeg(data, layout, size, samples), 0
    stored, mode = space
    shape = (width >> done, height >> done)
    image = Image.frombytes(mode, shape, joined.data, "jpeg", mode, stored, 1 << done, 0)
    return _with_samples(np.asarray(image), samples), done


def _decode_jpeg2000(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    return _decode_jpeg2000_scaled(data, layout, size, samples, 0)[0]


def _decode_jpeg2000_scaled(
    data: bytes, layout: PixelLayout, size: Size, samples: int, reduce: int
) -> tuple[Samples, int]:
    header = jpeg2000.parse_header(data)
    check_size("JPEG 2000", header.width, header.height, size)
    check_samples(header.components, layout, samples)
    # The lowest of several resolutions differs from averages by more than the one above it,
    # averaged: on real slides by 5.8 grey levels at a quarter of the size, instead of 0.9.
    left_out = min(reduce if reduce < 2 else reduce - 1, header.resolutions)
    left_out = min(left_out, _count_halvings(header.width, header.height))
    smaller = find_low_resolution(header.codestream, left_out) if left_out else None
    if smaller:
        pixels = shift(imagecodecs.jpeg2k_decode(smaller), left_out)
    elif header.subsampled or left_out:
        pixels = _open_jpeg2000(header, left_out)
    else:
        pixels = imagecodecs.jpeg2k_decode(header.codestream)
    if pixels.shape[:2] != (header.height >> left_out, header.width >> left_out):
        raise DecodeError(f"a JPEG 2000 tile decodes to {pixels.shape}, unlike its header")
    # A codestream does not name its colours; where chroma is stored at lower resolution, Pillow
    # takes it for YCbCr and converts, as OpenJPEG's own tools do.
    if layout.photometric is Photometric.YCBCR and not header.subsampled:
        pixels = np.asarray(Image.fromarray(pixels, mode="YCbCr").convert("RGB"))
    return _with_samples(pixels, samples), left_out


def _open_jpeg2000(header: jpeg2000.Jpeg2000Header, left_out: int) -> Pixels:
    """Return the pixels without the details of so many resolutions, in the place of averages."""
    with Image.open(io.BytesIO(header.codestream), formats=("JPEG2000",)) as image:
        if image.size != (header.width, header.height):
            raise DecodeError(f"a JPEG 2000 tile opens as {image.size}, unlike its header")
        if not left_out:
            return np.asarray(image)
        image.reduce = left_out  # type: ignore[method-assign, assignment]
        return shift(np.asarray(image), left_out)


def _decode_webp(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        check_size("WebP", image.width, image.height, size)
        # WebP drops an alpha channel that is opaque all over.
        return np.asarray(image.convert("RGBA" if samples == 4 else "RGB"))


def _byte_count(layout: PixelLayout, size: Size, samples: int) -> int:
    return size.pixels * samples * layout.bits // 8


def _from_bytes(data: bytes | bytearray, layout: PixelLayout, size: Size, samples: int) -> Samples:
    expected = _byte_count(layout, size, samples)
    if len(data) < expected:
        raise DecodeError(f"a {layout.codec.value} tile holds {len(data)} bytes, not {expected}")
    stored = np.dtype(np.uint8 if layout.bits == 8 else np.uint16)
    stored = stored.newbyteorder(">" if layout.big_endian else "<")
    pixels = np.frombuffer(data, stored, expected // stored.itemsize)
    pixels = pixels.reshape(size.height, size.width, samples)
    if layout.predictor == 2:
        # Horizontal differencing (TIFF 6.0, section 14): sums wrap around at the sample's width.
        return np.cumsum(pixels, axis=1, dtype=stored.newbyteorder("="))
    return pixels.astype(stored.newbyteorder("="), copy=False)


def _decode_lzw(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    row_bytes = _byte_count(layout, Size(size.width, 1), samples)
    return _from_bytes(lzw.decode(data, row_bytes, size.height), layout, size, samples)


def _decode_deflate(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    expected = _byte_count(layout, size, samples)
    return _from_bytes(zlib.decompressobj().decompress(data, expected), layout, size, samples)


def _decode_zstd(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    return _from_bytes(
        imagecodecs.zstd_decode(data, out=_byte_count(layout, size, samples)), layout, size, samples
    )


DECODERS: dict[Codec, Callable[[bytes, PixelLayout, Size, int], Samples]] = {
    Codec.JPEG: _decode_jpeg,
    Codec.JPEG2000: _decode_jpeg2000,
    Codec.WEBP: _decode_webp,
    Codec.RAW: _from_bytes,
    Codec.LZW: _decode_lzw,
    Codec.DEFLATE: _decode_deflate,
    Codec.ZSTD: _decode_zstd,
}


SCALING_DECODERS: dict[
    Codec, Callable[[bytes, PixelLayout, Size, int, int], tuple[Samples, int]]
] = {
    Codec.JPEG: _decode_jpeg_scaled,
    Codec.JPEG2000: _decode_jpeg2000_scaled,
}


def _with_samples(pixels: Pixels, samples: int) -> Pixels:
    shaped = pixels.reshape(*pixels.shape[:2], -1)
    if shaped.dtype != np.uint8 or shaped.shape[2] != samples:
        raise DecodeError(f"a tile decodes to {shaped.shape[2]} samples, not {samples}")
    return shaped
