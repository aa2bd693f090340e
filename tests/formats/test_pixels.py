"""Every way of storing pixels gives the pixels that were painted."""

import numpy as np
import pytest

from tests import slides
from tests.slides import Jpeg, gradient, make_pyramid, make_svs
from tests.slides.page import (
    BLACK_IS_ZERO,
    PALETTE,
    PREMULTIPLIED,
    RGB,
    STRAIGHT,
    UNSPECIFIED,
    WHITE_IS_ZERO,
    YCBCR,
)

LOSSLESS = {
    "none": slides.NONE,
    "lzw": slides.LZW,
    "deflate": slides.DEFLATE,
    "old-deflate": slides.OLD_DEFLATE,
    "zstd": slides.ZSTD,
}
FILES = {
    "classic-le": {},
    "classic-be": {"big_endian": True},
    "big-le": {"bigtiff": True},
    "big-be": {"big_endian": True, "bigtiff": True},
    "ifd-first": {"layout": "ifd_first"},
}


def smooth(width, height):
    """Colours that change slowly, so that halved chroma loses next to nothing."""
    x = np.linspace(20, 230, width)[None, :].repeat(height, 0)
    y = np.linspace(230, 40, height)[:, None].repeat(width, 1)
    return np.dstack([x, y, (x + y) / 2]).astype(np.uint8)


def assert_shows(slide, painted, pixels_of, within=0.0):
    assert len(slide.info.stored_levels) == len(painted.levels)
    for level, truth in enumerate(painted.levels):
        shown = pixels_of(slide, level)
        assert shown.shape == truth.shape
        assert np.abs(shown.astype(int) - truth).mean() <= within


def assert_exact(slide, painted, pixels_of):
    assert_shows(slide, painted, pixels_of)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
