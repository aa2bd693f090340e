"""Which images of a file are levels, and what is known of a slide."""

import numpy as np
import pytest

from tests import slides
from tests.slides import Page, gradient, make_pyramid, make_svs, reduced, write_tiff
from tests.slides.page import BLACK_IS_ZERO, YCBCR
from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.levels import is_reduced
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.slide import Level, SlideInfo

BASE = gradient(1000, 700)


def sizes(slide):
    return [(level.size.width, level.size.height) for level in slide.info.levels]


def test_an_svs_tells_what_its_scanner_wrote(tmp_path, open_file):
    painted = make_svs(tmp_path / "slide.svs", photometric=YCBCR)
    info = open_file(painted.path).info
    assert (info.format, info.vendor) == ("Aperio SVS", "aperio")
    assert (info.mpp_x, info.mpp_y, info.objective_power) == (0.499, 0.499, 20)
    assert info.associated_images == ("label", "macro", "thumbnail")
    assert info.properties["aperio.Filename"] == "synthetic"
    assert [level.downsample for level in info.levels] == [1, pytest.approx(4, abs=0.01)]


@pytest.mark.parametrize("aperio", ["", "MPP = x|AppMag = -", "MPP = 0|AppMag = 0", "MPP = 352.7"])
def test_an_unknown_resolution_is_never_invented(tmp_path, open_file, aperio):
    painted = make_svs(tmp_path / "slide.svs", aperio=aperio)
    info = open_file(painted.path).info
    assert (info.mpp_x, info.objective_power) == (None, None)


@pytest.mark.parametrize(
    ("resolution", "mpp"),
    [
        (((20_000, 1), 3), 0.5),
        (((50_800, 1), 2), 0.5),
        (((72, 1), 2), None),
        (((20_000, 1), 1), None),
        (((0, 0), 3), None),
        (None, None),
    ],
    ids=["per-cm", "per-inch", "72-dpi", "no-unit", "zero", "none"],
)
def test_tiff_resolution_counts_only_where_a_scanner_can_have_written_it(
    tmp_path, open_file, resolution, mpp
):
    painted = make_pyramid(tmp_path / "slide.tif", BASE, resolution=resolution)
    assert open_file(painted.path).info.mpp_x == mpp


def test_masks_and_other_images_between_levels_are_no_levels(tmp_path, open_file):
    half, quarter = reduced(BASE, 2), reduced(BASE, 4)
    mask = np.zeros((700, 1000), np.uint8)
    pages = [
        Page(BASE),
        Page(mask, subfile_type=4, compression=slides.DEFLATE, photometric=BLACK_IS_ZERO),
        Page(half, subfile_type=1),
        Page(gradient(500, 500), subfile_type=1),
        Page(BASE),
        Page(quarter, subfile_type=1),
    ]
    write_tiff(tmp_path / "slide.tif", pages)
    assert sizes(open_file(tmp_path / "slide.tif")) == [(1000, 700), (500, 350), (250, 175)]


def test_levels_in_any_order_with_other_tile_sizes_are_found(tmp_path, open_file, pixels_of):
    half, quarter = reduced(BASE, 2), reduced(BASE, 4)
    pages = [
        Page(BASE, tile=(256, 128), compression=slides.LZW),
        Page(quarter, tile=(64, 64), subfile_type=1, compression=slides.LZW),
        Page(half, tile=(48, 512), subfile_type=1, compression=slides.LZW),
    ]
    write_tiff(tmp_path / "slide.tif", pages)
    slide = open_file(tmp_path / "slide.tif")
    assert sizes(slide) == [(1000, 700), (500, 350), (250, 175)]
    assert [level.tile_size for level in slide.info.levels] == [
        Size(256, 128),
        Size(48, 512),
        Size(64, 64),
    ]
    for level, truth in enumerate((BASE, half, quarter)):
        assert (pixels_of(slide, level) == truth).all()


def test_a_file_without_a_pyramid_has_made_levels_down_to_one_tile(tmp_path, open_file):
    painted = make_pyramid(tmp_path / "flat.tif", BASE, downsamples=(1,), tile=(240, 240))
    info = open_file(painted.path).info
    assert [(level.size.width, level.size.height) for level in info.levels] == [
        (1000, 700),
        (500, 350),
        (250, 175),
        (125, 88),
    ]
    assert [level.stored_tile_size is None for level in info.levels] == [False, True, True, True]


