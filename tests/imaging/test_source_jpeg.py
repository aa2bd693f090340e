"""Passthrough: the scanner's own bytes, and in every decoder the colours that libtiff shows."""

import io
from dataclasses import replace

import imagecodecs
import numpy as np
import openslide
import pytest
from PIL import Image, ImageOps

from tests.slides import Jpeg, Page, Tag, gradient, write_tiff
from tests.slides.codecs import encode_segments
from tests.slides.jpeg import APP0, APP14, DHT, DQT, SOF0, SOS, segments_of, tables_of
from tests.slides.page import BLACK_IS_ZERO, RGB, UNDEFINED, WHITE_IS_ZERO, YCBCR
from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.quantisation import estimate_quality, scaled_luminance
from wsi_streamer.imaging.source_jpeg import find_source_jpeg
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Alpha, Codec, EncodedTile, Photometric, PixelLayout

SIDE = 64
# Noise tells apart what smooth colours do not: one wrong block, one wrong coefficient.
PAINTED = gradient(SIDE, SIDE) // 2 + np.random.default_rng(3).integers(
    0, 40, (SIDE, SIDE, 3), dtype=np.uint8
)
GREY = np.ascontiguousarray(PAINTED[..., 1])
DRI, EXIF, ICC = 0xDD, 0xE1, 0xE2


def segment(marker, content):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def adobe(transform):
    return segment(APP14, b"Adobe\0d\0\0\0\0" + bytes([transform]))


