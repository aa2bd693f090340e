"""JPEG 2000 tiles cut down to a lower resolution: cheaper to decode, and the same pixels."""

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.jpeg2000 import parse_header
from wsi_streamer.imaging.low_resolution import find_low_resolution
from wsi_streamer.imaging.resample import shift
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout

QCD, QCC, RGN, COM, PLT = 0xFF5C, 0xFF5D, 0xFF5E, 0xFF64, 0xFF58
SIDE, LEVELS = 128, 4
# Smooth in places and noisy in others, so that no packet is empty.
PIXELS = np.random.default_rng(3).normal(128, 30, (SIDE, SIDE, 4))
PIXELS += 60 * np.sin(np.arange(SIDE) / 9)[:, None, None] * np.cos(np.arange(SIDE) / 17)[:, None]
PIXELS = PIXELS.clip(0, 255).astype(np.uint8)
RGB = PIXELS[..., :3]


def j2k(pixels=RGB, **options):
    file = io.BytesIO()
    options = {"no_jp2": True, "irreversible": True, "num_resolutions": LEVELS + 1, **options}
    Image.fromarray(pixels).save(file, "JPEG2000", **options)
    return parse_header(file.getvalue()).codestream


def opened(codestream, reduce=0):
    image = Image.open(io.BytesIO(codestream))
    image.reduce = reduce
    return np.asarray(image)


def segment(marker, content):
    return struct.pack(">HH", marker, len(content) + 2) + content


def tile(data, side=SIDE):
    layout = PixelLayout(Codec.JPEG2000, Photometric.RGB, 3)
    return EncodedTile((data,), layout, Size(side, side), Size(side, side))


ORDERED = {
    "lossy": j2k(),
    "lossless": j2k(irreversible=False),
    "resolutions-first": j2k(progression="RPCL"),
    "resolutions-first-in-layers": j2k(progression="RLCP", quality_layers=[40, 20, 5]),
    "resolutions-first-in-places": j2k(progression="RPCL", quality_layers=[40, 20, 5]),
    "precincts": j2k(precinct_size=(64, 64), codeblock_size=(32, 32)),
    "colours-apart": j2k(mct=0),
    "grey": j2k(PIXELS[..., 0]),
    "four-samples": j2k(PIXELS),
    "wide": j2k(RGB[:64]),
    "not-a-power-of-two": j2k(RGB[:96, :80]),
    "compressed-hard": j2k(quality_layers=[80]),
}


@pytest.mark.parametrize("halvings", range(1, LEVELS + 1))
@pytest.mark.parametrize("codestream", ORDERED.values(), ids=ORDERED)
def test_a_cut_codestream_shows_what_the_decoder_makes_of_the_whole_one(codestream, halvings):
    cut = find_low_resolution(codestream, halvings)
    assert (opened(cut) == opened(codestream, halvings)).all()


@pytest.mark.parametrize("halvings", range(1, LEVELS + 1))
@pytest.mark.parametrize("codestream", ORDERED.values(), ids=ORDERED)
def test_what_was_cut_is_no_larger_a_claim_than_what_was_checked(codestream, halvings):
    whole, cut = parse_header(codestream), parse_header(find_low_resolution(codestream, halvings))
    assert cut.width == -(-whole.width >> halvings)
    assert cut.height == -(-whole.height >> halvings)
    assert cut.resolutions == whole.resolutions - halvings
    assert len(cut.codestream) < len(codestream)


@pytest.mark.parametrize("halvings", [1, 3])
def test_an_odd_side_is_rounded_up(halvings):
    # Pillow rounds to the nearest, and cannot open what it then has too few pixels for.
    codestream = j2k(RGB[:101, :77])
    cut = find_low_resolution(codestream, halvings)
    assert opened(cut).shape == (-(-101 >> halvings), -(-77 >> halvings), 3)
    assert (opened(cut) == opened(codestream, halvings)).all()


def test_a_lossless_tile_at_half_its_size_has_exactly_the_pixels_of_its_wavelet():
    codestream = ORDERED["lossless"]
    assert (decode_tile(tile(codestream), 1) == shift(opened(codestream, 1), 1)).all()