def test_strips_are_served_in_square_tiles(tmp_path, open_file):
    painted = make_pyramid(tmp_path / "flat.tif", BASE, downsamples=(1,), tile=None)
    info = open_file(painted.path).info
    assert info.levels[0].tile_size == Size(256, 256)
    assert info.levels[0].stored_tile_size != Size(256, 256)


@pytest.mark.parametrize(
    ("tile", "wording"),
    [
        ((256, 256), "File is not a pyramidal TIFF (single resolution only)"),
        (None, "File uses strip organization instead of tiles"),
    ],
)
def test_a_flat_file_over_the_limit_is_refused_with_the_way_out(tmp_path, open_file, tile, wording):
    painted = make_pyramid(tmp_path / "flat.tif", BASE, downsamples=(1,), tile=tile)
    with pytest.raises(UnsupportedFormat) as caught:
        open_file(painted.path, flat_max_pixels=699_999)
    assert str(caught.value).startswith(wording)
    assert "vips tiffsave" in str(caught.value)
    open_file(painted.path, flat_max_pixels=700_000)


@pytest.mark.parametrize(
    ("compression", "name"),
    [(2, "CCITT"), (6, "old-style JPEG"), (34934, "JPEG XR"), (34925, "LZMA"), (52479, "52479")],
)
def test_a_codec_that_is_not_allowed_is_named(tmp_path, open_file, compression, name):
    compressed = slides.Tag(slides.page.SHORT, (compression,))
    page = Page(BASE, compression=slides.NONE, overrides={259: compressed})
    write_tiff(tmp_path / "slide.tif", [page])
    with pytest.raises(UnsupportedFormat, match=name):
        open_file(tmp_path / "slide.tif")


def test_jpeg_2000_can_be_switched_off(tmp_path, open_file):
    painted = make_svs(
        tmp_path / "slide.svs", gradient(300, 300), compression=slides.JPEG2000_RGB, associated=()
    )
    with pytest.raises(UnsupportedFormat, match="WSI_JPEG2000"):
        open_file(painted.path, jpeg2000=False)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (Size(11500, 8228), True),
        (Size(2875, 2057), True),
        (Size(718, 514), True),
        (Size(46000, 32914), False),
        (Size(1024, 1024), False),
        (Size(387, 463), False),
        (Size(1280, 431), False),
        (Size(90000, 64000), False),
    ],
)
def test_only_pictures_of_the_slides_shape_are_its_levels(size, expected):
    assert is_reduced(Size(46000, 32914), size) == expected


@pytest.mark.parametrize(
    "limits",
    [{"max_tiles": 11}, {"max_tile_side": 255}, {"open_max_bytes": 100}, {"max_ifds": 2}],
    ids=lambda limits: next(iter(limits)),
)
def test_a_file_that_asks_for_more_than_its_share_is_refused(tmp_path, open_file, limits):
    painted = make_pyramid(tmp_path / "slide.tif", BASE)
    open_file(painted.path)
    with pytest.raises(UnsupportedFormat):
        open_file(painted.path, **limits)


APERIO = "Aperio Image Library v11\r\n1024x1024 [0,0 1024x1024] (256x256) JPEG|MPP = 0.5"


def square(side, color=0, **options):
    return Page(slides.flat(side, side, (color, color, color)), **options)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("label", "label 512x512"),
        ("macro", "macro 512x512"),
        ("thumbnail", "1024x1024 -> 512x512 - |MPP = 0.5"),
    ],
)
def test_a_tiled_label_is_never_shown_as_tissue(tmp_path, open_file, name, line):
    pages = [
        square(1024, description=APERIO),
        square(256, description=APERIO),
        square(512, subfile_type=1, description=f"Aperio Image Library v11\r\n{line}"),
    ]
    write_tiff(tmp_path / "slide.svs", pages)
    slide = open_file(tmp_path / "slide.svs")
    assert sizes(slide) == [(1024, 1024), (256, 256)]
    assert slide.info.associated_images == (name,)


