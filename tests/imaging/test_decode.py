"""Hostile and damaged tiles: one clear error, no huge allocation, never a wrong pixel."""

import contextlib
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.encode import encode_jpeg
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout

RGB = np.random.default_rng(5).integers(0, 256, (64, 64, 3), dtype=np.uint8)
SIZE = Size(64, 64)


def tile(data, codec, size=SIZE, **layout):
    layout = {"photometric": Photometric.RGB, **layout}
    return EncodedTile((data,), PixelLayout(codec, **layout), size, size)


def jpeg(**options):
    return imagecodecs.jpeg8_encode(RGB, level=90, colorspace="RGB", outcolorspace="RGB", **options)


def with_jpeg_size(data, width, height):
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def jpeg2000():
    return imagecodecs.jpeg2k_encode(RGB, codecformat="j2k", reversible=True)


def with_jpeg2000_size(data, width, height):
    at = data.index(b"\xff\x51") + 6
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


BOMBS = {
    "jpeg-says-65500": (with_jpeg_size(jpeg(), 65500, 65500), Codec.JPEG),
    "jpeg-says-65": (with_jpeg_size(jpeg(), 65, 64), Codec.JPEG),
    "jpeg-2000-says-60000": (with_jpeg2000_size(jpeg2000(), 60000, 60000), Codec.JPEG2000),
    "deflate-of-zeros": (zlib.compress(bytes(50_000_000)), Codec.DEFLATE),
    "zstd-of-zeros": (imagecodecs.zstd_encode(bytes(50_000_000)), Codec.ZSTD),
    "lzw-of-zeros": (imagecodecs.lzw_encode(bytes(50_000_000)), Codec.LZW),
}


@pytest.mark.parametrize("reduce", [0, 1])
@pytest.mark.parametrize(("data", "codec"), BOMBS.values(), ids=BOMBS)
def test_a_small_file_cannot_make_the_server_allocate_gigabytes(data, codec, reduce):
    tracemalloc.start()
    try:
        decode_tile(tile(data, codec), reduce)
    except DecodeError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2_000_000


DAMAGED = {
    "jpeg-cut": (jpeg()[:-500], Codec.JPEG),
    "jpeg-empty": (b"", Codec.JPEG),
    "jpeg-no-frame": (b"\xff\xd8\xff\xd9", Codec.JPEG),
    "jpeg-smaller": (with_jpeg_size(jpeg(), 32, 64), Codec.JPEG),
    "jpeg-12-bits": (jpeg().replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), Codec.JPEG),
    "jpeg-lossless": (jpeg().replace(b"\xff\xc0", b"\xff\xc3"), Codec.JPEG),
    "jpeg-grey": (
        imagecodecs.jpeg8_encode(np.ascontiguousarray(RGB[..., 0]), level=90),
        Codec.JPEG,
    ),
    "jpeg-endless-fill": (b"\xff\xd8" + b"\xff" * 5000 + b"\xd9", Codec.JPEG),
    "jpeg-2000-cut": (jpeg2000()[:60], Codec.JPEG2000),
    "jpeg-2000-empty": (b"", Codec.JPEG2000),
    "jpeg-2000-grey": (
        imagecodecs.jpeg2k_encode(np.ascontiguousarray(RGB[..., 0]), codecformat="j2k"),
        Codec.JPEG2000,
    ),
    "webp-garbage": (b"RIFF\x10\x00\x00\x00WEBPVP8 garbage!", Codec.WEBP),
    "webp-is-a-png": (imagecodecs.png_encode(RGB), Codec.WEBP),
    "raw-short": (bytes(64 * 64 * 3 - 1), Codec.RAW),
    "deflate-garbage": (b"garbage", Codec.DEFLATE),
    "deflate-short": (zlib.compress(b"short"), Codec.DEFLATE),
    "zstd-garbage": (b"garbage", Codec.ZSTD),
    "lzw-garbage": (b"\xff\xff\xff", Codec.LZW),
}


@pytest.mark.parametrize("reduce", [0, 2])
@pytest.mark.parametrize(("data", "codec"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_tile_is_an_error_and_never_a_wrong_pixel(data, codec, reduce):
    with pytest.raises(DecodeError):
        decode_tile(tile(data, codec), reduce)


def test_the_photometric_tag_beats_the_markers_of_the_stream():
    # As libtiff does: written as RGB without any marker that says so.
    shown = decode_tile(tile(jpeg(), Codec.JPEG)).astype(int)
    assert np.abs(shown - RGB).mean() < 3


@pytest.mark.parametrize("quality", [1, 50, 89, 90, 95, 100])
def test_every_quality_gives_a_jpeg_that_decodes(quality):
    smooth = np.linspace(0, 255, 64)[None, :, None].repeat(64, 0).repeat(3, 2).astype(np.uint8)
    data = encode_jpeg(smooth, quality)
    shown = decode_tile(tile(data, Codec.JPEG, photometric=Photometric.YCBCR)).astype(int)
    assert np.abs(shown - smooth).mean() < (30 if quality == 1 else 3)


def test_damaged_lzw_does_not_kill_the_worker():
    # The decoder of imagecodecs crashes on some of these.
    random = np.random.default_rng(1)
    good = imagecodecs.lzw_encode((RGB % 4).tobytes())
    for _ in range(3000):
        data = bytearray(good)
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(0, 256)
        with contextlib.suppress(DecodeError):
            decode_tile(tile(bytes(data), Codec.LZW))
