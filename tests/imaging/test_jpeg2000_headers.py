"""JPEG 2000 tiles that would cost gigabytes, and those that only look odd."""

import contextlib
import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout

SIDE = 64
RGB = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
COD, COC, POC, PPM, TLM, COM = 0xFF52, 0xFF53, 0xFF5F, 0xFF60, 0xFF55, 0xFF64


def tile(data, samples=3, photometric=Photometric.RGB, side=SIDE):
    layout = PixelLayout(Codec.JPEG2000, photometric, samples)
    return EncodedTile((data,), layout, Size(side, side), Size(side, side))


def j2k(pixels=RGB, **options):
    file = io.BytesIO()
    options = {"no_jp2": True, "irreversible": False, **options}
    Image.fromarray(pixels).save(file, "JPEG2000", **options)
    return file.getvalue()


def jp2(pixels=RGB, **options):
    return bytes(
        imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="JP2", reversible=True, **options)
    )


def segment(marker, content=b""):
    return struct.pack(">HH", marker, len(content) + 2) + content


def box(kind, content, *, wide=False):
    if wide:
        return struct.pack(">I4sQ", 1, kind, len(content) + 16) + content
    return struct.pack(">I4s", len(content) + 8, kind) + content


def in_main_header(inserted, data=None):
    data = data or j2k()
    at = data.index(struct.pack(">HH", 0xFF90, 10))
    return data[:at] + inserted + data[at:]


def in_tile_part(inserted):
    data = j2k()
    at = data.index(struct.pack(">HH", 0xFF90, 10))
    (size,) = struct.unpack_from(">I", data, at + 6)
    sized = struct.pack(">I", size + len(inserted))
    return data[: at + 6] + sized + data[at + 10 : at + 12] + inserted + data[at + 12 :]


def with_tile_part_size(size):
    data = j2k()
    at = data.index(struct.pack(">HH", 0xFF90, 10)) + 6
    return data[:at] + struct.pack(">I", size) + data[at + 4 :]


def without_content(*, layers=1, levels=0, block=(4, 4), precincts=b"", style=None, side=SIDE):
    """Return a codestream of `side` x `side` pixels that are all in empty packets."""
    style = bool(precincts) if style is None else style
    siz = struct.pack(">H8IH", 0, side, side, 0, 0, side, side, 0, 0, 3) + b"\x07\x01\x01" * 3
    cod = struct.pack(">BBHBBBBBB", style, 0, layers, 0, levels, *block, 0, 1) + precincts
    qcd = b"\x40" * (2 + 3 * levels)
    main = segment(0xFF51, siz) + segment(COD, cod) + segment(0xFF5C, qcd)
    part = segment(0xFF90, struct.pack(">HIBB", 0, 14 + 64, 0, 1)) + b"\xff\x93" + bytes(64)
    return b"\xff\x4f" + main + part + b"\xff\xd9"


def test_the_tile_that_the_costly_ones_are_made_of_is_legal():
    shown = decode_tile(tile(without_content(layers=64, levels=2, precincts=b"\x55\x66\xff")))
    assert (shown == 128).all()


