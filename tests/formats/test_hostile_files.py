"""What a file claims costs neither memory nor time, and wrong pixels are never shown as right."""

import struct
import tracemalloc

import numpy as np
import pytest

from tests import slides
from tests.slides import Page, Tag, gradient, make_pyramid, write_tiff
from tests.slides.page import BLACK_IS_ZERO, LONG, LONG8, NONE, RGB, SHORT, UNDEFINED, YCBCR
from wsi_streamer.errors import DecodeError, UnsupportedFormat
from wsi_streamer.formats.tiff.directory import CAPS
from wsi_streamer.model.tile import TileAddress

BASE = gradient(300, 200)
TABLES = (273, 279, 324, 325)


def peak_mb(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def write_bomb(path, codes, count):
    """Write 60 images of one tile, whose tags all claim the same `count` values of 4 bytes."""
    fixed = {256: 64, 257: 64, 258: 8, 259: 1, 262: 1, 277: 1, 322: 64, 323: 64}
    fixed |= {} if 324 in codes else {324: 8, 325: 4096}
    tags = sorted(set(codes) | fixed.keys())
    size = 2 + 12 * len(tags) + 4
    data_at = 8 + 60 * size
    data = b"II*\0" + struct.pack("<I", 8)
    for index in range(60):
        data += struct.pack("<H", len(tags))
        for code in tags:
            values = (1, fixed[code]) if code in fixed else (count, data_at)
            data += struct.pack("<HHII", code, LONG, *values)
        data += struct.pack("<I", 8 + (index + 1) * size if index < 59 else 0)
    path.write_bytes(data + bytes(range(1, 101)) * (count // 25))


@pytest.mark.parametrize("codes", [TABLES, CAPS], ids=["tables", "all-others"])
def test_tags_of_a_million_values_do_not_cost_the_memory_of_the_server(tmp_path, open_file, codes):
    write_bomb(tmp_path / "bomb.tif", codes, 1_000_025)

    def be_refused():
        with pytest.raises(UnsupportedFormat):
            open_file(tmp_path / "bomb.tif")

    assert peak_mb(be_refused) < 20


def test_text_that_all_images_share_does_not_cost_the_memory_of_the_server(tmp_path, open_file):
    write_bomb(tmp_path / "bomb.tif", (), 1000)
    data = bytearray((tmp_path / "bomb.tif").read_bytes())
    # The lowest tag, ImageWidth, becomes an ImageDescription of a megabyte.
    claim = struct.pack("<HHII", 256, LONG, 1, 64)
    text = struct.pack("<HHII", 270, slides.page.ASCII, 999_999, 8)
    (tmp_path / "bomb.tif").write_bytes(data.replace(claim, text) + bytes(1_000_000))
    with pytest.raises(UnsupportedFormat, match="of text"):
        open_file(tmp_path / "bomb.tif")


def test_levels_share_the_number_of_tiles_that_a_slide_may_have(tmp_path, open_file):
    painted = make_pyramid(tmp_path / "slide.tif", BASE, tile=(32, 32))
    counts = [10 * 7, 5 * 4, 3 * 2]
    assert len(open_file(painted.path, max_tiles=sum(counts)).info.stored_levels) == 3
    with pytest.raises(UnsupportedFormat, match="WSI_MAX_TILES"):
        open_file(painted.path, max_tiles=sum(counts) - 1)


def test_planes_count_as_tiles(tmp_path, open_file):
    painted = make_pyramid(
        tmp_path / "slide.tif", BASE, compression=NONE, photometric=RGB, planar=True
    )
    with pytest.raises(UnsupportedFormat, match="WSI_MAX_TILES"):
        open_file(painted.path, max_tiles=5)


def raw_strips(**overrides):
    tags = {code: Tag(LONG8, values) for code, values in overrides.pop("tags").items()}
    return Page(gradient(300, 1000), tile=None, compression=NONE, overrides=tags, **overrides)


def read_row(slide, row):
    return slide.read_tiles([TileAddress(0, 0, row)])[0]


def test_rows_that_a_strip_is_too_short_for_are_an_error_and_not_white(
    tmp_path, open_file, pixels_of
):
    half = 300 * 3 * 512
    write_tiff(tmp_path / "slide.tif", [raw_strips(tags={279: (half,)})], bigtiff=True)
    slide = open_file(tmp_path / "slide.tif")
    assert [len(part) for row in (0, 1) for part in read_row(slide, row).parts] == [half // 2] * 2
    for row in (2, 3):
        with pytest.raises(DecodeError):
            read_row(slide, row)


def test_a_strip_of_no_bytes_is_left_out(tmp_path, open_file):
    write_tiff(tmp_path / "slide.tif", [raw_strips(tags={279: (0,)})], bigtiff=True)
    slide = open_file(tmp_path / "slide.tif")
    assert [read_row(slide, row).parts for row in range(4)] == [()] * 4


def test_a_strip_at_the_end_of_64_bits_does_not_show_the_begin_of_the_file(tmp_path, open_file):
    page = raw_strips(tags={273: (2**64 - 240_000,), 279: (900_000,)})
    write_tiff(tmp_path / "slide.tif", [page], bigtiff=True)
    slide = open_file(tmp_path / "slide.tif")
    for row in range(4):
        with pytest.raises(DecodeError):
            read_row(slide, row)


@pytest.mark.parametrize("compression", [slides.LZW, slides.DEFLATE])
def test_a_huge_compressed_strip_is_refused(tmp_path, open_file, compression):
    page = Page(BASE, tile=None, compression=compression)
    write_tiff(tmp_path / "slide.tif", [page])
    open_file(tmp_path / "slide.tif", max_tile_side=245)
    with pytest.raises(UnsupportedFormat, match="WSI_MAX_TILE_SIDE"):
        open_file(tmp_path / "slide.tif", max_tile_side=244)


def test_an_uncompressed_strip_is_cut_to_what_a_tile_may_have(tmp_path, open_file, pixels_of):
    write_tiff(tmp_path / "slide.tif", [Page(BASE, tile=None, compression=NONE)])
    slide = open_file(tmp_path / "slide.tif", max_tile_side=64)
    assert slide.info.levels[0].stored_tile_size.pixels <= 64 * 64
    assert (pixels_of(slide, 0) == BASE).all()


def test_strips_of_absurd_length_are_refused(tmp_path, open_file):
    wide = {256: Tag(LONG, (2**20 + 1,))}
    grey = np.zeros((1, 16), np.uint8)
    page = Page(grey, tile=None, compression=NONE, photometric=BLACK_IS_ZERO, overrides=wide)
    write_tiff(tmp_path / "slide.tif", [page])
    with pytest.raises(UnsupportedFormat, match="1048577 x 1"):
        open_file(tmp_path / "slide.tif")


@pytest.mark.parametrize("tile", [(8, 64), (64, 8), (1, 1)])
def test_a_swarm_of_tiny_tiles_is_refused(tmp_path, open_file, tile):
    page = Page(gradient(80, 70), tile=tile, compression=NONE)
    write_tiff(tmp_path / "slide.tif", [page])
    with pytest.raises(UnsupportedFormat, match="smaller than 16"):
        open_file(tmp_path / "slide.tif")


def test_an_image_of_one_tiny_tile_is_shown(tmp_path, open_file, pixels_of):
    tiny = gradient(8, 5)
    write_tiff(tmp_path / "slide.tif", [Page(tiny, tile=(8, 8), compression=NONE)])
    assert (pixels_of(open_file(tmp_path / "slide.tif"), 0) == tiny).all()


def test_of_an_uncompressed_tile_no_more_is_read_than_its_pixels(tmp_path, open_file):
    counts = {325: Tag(LONG, (60_000,) * 4)}
    page = Page(gradient(128, 128), tile=(64, 64), compression=NONE, overrides=counts)
    tail = Page(gradient(256, 256), compression=NONE, subfile_type=4)
    write_tiff(tmp_path / "slide.tif", [page, tail])
    tiles = open_file(tmp_path / "slide.tif").read_tiles([TileAddress(0, 1, 1)])
    assert [len(part) for part in tiles[0].parts] == [64 * 64 * 3]


@pytest.mark.parametrize(("more", "fits"), [(0, True), (1, False)])
def test_a_compressed_tile_claims_no_more_than_its_pixels_can_need(tmp_path, open_file, more, fits):
    counts = {325: Tag(LONG, (4 * 64 * 64 + 4096 + more,) * 4)}
    grey = gradient(128, 128)[..., 0]
    page = Page(
        grey,
        tile=(64, 64),
        compression=slides.LZW,
        photometric=BLACK_IS_ZERO,
        overrides=counts,
    )
    tail = Page(gradient(256, 256), compression=NONE, subfile_type=4)
    write_tiff(tmp_path / "slide.tif", [page, tail])
    slide = open_file(tmp_path / "slide.tif")
    if fits:
        assert slide.read_tiles([TileAddress(0, 0, 0)])
    else:
        with pytest.raises(DecodeError, match="far more than its pixels need"):
            slide.read_tiles([TileAddress(0, 0, 0)])


@pytest.mark.parametrize("compression", [slides.JPEG, slides.JPEG2000])
def test_ycbcr_of_four_samples_is_refused_and_not_shown_in_wrong_colours(
    tmp_path, open_file, compression
):
    claims = {
        258: Tag(SHORT, (8,) * 4),
        259: Tag(SHORT, (compression,)),
        262: Tag(SHORT, (YCBCR,)),
        277: Tag(SHORT, (4,)),
    }
    write_tiff(tmp_path / "slide.tif", [Page(BASE, compression=NONE, overrides=claims)])
    with pytest.raises(UnsupportedFormat, match="three samples"):
        open_file(tmp_path / "slide.tif")


def test_a_list_of_tiles_behind_the_end_of_a_cut_file_is_told(tmp_path, open_file):
    painted = make_pyramid(
        tmp_path / "slide.tif",
        BASE,
        tile=(32, 32),
        downsamples=(1,),
        compression=NONE,
        photometric=RGB,
    )
    data = painted.path.read_bytes()
    painted.path.write_bytes(data[:-300])
    with pytest.raises(UnsupportedFormat, match="copied completely"):
        open_file(painted.path)


def test_a_tag_of_the_wrong_type_is_as_good_as_missing(tmp_path, open_file):
    text = Tag(UNDEFINED, b"many")
    page = Page(BASE, overrides={274: text, 296: text, 282: Tag(SHORT, (1, 2, 3))})
    write_tiff(tmp_path / "slide.tif", [page])
    info = open_file(tmp_path / "slide.tif").info
    assert (info.mpp_x, dict(info.properties)) == (None, {})


@pytest.mark.parametrize("distance", [6, 12])
def test_images_that_overlap_cannot_lead_the_parser_where_nothing_was_judged(
    tmp_path, open_file, distance
):
    # The same bytes are a tag of the first image and a count or an offset of the second.
    tags = struct.pack("<HHII", 254, LONG, 1, 0) * 3
    first = struct.pack("<H", 3) + tags + struct.pack("<I", 8 + distance)
    (tmp_path / "bomb.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + first + tags)
    with pytest.raises(UnsupportedFormat, match="overlap"):
        open_file(tmp_path / "bomb.tif")