def stored_sizes(slide):
    return [(level.size.width, level.size.height) for level in slide.info.stored_levels]


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        ((1001, 500), 1),
        ((1001, 500, 250), 3),
        ((1001, 501, 251, 125), 4),
        ((1001, 333, 111), 3),
        ((1001, 250, 62), 3),
        ((1001, 500, 250, 200), 3),
        ((1001, 500, 125), 1),
        ((1001, 200, 40), 1),
        ((1001, 1000, 999), 1),
    ],
)
def test_unmarked_pages_are_levels_only_where_they_shrink_regularly(
    tmp_path, open_file, sides, expected
):
    write_tiff(tmp_path / "slide.tif", [square(side) for side in sides])
    slide = open_file(tmp_path / "slide.tif")
    assert stored_sizes(slide) == [(side, side) for side in sides[:expected]]


def test_an_unmarked_page_among_marked_levels_is_another_picture(tmp_path, open_file):
    pages = [square(1024), square(512), square(256, subfile_type=1)]
    write_tiff(tmp_path / "slide.tif", pages)
    assert stored_sizes(open_file(tmp_path / "slide.tif")) == [(1024, 1024), (256, 256)]


def test_a_picture_hardly_smaller_than_a_level_is_none(tmp_path, open_file):
    sides = (1024, 1020, 700, 690, 460, 233, 150)
    pages = [square(side, subfile_type=int(side != 1024)) for side in sides]
    write_tiff(tmp_path / "slide.tif", pages)
    assert stored_sizes(open_file(tmp_path / "slide.tif")) == [
        (side, side) for side in (1024, 460, 233, 150)
    ]


@pytest.mark.parametrize(
    "first",
    [
        square(256, 9, subfile_type=1),
        square(256, 9, subfile_type=1, tile=None, rows_per_strip=16),
        square(256, 9, tile=None, rows_per_strip=16),
        square(512, 9),
        Page(slides.flat(300, 100, (9, 9, 9)), tile=None, rows_per_strip=16),
    ],
    ids=["marked", "marked-strips", "strips", "same-shape", "macro-in-strips"],
)
def test_a_small_first_picture_does_not_hide_the_slide(tmp_path, open_file, first):
    pages = [first, square(1024, 200), square(128, 200, subfile_type=1)]
    write_tiff(tmp_path / "slide.tif", pages)
    assert sizes(open_file(tmp_path / "slide.tif"))[0] == (1024, 1024)


def test_a_first_picture_of_another_shape_stays_the_slide(tmp_path, open_file):
    write_tiff(tmp_path / "slide.tif", [Page(gradient(600, 300)), square(1024)])
    assert sizes(open_file(tmp_path / "slide.tif"))[0] == (600, 300)


@pytest.mark.parametrize(("value", "told"), [(1, None), (6, "6")])
def test_a_slide_that_lies_on_its_side_says_so(tmp_path, open_file, value, told):
    orientation = slides.Tag(slides.page.SHORT, (value,))
    write_tiff(tmp_path / "slide.tif", [Page(BASE, tags={274: orientation})])
    info = open_file(tmp_path / "slide.tif").info
    assert info.properties.get("tiff.Orientation") == told


def info_of(*widths):
    levels = tuple(
        Level(i, Size(it, it), Size(256, 256), widths[0] / it, Size(256, 256))
        for i, it in enumerate(widths)
    )
    return SlideInfo("TIFF", None, levels)


@pytest.mark.parametrize(
    ("widths", "downsample", "expected"),
    [
        ((1024, 1020), 1, 0),
        ((1024, 1020), 0.5, 0),
        ((46001, 11500, 2875), 4, 1),
        ((46001, 11500, 2875), 16, 2),
        ((46001, 11500, 2875), 4.5, 1),
        ((46001, 11500, 2875), 3.99, 0),
        ((1000, 498), 2, 0),
        ((1000, 398), 2.5, 0),
        ((1000, 400), 2.5, 1),
    ],
)
def test_a_view_is_never_made_of_a_level_too_coarse_for_it(widths, downsample, expected):
    assert info_of(*widths).best_stored_level(downsample).index == expected