@pytest.mark.parametrize("compression", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("predictor", [1, 2])
def test_lossless_codecs_are_exact_in_every_kind_of_file(
    tmp_path, open_file, pixels_of, compression, predictor, file
):
    painted = make_pyramid(
        tmp_path / "slide.tif",
        gradient(300, 210),
        tile=(64, 48),
        compression=compression,
        photometric=RGB,
        predictor=predictor,
        **file,
    )
    assert_exact(open_file(painted.path), painted, pixels_of)


@pytest.mark.parametrize("compression", LOSSLESS.values(), ids=LOSSLESS)
@pytest.mark.parametrize("big_endian", [False, True])
def test_16_bits_are_scaled_and_not_cut(tmp_path, open_file, pixels_of, compression, big_endian):
    wide = gradient(200, 150).astype(np.uint16) * 257
    painted = make_pyramid(
        tmp_path / "slide.tif",
        wide,
        tile=(64, 64),
        compression=compression,
        photometric=RGB,
        predictor=2,
        big_endian=big_endian,
    )
    assert_exact(open_file(painted.path), painted, pixels_of)


@pytest.mark.parametrize("planar", [False, True], ids=["chunky", "planar"])
@pytest.mark.parametrize("samples", [1, 3, 4])
def test_samples_in_planes_are_put_together(tmp_path, open_file, pixels_of, samples, planar):
    color = gradient(200, 150)
    pixels = {1: color[..., 0], 3: color, 4: np.dstack([color, color[..., 1]])}[samples]
    painted = make_pyramid(
        tmp_path / "slide.tif",
        pixels,
        tile=(64, 48),
        compression=slides.DEFLATE,
        photometric=BLACK_IS_ZERO if samples == 1 else RGB,
        planar=planar,
        extra_samples=(UNSPECIFIED,) if samples == 4 else (),
    )
    assert_exact(open_file(painted.path), painted, pixels_of)


@pytest.mark.parametrize("kind", [PREMULTIPLIED, STRAIGHT], ids=["premultiplied", "straight"])
def test_transparent_pixels_show_white_glass(tmp_path, open_file, pixels_of, kind):
    color = gradient(100, 80)
    alpha = np.linspace(0, 255, 100, dtype=np.uint8)[None, :].repeat(80, 0)
    if kind == PREMULTIPLIED:
        color = (color.astype(int) * alpha[..., None] // 255).astype(np.uint8)
    painted = make_pyramid(
        tmp_path / "slide.tif",
        np.dstack([color, alpha]),
        tile=(64, 64),
        compression=slides.NONE,
        photometric=RGB,
        extra_samples=(kind,),
    )
    slide = open_file(painted.path)
    assert_shows(slide, painted, pixels_of, within=1)
    assert (pixels_of(slide, 0)[:, 0] == 255).all()


def test_white_is_zero_is_not_served_as_a_negative(tmp_path, open_file, pixels_of):
    painted = make_pyramid(
        tmp_path / "slide.tif",
        gradient(100, 80)[..., 0],
        tile=(64, 64),
        compression=slides.LZW,
        photometric=WHITE_IS_ZERO,
    )
    assert_exact(open_file(painted.path), painted, pixels_of)


def test_palettes_give_their_colours(tmp_path, open_file, pixels_of):
    palette = np.random.default_rng(3).integers(0, 256, (256, 3), dtype=np.uint8)
    painted = make_pyramid(
        tmp_path / "slide.tif",
        gradient(100, 80)[..., 0],
        tile=(64, 64),
        compression=slides.DEFLATE,
        photometric=PALETTE,
        palette=palette,
    )
    assert_exact(open_file(painted.path), painted, pixels_of)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
@pytest.mark.parametrize("subsampling", ["444", "422", "420"])
@pytest.mark.parametrize("shared_tables", [True, False], ids=["tables", "no-tables"])
def test_ycbcr_jpeg_keeps_its_colours(
    tmp_path, open_file, pixels_of, subsampling, shared_tables, file
):
    painted = make_svs(
        tmp_path / "slide.svs",
        smooth(500, 380),
        tile=(240, 240),
        photometric=YCBCR,
        jpeg=Jpeg(subsampling=subsampling, shared_tables=shared_tables),
        **file,
    )
    assert_shows(open_file(painted.path), painted, pixels_of, within=1)


@pytest.mark.parametrize("ids", [b"\x01\x02\x03\x04", b"RGBA"], ids=["libtiff-ids", "tifffile-ids"])
@pytest.mark.parametrize("adobe", [None, 0, 1], ids=["no-marker", "adobe-rgb", "adobe-ycc"])
def test_rgb_jpeg_is_not_taken_for_ycbcr(tmp_path, open_file, pixels_of, ids, adobe):
    painted = make_svs(
        tmp_path / "slide.svs",
        gradient(500, 380),
        tile=(256, 128),
        photometric=RGB,
        jpeg=Jpeg(component_ids=ids, adobe=adobe),
    )
    assert_shows(open_file(painted.path), painted, pixels_of, within=1)


@pytest.mark.parametrize(
    ("compression", "photometric", "subsampled"),
    [
        (slides.JPEG2000_YCBCR, YCBCR, False),
        (slides.JPEG2000_YCBCR, YCBCR, True),
        (slides.JPEG2000_YCBCR, RGB, False),
        (slides.JPEG2000_RGB, RGB, False),
        (slides.JPEG2000, RGB, False),
        (slides.JPEG2000, BLACK_IS_ZERO, False),
    ],
)
def test_jpeg_2000_keeps_its_colours(
    tmp_path, open_file, pixels_of, compression, photometric, subsampled
):
    pixels = smooth(300, 280)
    painted = make_svs(
        tmp_path / "slide.svs",
        pixels[..., 0] if photometric == BLACK_IS_ZERO else pixels,
        tile=(256, 256),
        compression=compression,
        photometric=photometric,
        jpeg2000_subsampled=subsampled,
        associated=(),
    )
    assert_shows(open_file(painted.path), painted, pixels_of, within=1)


@pytest.mark.parametrize("samples", [3, 4])
def test_webp_tiles_are_served(tmp_path, open_file, pixels_of, samples):
    color = gradient(300, 200)
    alpha = np.full(color.shape[:2], 255, np.uint8)
    painted = make_pyramid(
        tmp_path / "slide.tif",
        color if samples == 3 else np.dstack([color, alpha]),
        tile=(128, 128),
        compression=slides.WEBP,
        photometric=RGB,
        extra_samples=(STRAIGHT,) if samples == 4 else (),
    )
    assert_shows(open_file(painted.path), painted, pixels_of, within=2)


def test_missing_tiles_are_white(tmp_path, open_file, pixels_of):
    painted = make_pyramid(
        tmp_path / "slide.tif",
        gradient(300, 200),
        tile=(64, 64),
        compression=slides.DEFLATE,
        photometric=RGB,
        sparse={(1, 1), (4, 3)},
    )
    slide = open_file(painted.path)
    assert_exact(slide, painted, pixels_of)
    assert (pixels_of(slide, 0)[64:128, 64:128] == 255).all()


@pytest.mark.parametrize("rows", [1, 7, 64, 150, 1000], ids=lambda rows: f"{rows}-rows")
@pytest.mark.parametrize("compression", [slides.NONE, slides.LZW, slides.JPEG])
def test_strips_of_any_height_give_their_pixels(tmp_path, open_file, pixels_of, rows, compression):
    # Strips of JPEG hold whole blocks of 8 rows (libtiff asks for 16).
    rows = -(-rows // 16) * 16 if compression == slides.JPEG else rows
    painted = make_pyramid(
        tmp_path / "flat.tif",
        gradient(200, 900),
        downsamples=(1,),
        tile=None,
        rows_per_strip=rows,
        compression=compression,
        photometric=RGB,
    )
    slide = open_file(painted.path)
    assert_shows(slide, painted, pixels_of, within=1 if compression == slides.JPEG else 0)


def test_one_huge_uncompressed_strip_is_read_in_parts(tmp_path, open_file):
    painted = make_pyramid(
        tmp_path / "flat.tif",
        gradient(300, 1000),
        downsamples=(1,),
        tile=None,
        compression=slides.NONE,
        photometric=RGB,
    )
    grid = open_file(painted.path).info.levels[0].stored_grid
    assert grid.tile.height <= 256
    assert grid.rows == 4