COSTLY = {
    "precincts-of-1-pixel": without_content(precincts=b"\x00"),
    "precincts-of-2-pixels": without_content(levels=1, precincts=b"\xff\x11"),
    "narrow-precincts": without_content(levels=1, precincts=b"\xff\xf1", side=1024),
    "flat-precincts": without_content(precincts=b"\x0f", side=1024),
    "blocks-of-4-pixels": without_content(block=(0, 0)),
    "blocks-of-8-pixels": without_content(block=(1, 4)),
    "blocks-of-16384-pixels": without_content(block=(5, 5)),
    "65-layers": without_content(layers=65),
    "no-layers": without_content(layers=0),
    "33-decompositions": without_content(levels=33),
    "reserved-style": without_content(style=8),
    "precincts-left-out": without_content(style=1),
    "precincts-too-many": without_content(precincts=b"\xff\xff"),
    "cod-twice": in_main_header(segment(COD, b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01")),
    "coc": in_main_header(segment(COC, b"\x00\x00\x00\x00\x00\x00\x01")),
    "poc": in_main_header(segment(POC, b"\x00\x00\x00\x01\x01\x01\x00")),
    "ppm": in_main_header(segment(PPM, b"\x00")),
    "unknown-marker": in_main_header(segment(0xFF30)),
    "length-of-0": in_main_header(b"\xff\x64\x00\x00"),
    "cod-in-tile-part": in_tile_part(segment(COD, b"\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01")),
    "coc-in-tile-part": in_tile_part(segment(COC, b"\x00\x00\x00\x00\x00\x00\x01")),
    "poc-in-tile-part": in_tile_part(segment(POC, b"\x00\x00\x00\x01\x01\x01\x00")),
    "tile-part-of-13-bytes": with_tile_part_size(13),
    "tile-part-behind-the-end": with_tile_part_size(1_000_000),
    "5000-tile-parts": in_main_header(
        (segment(0xFF90, b"\0\0\0\0\0\x0e\0\1") + b"\xff\x93") * 5000
    ),
}


@pytest.mark.parametrize("reduce", [0, 1])
@pytest.mark.parametrize("data", COSTLY.values(), ids=COSTLY)
def test_a_few_bytes_cannot_cost_the_server_gigabytes(data, reduce):
    with pytest.raises(DecodeError, match="a JPEG 2000 tile (has|is cut|ends|uses)"):
        decode_tile(tile(data, side=1024), reduce)


def test_a_tile_cut_off_anywhere_is_an_error_and_not_half_grey():
    data = j2k()
    for length in (*range(150), *range(150, len(data), 997), len(data) - 2):
        with pytest.raises(DecodeError):
            decode_tile(tile(data[:length]))


HEADER = jp2()[: jp2().index(b"jp2c") - 4]
BLACK = np.zeros((200, 200, 3), np.uint8)
BIG = j2k(BLACK)
BIG_HEADER = jp2(BLACK)[: jp2(BLACK).index(b"jp2c") - 4]
BOXES = {
    "uuid-says-64": BIG_HEADER + box(b"uuid", bytes(16) + j2k()[:60]) + box(b"jp2c", BIG),
    "free-says-64": BIG_HEADER + box(b"free", j2k(), wide=True) + box(b"jp2c", BIG),
    "garbage-before": b"garbage!" + j2k(),
    "no-codestream": HEADER,
    "empty-codestream": HEADER + box(b"jp2c", b""),
    "cut": jp2()[:-200],
    "length-of-7": HEADER + b"\x00\x00\x00\x07jp2c" + j2k(),
    "wide-length-of-15": HEADER + struct.pack(">I4sQ", 1, b"jp2c", 15) + j2k(),
    "wide-length-cut": HEADER + b"\x00\x00\x00\x01jp2c\x00\x00",
    "endless-wide-length": HEADER + struct.pack(">I4sQ", 1, b"jp2c", 2**64 - 1) + j2k(),
    "100-boxes": HEADER + box(b"free", b"") * 100 + box(b"jp2c", j2k()),
}


@pytest.mark.parametrize("data", BOXES.values(), ids=BOXES)
def test_no_bigger_image_can_hide_in_the_boxes_of_a_tile(data):
    with pytest.raises(DecodeError):
        decode_tile(tile(data))


LEGAL = {
    "raw": j2k(),
    "jp2": jp2(),
    "wide-box": HEADER + box(b"jp2c", j2k(), wide=True),
    "box-up-to-the-end": HEADER + b"\x00\x00\x00\x00jp2c" + j2k(),
    "uuid-box": HEADER + box(b"uuid", bytes(500)) + box(b"jp2c", j2k()),
    "padding": j2k() + b"\x00",
    "last-tile-part-without-size": with_tile_part_size(0),
    "last-tile-part-without-size-and-padding": with_tile_part_size(0) + b"\x00",
    "comment-in-tile-part": in_tile_part(segment(COM, b"\x00\x01hello")),
    "packet-lengths": j2k(plt=True),
    "tiles": j2k(tile_size=(32, 32)),
    "precincts": j2k(precinct_size=(32, 32), codeblock_size=(16, 16), num_resolutions=2),
    "halved-precincts": j2k(precinct_size=(64, 64), codeblock_size=(16, 16), num_resolutions=6),
    "layers": j2k(quality_mode="rates", quality_layers=[20, 5, 0]),
    "orders": j2k(progression="CPRL"),
    "offset": j2k(offset=(5, 7), tile_offset=(3, 2), tile_size=(40, 40)),
    "index": in_main_header(segment(TLM, b"\x00\x40" + struct.pack(">I", 99))),
}


@pytest.mark.parametrize("data", LEGAL.values(), ids=LEGAL)
def test_unusual_but_legal_tiles_are_shown(data):
    assert (decode_tile(tile(data)) == RGB).all()


@pytest.mark.parametrize("reduce", range(1, 7))
@pytest.mark.parametrize("data", LEGAL.values(), ids=LEGAL)
def test_unusual_but_legal_tiles_are_shown_at_every_scale(data, reduce):
    shown = decode_tile(tile(data), reduce).astype(int)
    # Noise, of which wavelets keep more than averages do.
    averages = RGB.reshape(SIDE >> reduce, 1 << reduce, SIDE >> reduce, 1 << reduce, 3).mean((1, 3))
    assert shown.shape == averages.shape
    assert np.abs(shown - averages).mean() < 40
    assert abs((shown - averages).mean()) < 10


def test_an_index_cannot_lead_the_decoder_past_the_tile_parts():
    lengths = b"".join(struct.pack(">HI", i, 20) for i in range(4))
    data = in_main_header(segment(TLM, b"\x00\x60" + lengths), j2k(tile_size=(32, 32)))
    assert (decode_tile(tile(data)) == RGB).all()


@pytest.mark.parametrize("colors", [16, 17, 18], ids=["sRGB", "grey", "sYCC"])
def test_the_photometric_tag_beats_the_colours_of_a_jp2_file(colors):
    ycbcr = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    data = bytearray(jp2(ycbcr, mct=False))
    at = data.index(b"colr") + 7
    data[at : at + 4] = struct.pack(">I", colors)
    shown = decode_tile(tile(bytes(data), photometric=Photometric.YCBCR))
    expected = np.asarray(Image.fromarray(ycbcr, mode="YCbCr").convert("RGB"))
    assert (shown == expected).all()


@pytest.mark.parametrize("samples", [1, 4])
def test_ycbcr_of_other_than_three_samples_is_not_shown_in_false_colours(samples):
    data = j2k(np.full((SIDE, SIDE, samples), 100, np.uint8).squeeze())
    with pytest.raises(DecodeError, match="YCbCr"):
        decode_tile(tile(data, samples, Photometric.YCBCR))


def test_damaged_jpeg2000_does_not_kill_the_worker():
    random = np.random.default_rng(1)
    good = (j2k(), j2k(irreversible=True), j2k(tile_size=(32, 32)), j2k(progression="CPRL"))
    for index in range(2000):
        data = bytearray(good[index % len(good)])
        for place in random.integers(100, len(data) - 2, 3):
            data[place] = random.integers(0, 256)
        with contextlib.suppress(DecodeError):
            decode_tile(tile(bytes(data)), index % 3)


def test_grey_tiles_are_shown():
    grey = np.ascontiguousarray(RGB[..., 0])
    shown = decode_tile(tile(j2k(grey), 1, Photometric.BLACK_IS_ZERO))
    assert (shown == grey[..., None]).all()