def test_a_lossy_tile_at_half_its_size_has_the_pixels_of_its_wavelet_up_to_rounding():
    # Two builds of OpenJPEG differ where a pixel lies between two levels.
    codestream = ORDERED["lossy"]
    apart = np.abs(decode_tile(tile(codestream), 1) - shift(opened(codestream, 1), 1).astype(int))
    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= apart.size // 1000


def test_a_tile_whose_details_are_damaged_is_still_seen_from_afar():
    codestream = ORDERED["lossless"]
    damaged = codestream[:-3000] + b"\x55" * 2998 + codestream[-2:]
    assert (decode_tile(tile(damaged), 1) == decode_tile(tile(codestream), 1)).all()


def test_a_tile_that_is_damaged_where_it_is_read_is_an_error_or_a_picture_of_its_size():
    codestream = ORDERED["lossy"]
    start = codestream.index(b"\xff\x93") + 2
    for at in range(start, start + 60):
        damaged = codestream[:at] + bytes([codestream[at] ^ 0xFF]) + codestream[at + 1 :]
        with contextlib.suppress(DecodeError):
            assert decode_tile(tile(damaged), 1).shape == (SIDE // 2, SIDE // 2, 3)


def in_main_header(inserted):
    at = ORDERED["lossless"].index(struct.pack(">HH", 0xFF90, 10))
    return ORDERED["lossless"][:at] + inserted + ORDERED["lossless"][at:]


def in_two_parts():
    """Return the lossless tile with its last 1000 bytes in a tile-part of their own."""
    whole = ORDERED["lossless"]
    at = whole.index(struct.pack(">HH", 0xFF90, 10))
    first = struct.pack(">HHHIBB", 0xFF90, 10, 0, len(whole) - 1002 - at, 0, 2)
    second = struct.pack(">HHHIBBH", 0xFF90, 10, 0, 1014, 1, 2, 0xFF93)
    return whole[:at] + first + whole[at + 12 : -1002] + second + whole[-1002:]


def without_size_of_the_tile_part():
    whole = ORDERED["lossless"]
    at = whole.index(struct.pack(">HH", 0xFF90, 10)) + 6
    return whole[:at] + bytes(4) + whole[at + 4 :]


def with_steps_derived_from_one():
    whole = ORDERED["lossy"]
    at = whole.index(b"\xff\x5c")
    length = int.from_bytes(whole[at + 2 : at + 4], "big")
    style = whole[at + 4] & ~31 | 1
    derived = segment(QCD, bytes([style]) + whole[at + 5 : at + 7])
    return whole[:at] + derived + whole[at + 2 + length :]


UNUSUAL = {
    "layers-first": j2k(quality_layers=[40, 20, 5], irreversible=False),
    "places-first": j2k(progression="PCRL", irreversible=False),
    "components-first": j2k(progression="CPRL", irreversible=False),
    "several-tiles": j2k(tile_size=(64, 64), irreversible=False),
    "list-of-packets": j2k(plt=True, irreversible=False),
    "two-parts": in_two_parts(),
    "unsized-part": without_size_of_the_tile_part(),
    "region-of-interest": in_main_header(segment(RGN, b"\x00\x00\x00")),
    "component-of-its-own": in_main_header(
        segment(QCC, b"\x01" + ORDERED["lossless"].partition(b"\xff\x5c\x00\x10")[2][:14])
    ),
    "derived-steps": with_steps_derived_from_one(),
}


@pytest.mark.parametrize("codestream", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_tile_is_left_whole_and_looks_as_before(codestream):
    codestream = parse_header(codestream).codestream
    assert find_low_resolution(codestream, 1) is None
    assert (decode_tile(tile(codestream), 1) == shift(opened(codestream, 1), 1)).all()


def test_a_tile_is_not_cut_below_its_lowest_resolution():
    assert find_low_resolution(ORDERED["lossy"], LEVELS + 1) is None


def test_comments_of_the_encoder_do_not_make_a_tile_unusual():
    # Kakadu writes two.
    comments = segment(COM, b"\x00\x01Kakadu-v6.0") + segment(COM, b"\x00\x01Kdu-Layer-Info")
    codestream = in_main_header(comments)
    cut = find_low_resolution(codestream, 1)
    assert (opened(cut) == opened(codestream, 1)).all()