JFIF = segment(APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
# Little-endian TIFF of one tag: the upper left is shown at the lower right.
UPSIDE_DOWN = segment(
    EXIF, b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0" + bytes(4)
)


def inserted(stream, what):
    return stream[:2] + what + stream[2:]


def page_of(photometric=YCBCR, **jpeg):
    pixels = GREY if photometric in (BLACK_IS_ZERO, WHITE_IS_ZERO) else PAINTED
    jpeg = {"quality": 80, **jpeg}
    return Page(pixels, tile=(SIDE, SIDE), photometric=photometric, jpeg=Jpeg(**jpeg))


def stored(page, in_tile=b"", in_tables=b""):
    """Return the one tile of a page as we read it, with further segments in tile and tables."""
    (data,), tables = encode_segments(page, "<")
    tables = inserted(tables, in_tables) if tables else tables
    layout = PixelLayout(
        Codec.JPEG, Photometric(page.photometric), page.samples, jpeg_tables=tables
    )
    return EncodedTile((inserted(data, in_tile),), layout, Size(SIDE, SIDE), Size(SIDE, SIDE))


def file_of(path, page, tile):
    """Write a TIFF file of that tile and return what libtiff and what OpenSlide show of it."""
    tables = tile.layout.jpeg_tables
    overrides = {347: Tag(UNDEFINED, tables)} if tables else {}
    write_tiff(path, [replace(page, tile_data={(0, 0): tile.parts[0]}, overrides=overrides)])
    with openslide.OpenSlide(path) as slide:
        seen = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")), seen


def shown_in_a_browser(data):
    """Decode a file as programs do that know nothing but the file, orientation included."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def coded(stream):
    """Return the header of the first scan and all that follows."""
    return dict(segments_of(stream))[SOS]


PAGES = {
    "ycbcr": page_of(),
    "ycbcr-420": page_of(subsampling="420"),
    "ycbcr-422": page_of(subsampling="422"),
    "ycbcr-own-tables": page_of(shared_tables=False),
    "ycbcr-called-rgb": page_of(component_ids=b"RGB"),
    "ycbcr-from-0": page_of(component_ids=b"\0\1\2"),
    "rgb": page_of(RGB),
    "rgb-own-tables": page_of(RGB, shared_tables=False),
    "rgb-called-rgb": page_of(RGB, component_ids=b"RGB"),
    "grey": page_of(BLACK_IS_ZERO),
    "grey-own-tables": page_of(BLACK_IS_ZERO, shared_tables=False),
}
LIES = {
    "none": (b"", b""),
    "jfif": (JFIF, b""),
    "rgb": (adobe(0), b""),
    "ycbcr": (adobe(1), b""),
    "jfif-and-rgb": (JFIF + adobe(0), b""),
    "upside-down": (UPSIDE_DOWN, b""),
    "tables-jfif": (b"", JFIF),
    "tables-rgb": (b"", adobe(0)),
    "tables-ycbcr": (b"", adobe(1)),
    "tables-restart": (b"", segment(DRI, b"\0\x01")),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_browser_sees_what_libtiff_and_openslide_see(tmp_path, page, lie):
    tile = stored(page, *lie)
    found = find_source_jpeg(tile)
    assert found.is_source
    shown = shown_in_a_browser(found.data)
    by_libtiff, by_openslide = file_of(tmp_path / "tile.tif", page, tile)
    assert (shown == by_libtiff).all()
    assert (shown == by_openslide).all()


def test_a_marker_of_no_known_colours_changes_none():
    # OpenSlide refuses such a tile.
    shown = [
        shown_in_a_browser(find_source_jpeg(stored(page_of(it), mark)).data)
        for it in (YCBCR, RGB)
        for mark in (b"", adobe(2))
    ]
    assert (shown[0] == shown[1]).all()
    assert (shown[2] == shown[3]).all()


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_coded_pixels_are_the_scanners_byte_for_byte(page, lie):
    tile = stored(page, *lie)
    assert coded(find_source_jpeg(tile).data) == coded(tile.parts[0])


def encoded(**options):
    file = io.BytesIO()
    Image.fromarray(PAINTED).save(file, "JPEG", quality=80, **options)
    return file.getvalue()


def ycbcr(data, tables=b"", **size):
    layout = PixelLayout(Codec.JPEG, Photometric.YCBCR, 3, jpeg_tables=tables)
    whole = Size(SIDE, SIDE)
    return EncodedTile((data,), layout, size.get("size", whole), size.get("visible", whole))


UNUSUAL = {
    "progressive": encoded(progressive=True),
    "restarts": encoded(restart_marker_blocks=1),
    "own-huffman-tables": encoded(optimize=True),
    "fill-bytes-before-the-end": encoded()[:-2] + b"\xff\xff\xff\xd9",
    "long-comment": inserted(encoded(), segment(0xFE, bytes(60_000))),
    "long-profile": inserted(encoded(), segment(ICC, b"ICC_PROFILE\0\x01\x01" + bytes(60_000))),
}


@pytest.mark.parametrize("data", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_tiles_pass_as_they_are(data):
    found = find_source_jpeg(ycbcr(data))
    assert found.is_source
    assert found.data.endswith(data[data.index(b"\xff\xda") :])
    assert (shown_in_a_browser(found.data) == shown_in_a_browser(data)).all()


@pytest.mark.parametrize("padding", [b"\0", b"\xff\xd9", b"\xff" * 40 + b"\0" * 40])
def test_what_fills_up_a_tile_is_left_out(padding):
    assert find_source_jpeg(ycbcr(encoded() + padding)).data.endswith(coded(encoded()))


def test_a_tile_with_tables_of_its_own_does_not_use_the_shared_ones():
    coarse = tables_of(encoded(optimize=True, qtables=[[99] * 64] * 2))
    found = find_source_jpeg(ycbcr(encoded(), coarse))
    assert (shown_in_a_browser(found.data) == shown_in_a_browser(encoded())).all()
    assert found.quality == 80


def test_tiles_that_differ_in_the_order_of_requests_do_not_share_a_head():
    # The first of these would say how the second one's components are to be understood.
    rgb, other = stored(page_of(RGB)), stored(page_of(YCBCR))
    tiles = [
        EncodedTile(other.parts, replace(it.layout), it.size, it.visible) for it in (rgb, other)
    ]
    for tile in (*tiles, *tiles):
        shown = shown_in_a_browser(find_source_jpeg(tile).data).astype(int)
        assert np.abs(shown - decode_tile(tile)).mean() < 0.1


def layout(photometric, samples, **options):
    return PixelLayout(Codec.JPEG, photometric, samples, **options)


def samples(count):
    pixels = np.dstack([GREY] * count).squeeze()
    space = {1: "GRAYSCALE", 3: "UNKNOWN", 4: "CMYK"}[count]
    return bytes(imagecodecs.jpeg8_encode(pixels, colorspace=space, outcolorspace=space))


NOT_SHOWN_AS_STORED = {
    "white-is-zero": (layout(Photometric.WHITE_IS_ZERO, 1), (samples(1),)),
    "palette": (layout(Photometric.PALETTE, 1, palette=bytes(768)), (samples(1),)),
    "alpha": (layout(Photometric.RGB, 4, alpha=Alpha.STRAIGHT), (samples(4),)),
    "grey-and-two-more": (layout(Photometric.BLACK_IS_ZERO, 3), (samples(3),)),
    "planar": (layout(Photometric.RGB, 3, planar=True), (samples(1),) * 3),
    "left-out": (layout(Photometric.YCBCR, 3), ()),
    "lossless": (PixelLayout(Codec.RAW, Photometric.RGB), (bytes(SIDE * SIDE * 3),)),
}


@pytest.mark.parametrize("case", NOT_SHOWN_AS_STORED.values(), ids=NOT_SHOWN_AS_STORED)
def test_pixels_that_a_browser_would_show_otherwise_are_left_to_the_decoder(case):
    how, parts = case
    tile = EncodedTile(parts, how, Size(SIDE, SIDE), Size(SIDE, SIDE))
    assert find_source_jpeg(tile) is None
    assert decode_tile(tile).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("missing", [DQT, DHT], ids=["quantisation", "codes"])
def test_a_tile_without_its_tables_does_not_leave(missing):
    parts = (segment(*it) for it in segments_of(encoded()) if it[0] not in (missing, SOS))
    data = b"\xff\xd8" + b"".join(parts) + encoded()[encoded().index(b"\xff\xda") :]
    assert find_source_jpeg(ycbcr(data)) is None


def test_a_tile_smaller_than_its_place_is_an_error():
    with pytest.raises(DecodeError, match="fewer pixels"):
        find_source_jpeg(ycbcr(encoded(), size=Size(96, 64), visible=Size(80, 64)))


def test_a_tile_larger_than_the_file_says_is_an_error():
    with pytest.raises(DecodeError, match="64 x 64"):
        find_source_jpeg(ycbcr(encoded(), size=Size(64, 32), visible=Size(64, 32)))


def test_a_last_strip_without_padding_passes_as_it_is():
    tile = ycbcr(encoded(), size=Size(96, 96), visible=Size(SIDE, SIDE))
    assert find_source_jpeg(tile).is_source


@pytest.mark.parametrize("visible", [Size(40, 64), Size(64, 24), Size(37, 21)])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_edge_tiles_are_cropped_and_lose_next_to_nothing(page, visible):
    tile = replace(stored(page), visible=visible)
    found = find_source_jpeg(tile)
    shown = shown_in_a_browser(found.data)
    assert shown.shape == (visible.height, visible.width, 3)
    assert not found.is_source
    assert found.quality == 80
    # Of 16 x 16 pixels, as blocks of halved chroma cover.
    height, width = (side // 16 * 16 for side in shown.shape[:2])
    apart = np.abs(shown.astype(int) - decode_tile(tile))[:height, :width]
    assert apart.mean() <= 1


@pytest.mark.parametrize("subsampling", ["420", "422"])
def test_an_edge_tile_of_rgb_at_lower_resolution_is_shown_in_its_colours(subsampling):
    # Only chroma is subsampled, usually; some writers do it to whatever they store.
    smooth = np.ascontiguousarray(gradient(SIDE, SIDE))
    data = imagecodecs.jpeg8_encode(
        smooth, level=90, colorspace="YCBCR", outcolorspace="YCBCR", subsampling=subsampling
    )
    how = layout(Photometric.RGB, 3)
    tile = EncodedTile((bytes(data),), how, Size(SIDE, SIDE), Size(37, 21))
    shown = shown_in_a_browser(find_source_jpeg(tile).data).astype(int)
    assert shown.shape == (21, 37, 3)
    assert np.abs(shown - decode_tile(tile)).mean() <= 2
    assert np.abs(shown - smooth[:21, :37]).mean() <= 4


def changed(data, marker, change, which=0):
    """Return a stream with the content of a segment changed; that of SOS has no coded pixels."""
    start = -1
    for _ in range(which + 1):
        start = data.index(bytes([0xFF, marker]), start + 1)
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return data[:start] + segment(marker, change(data[start + 4 : end])) + data[end:]


def at(position, *values):
    return lambda content: content[:position] + bytes(values) + content[position + len(values) :]


PROGRESSIVE = encoded(progressive=True)
BROKEN = {
    "more-codes-than-there-are": changed(encoded(), DHT, at(1, 3)),
    "all-ones-is-a-code": changed(encoded(), DHT, at(1, 2, 0)),
    "more-symbols-than-bytes": changed(encoded(), DHT, at(16, 255)),
    "more-than-256-symbols": changed(encoded(), DHT, lambda it: it[:15] + b"\xff" * 600),
    "half-a-table": changed(encoded(), DHT, lambda it: it + bytes(5)),
    "table-4": changed(encoded(), DHT, at(0, 4)),
    "class-2": changed(encoded(), DHT, at(0, 0x20)),
    "huge-difference": changed(encoded(), DHT, at(17, 200)),
    "quantisation-table-4": changed(encoded(), DQT, at(0, 4)),
    "no-sampling": changed(encoded(), SOF0, at(7, 0x10)),
    "sampling-5": changed(encoded(), SOF0, at(7, 0x51)),
    "sampling-of-two-thirds": changed(encoded(), SOF0, at(7, 0x31, 0, 2, 0x21)),
    "too-many-blocks": changed(encoded(), SOF0, at(7, 0x44)),
    "quantisation-table-not-there": changed(encoded(), SOF0, at(8, 3)),
    "foreign-component": changed(encoded(), SOS, at(1, 9)),
    "component-twice": changed(encoded(), SOS, at(3, 1)),
    "codes-not-there": changed(encoded(), SOS, at(2, 0x33)),
    "no-component": changed(encoded(), SOS, at(0, 0)),
    "long-restart-interval": inserted(encoded(), segment(DRI, b"\0\0\1")),
    "progressive-foreign-component": changed(PROGRESSIVE, SOS, at(1, 9), which=1),
    "progressive-codes-not-there": changed(PROGRESSIVE, SOS, at(2, 3), which=1),
    "progressive-band-upside-down": changed(PROGRESSIVE, SOS, at(3, 5, 1), which=1),
    "progressive-codes-damaged": changed(PROGRESSIVE, DHT, at(1, 3), which=2),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_tile_that_no_browser_could_show_does_not_leave(data):
    with pytest.raises(DecodeError):
        decode_tile(ycbcr(data))
    try:
        found = find_source_jpeg(ycbcr(data))
    except DecodeError:
        found = None
    assert found is None


def test_a_damaged_table_that_no_scan_uses_keeps_no_tile_from_passing():
    spare = segment(DHT, b"\x03\x03" + bytes(15) + b"\0\0\0")
    assert find_source_jpeg(ycbcr(inserted(encoded(), spare))).is_source
    assert decode_tile(ycbcr(inserted(encoded(), spare))).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("quality", range(1, 101))
def test_the_quality_is_what_libjpeg_was_given(quality):
    data = imagecodecs.jpeg8_encode(PAINTED, level=quality)
    assert find_source_jpeg(ycbcr(bytes(data))).quality == quality


def test_the_quality_of_other_tables_is_the_nearest():
    near = list(scaled_luminance(70))
    near[5] += 2
    assert estimate_quality(tuple(near)) == 70
    assert estimate_quality((65535,) * 64) == 1
    assert estimate_quality((0,) * 64) == 100
