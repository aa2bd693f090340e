"""JPEG tiles that say one thing to us and another to libjpeg, and those that only look odd."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from tests.slides.jpeg import DHT, DQT, SOF0, SOS, rewritten, segments_of, tables_of
from tests.slides.page import Jpeg
from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.source_jpeg import find_source_jpeg
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout

SIDE = 64
RAMP = np.linspace(20, 230, SIDE).astype(np.uint8)[None, :, None].repeat(SIDE, 0).repeat(3, 2)
SOF2, DNL, DAC, EXP = 0xC2, 0xDC, 0xCC, 0xDF


def decode_at_half_size(tile):
    return decode_tile(tile, 1)


# What must not reach our decoder must not reach the browser's either.
USES = (decode_tile, decode_at_half_size, find_source_jpeg)


def tile(data, tables=b"", samples=3, photometric=Photometric.YCBCR):
    layout = PixelLayout(Codec.JPEG, photometric, samples, jpeg_tables=tables)
    return EncodedTile((data,), layout, Size(SIDE, SIDE), Size(SIDE, SIDE))


def jpeg(**options):
    file = io.BytesIO()
    Image.fromarray(RAMP).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def huge(side=65500):
    """Return a JPEG of `side` x `side` pixels, without SOI."""
    parts = {marker: content for marker, content in segments_of(jpeg())}
    frame = parts[SOF0][:1] + struct.pack(">HH", side, side) + parts[SOF0][5:]
    tables = b"".join(segment(*it) for it in segments_of(jpeg()) if it[0] in (DHT, DQT))
    return tables + segment(SOF0, frame) + segment(SOS, parts[SOS][:10]) + b"\xff\xd9"


def before_frame(inserted, data=None):
    data = data or jpeg()
    at = data.index(b"\xff\xc0")
    return data[:at] + inserted + data[at:]


def before_end(inserted):
    return jpeg()[:-2] + inserted + b"\xff\xd9"


def hidden_behind(marker):
    """Return a tile with a huge JPEG where `marker` is taken for a segment with a length."""
    return b"\xff\xd8" + marker + struct.pack(">H", len(huge()) + 2) + huge() + jpeg()[2:]


def with_scans(count):
    """Return a progressive tile whose last scan is there `count` times more."""
    data = jpeg(progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


def in_the_middle(inserted):
    data = jpeg()
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    return data[:middle] + inserted + data[middle:]


HIDDEN = {
    "behind-00": hidden_behind(b"\xff\x00"),
    "behind-TEM": hidden_behind(b"\xff\x01"),
    "behind-SOI": hidden_behind(b"\xff\xd8"),
    **{f"behind-RST{i}": hidden_behind(bytes([0xFF, 0xD0 + i])) for i in range(8)},
    "behind-DAC": before_frame(segment(DAC, b"\x00\x10")),
    "behind-reserved": before_frame(segment(0x02, b"")),
    "behind-EXP": before_frame(segment(EXP, b"\x11")),
    "behind-a-length-of-0": before_frame(b"\xff\xe1\x00\x00"),
    "behind-a-length-of-1": before_frame(b"\xff\xe1\x00\x01"),
    "behind-garbage": before_frame(b"\x00\x00"),
    "second-frame": before_frame(segment(SOF0, b"\x08" + b"\xff\xdc" * 2 + b"\x01\x01\x11\x00")),
    "frame-behind-the-scan": before_end(huge()),
    "image-behind-the-scan": before_end(b"\xff\xd8" + huge()),
    "height-behind-the-scan": before_end(segment(DNL, b"\xff\xdc")),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("data", HIDDEN.values(), ids=HIDDEN)
def test_no_second_image_can_hide_in_a_tile(use, data):
    # Refused by us, and not by a decoder that ran out of memory.
    with pytest.raises(DecodeError, match="^a JPEG"):
        use(tile(data))


TABLES = tables_of(jpeg())
BAD_TABLES = {
    "image": b"\xff\xd8" + huge(),
    "frame": TABLES[:-2] + segment(SOF0, next(c for m, c in segments_of(jpeg()) if m == SOF0)),
    "garbage": b"garbage",
    "cut": TABLES[:40],
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("tables", BAD_TABLES.values(), ids=BAD_TABLES)
def test_no_image_can_hide_in_the_shared_tables(use, tables):
    with pytest.raises(DecodeError, match="^(a|the) JPEG"):
        use(tile(jpeg(), tables))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("scans", [64, 5000])
def test_one_tile_cannot_keep_the_server_busy_with_scans(use, scans):
    with pytest.raises(DecodeError, match="scan"):
        use(tile(with_scans(scans)))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("marker", [b"\xff\xd9", b"\xff\xd8", b"\xff\xc0", b"\xff\x01"])
def test_a_tile_that_ends_in_the_middle_is_an_error_and_not_half_grey(use, marker):
    with pytest.raises(DecodeError, match="^a JPEG"):
        use(tile(in_the_middle(marker)))


@pytest.mark.parametrize("use", [decode_tile, decode_at_half_size])
@pytest.mark.parametrize("samples", [1, 4])
def test_ycbcr_of_other_than_three_samples_is_not_shown_in_false_colours(use, samples):
    pixels = np.full((SIDE, SIDE, samples), 100, np.uint8).squeeze()
    space = {1: "GRAYSCALE", 4: "CMYK"}[samples]
    data = imagecodecs.jpeg8_encode(pixels, colorspace=space, outcolorspace=space)
    with pytest.raises(DecodeError, match="YCbCr"):
        use(tile(data, samples=samples))


def one_scan_per_component():
    """Return a baseline tile with three scans, with tables between them (B.2.3)."""
    parts = {marker: content for marker, content in segments_of(jpeg(subsampling=0))}
    tables = b"".join(segment(*it) for it in segments_of(jpeg()) if it[0] in (DHT, DQT))
    scans = b""
    for index in range(3):
        plane = np.ascontiguousarray(np.asarray(Image.fromarray(RAMP).convert("YCbCr"))[..., index])
        file = io.BytesIO()
        Image.fromarray(plane).save(file, "JPEG", quality=90)
        found = list(segments_of(file.getvalue()))
        scans += b"".join(segment(*it) for it in found if it[0] == DHT)
        coded = found[-1][1][6:-2]
        scans += segment(SOS, bytes([1, index + 1, 0, 0, 63, 0])) + coded
    # Grey files have one table for quantisation, that of luminance.
    frame = bytearray(parts[SOF0])
    frame[8] = frame[11] = frame[14] = 0
    return b"\xff\xd8" + tables + segment(SOF0, bytes(frame)) + scans + b"\xff\xd9"


LEGAL = {
    "progressive": jpeg(progressive=True),
    "restarts": jpeg(restart_marker_blocks=1),
    "fill-bytes": before_frame(b"\xff\xff\xff"),
    "fill-bytes-before-the-end": before_end(b"\xff\xff"),
    "comment": before_frame(segment(0xFE, b"\xff\xd8\xff\xc0") + segment(0xEF, b"")),
    "padding": jpeg() + b"\x00",
    "more-padding": jpeg() + b"\xff" * 40 + b"\x00" * 40,
    "end-twice": jpeg() + b"\xff\xd9",
    "one-scan-per-component": one_scan_per_component(),
}


@pytest.mark.parametrize("data", LEGAL.values(), ids=LEGAL)
def test_unusual_but_legal_tiles_are_shown(data):
    assert np.abs(decode_tile(tile(data)).astype(int) - RAMP).mean() < 3


def test_tiles_with_shared_tables_are_shown():
    data = rewritten(jpeg(), Jpeg(shared_tables=True, component_ids=b"\x01\x02\x03"))
    shown = decode_tile(tile(data, TABLES))
    assert np.abs(shown.astype(int) - RAMP).mean() < 3
