"""Stored tiles to pixels: one function for all codecs, and the only caller of a decoder.

Each header is checked against what the file promised before a decoder sees a byte, because
decoders believe headers: 633 bytes can claim 12 GB.
"""

import io
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np
from PIL import Image

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging import jpeg, jpeg2000, lzw
from wsi_streamer.imaging.color import Pixels, Samples, to_rgb
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout

BACKGROUND = 255


def decode_tile(tile: EncodedTile) -> Pixels:
    """Return the visible part of a stored tile as (height, width, 3) uint8, red, green, blue.

    A tile that the file leaves out is white. Raises DecodeError.
    """
    height, width = tile.visible.height, tile.visible.width
    if not tile.parts:
        return np.full((height, width, 3), BACKGROUND, np.uint8)
    layout = tile.layout
    samples = 1 if layout.planar else layout.samples
    parts = [_decode_part(part, layout, tile.size, samples) for part in tile.parts]
    if any(part.shape[0] < height or part.shape[1] < width for part in parts):
        raise DecodeError("a tile holds fewer pixels than the file promises")
    parts = [part[:height, :width] for part in parts]
    pixels: Samples = np.dstack(parts) if len(parts) > 1 else parts[0]
    return to_rgb(pixels, layout)


def _decode_part(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    """Return (height, width, samples) as stored, except that JPEG gives RGB for YCbCr."""
    try:
        return DECODERS[layout.codec](data, layout, size, samples)
    except DecodeError:
        raise
    except Exception as exc:
        # Codecs raise classes of their own and anything else on hostile input.
        raise DecodeError(f"cannot decode a {layout.codec.value} tile: {exc}") from exc


def _check_size(name: str, width: int, height: int, size: Size) -> None:
    if width > size.width or height > size.height:
        raise DecodeError(
            f"a {name} tile says {width} x {height} pixels, "
            f"the file says {size.width} x {size.height}"
        )


def _check_samples(components: int, layout: PixelLayout, samples: int) -> None:
    name = layout.codec.value
    if components != samples:
        raise DecodeError(f"a {name} tile has {components} components, not {samples}")
    if layout.photometric is Photometric.YCBCR and samples != 3:
        raise DecodeError(f"a {name} tile of {samples} samples cannot be YCbCr")


def _decode_jpeg(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    header = jpeg.parse_header(data)
    _check_size("JPEG", header.width, header.height, size)
    _check_samples(header.components, layout, samples)
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


def _decode_jpeg2000(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    header = jpeg2000.parse_header(data)
    _check_size("JPEG 2000", header.width, header.height, size)
    _check_samples(header.components, layout, samples)
    with Image.open(io.BytesIO(header.codestream), formats=("JPEG2000",)) as image:
        if image.size != (header.width, header.height):
            raise DecodeError(f"a JPEG 2000 tile opens as {image.size}, unlike its header")
        pixels = np.asarray(image)
    # A codestream does not name its colours; where chroma is stored at lower resolution, Pillow
    # takes it for YCbCr and converts, as OpenJPEG's own tools do.
    if layout.photometric is Photometric.YCBCR and not header.subsampled:
        pixels = np.asarray(Image.fromarray(pixels, mode="YCbCr").convert("RGB"))
    return _with_samples(pixels, samples)


def _decode_webp(data: bytes, layout: PixelLayout, size: Size, samples: int) -> Samples:
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        _check_size("WebP", image.width, image.height, size)
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


def _with_samples(pixels: Pixels, samples: int) -> Pixels:
    shaped = pixels.reshape(*pixels.shape[:2], -1)
    if shaped.dtype != np.uint8 or shaped.shape[2] != samples:
        raise DecodeError(f"a tile decodes to {shaped.shape[2]} samples, not {samples}")
    return shaped
