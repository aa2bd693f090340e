"""Regions at any scale: right pixels in the right place, and never more read than allowed."""

import numpy as np
import pytest

from tests import slides
from tests.slides import gradient, make_pyramid, make_svs
from tests.slides.page import RGB
from wsi_streamer.errors import RegionTooLarge
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits
from wsi_streamer.model.geometry import Region, Size
from wsi_streamer.service.pixel_cache import PixelCache
from wsi_streamer.service.region_reader import Box, RegionReader
from wsi_streamer.storage.local import LocalStorage

EXACT = {"compression": slides.DEFLATE, "photometric": RGB}


@pytest.fixture
def open_painted(tmp_path):
    opened = []

    def open_file(painted):
        slide = open_slide(LocalStorage(tmp_path).open(painted.path.name), Limits())
        opened.append(slide)
        return slide

    yield open_file
    for slide in opened:
        slide.close()


@pytest.fixture
def reader():
    return RegionReader(PixelCache(50_000_000), max_pixels=10_000_000)


def box_average(pixels, factor):
    """Average squares of `factor`; those at the edges over what there is of them."""
    height, width = -(-pixels.shape[0] // factor), -(-pixels.shape[1] // factor)
    averaged = np.empty((height, width, 3))
    for y in range(height):
        for x in range(width):
            part = pixels[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            averaged[y, x] = part.mean((0, 1))
    return averaged


@pytest.mark.parametrize(
    "region",
    [
        Region(0, 0, 64, 48),
        Region(10, 20, 200, 100),
        Region(63, 47, 2, 2),
        Region(250, 190, 100, 100),
        Region(-20, -10, 50, 40),
        Region(400, 400, 10, 10),
    ],
)
def test_a_region_across_tiles_and_edges_has_the_right_pixels(
    tmp_path, open_painted, reader, region
):
    base = gradient(301, 203)
    slide = open_painted(make_pyramid(tmp_path / "s.tif", base, tile=(64, 48), **EXACT))
    expected = np.full((region.height, region.width, 3), 255, np.uint8)
    inside = region.clipped(Size(301, 203))
    expected[
        inside.y - region.y : inside.bottom - region.y,
        inside.x - region.x : inside.right - region.x,
    ] = base[inside.y : inside.bottom, inside.x : inside.right]
    assert (reader.read(slide, "s", slide.info.levels[0], region) == expected).all()


@pytest.mark.parametrize("downsample", [2, 4, 8, 64])
@pytest.mark.parametrize("size", [(301, 203), (513, 257), (128, 128)])
def test_levels_that_a_file_lacks_are_averages_up_to_the_last_odd_pixel(
    tmp_path, open_painted, reader, size, downsample
):
    base = gradient(*size)
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", base, tile=(64, 48), downsamples=(1,), **EXACT)
    )
    truth = box_average(base, downsample)
    height, width = truth.shape[:2]
    whole = reader.read_downsampled(slide, "s", downsample, Region(0, 0, width, height))
    assert whole.shape == truth.shape
    assert np.abs(whole - truth).max() <= 1


def test_tiles_of_a_made_level_fit_without_a_seam(tmp_path, open_painted, reader):
    slide = open_painted(make_svs(tmp_path / "s.svs", gradient(1001, 777), tile=(240, 240)))
    whole = reader.read_downsampled(slide, "s", 2, Region(0, 0, 501, 389))
    for x in range(0, 501, 100):
        for y in range(0, 389, 100):
            region = Region(x, y, 100, 100).clipped(Size(501, 389))
            part = reader.read_downsampled(slide, "s", 2, region)
            assert (part == whole[region.y : region.bottom, region.x : region.right]).all()


def test_a_level_of_the_file_is_used_as_it_is(tmp_path, open_painted, reader):
    painted = make_svs(tmp_path / "s.svs", gradient(1001, 777), **EXACT)
    slide = open_painted(painted)
    # The file cuts off: 250 x 194; DeepZoom rounds up: 251 x 195.
    shown = reader.read_downsampled(slide, "s", 4, Region(0, 0, 251, 195))
    assert (shown[:194, :250] == painted.levels[1]).all()
    assert (shown[194] == shown[193]).all()
    assert (shown[:, 250] == shown[:, 249]).all()


def test_a_scale_between_the_levels_keeps_the_picture_in_place(tmp_path, open_painted, reader):
    x, y = np.meshgrid(np.linspace(0, 250, 900), np.linspace(250, 0, 600))
    base = np.dstack([x, y, (x + y) / 2]).astype(np.uint8)
    slide = open_painted(make_pyramid(tmp_path / "s.tif", base, **EXACT))
    truth = box_average(base, 3)
    for sharp in (False, True):
        shown = reader.read_scaled(slide, "s", Box(0, 0, 900, 600), Size(300, 200), sharp=sharp)
        # A shift by half a pixel would be 0.4.
        assert abs((shown.astype(int) - truth)[2:-2, 2:-2].mean()) < 0.3
        assert np.abs(shown.astype(int) - truth)[2:-2, 2:-2].max() <= 2


def test_odd_level_ratios_are_scaled_and_not_shifted(tmp_path, open_painted, reader):
    smooth = np.linspace(0, 255, 900)[None, :, None].repeat(600, 0).repeat(3, 2).astype(np.uint8)
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", smooth, downsamples=(1, 3, 9), tile=(64, 64), **EXACT)
    )
    for downsample in (2, 4, 8):
        width, height = -(-900 // downsample), -(-600 // downsample)
        shown = reader.read_downsampled(slide, "s", downsample, Region(0, 0, width, height))
        truth = box_average(smooth, downsample)
        assert np.abs(shown.astype(int) - truth).max() <= 3


def test_a_request_for_too_many_pixels_is_refused_before_any_is_read(
    tmp_path, open_painted, monkeypatch
):
    slide = open_painted(make_pyramid(tmp_path / "s.tif", gradient(900, 600), **EXACT))
    monkeypatch.setattr(type(slide), "read_tiles", lambda *_: pytest.fail("it was read"))
    reader = RegionReader(PixelCache(0), max_pixels=100_000)
    with pytest.raises(RegionTooLarge):
        reader.read(slide, "s", slide.info.levels[0], Region(0, 0, 400, 251))
    with pytest.raises(RegionTooLarge):
        reader.read_scaled(slide, "s", Box(0, 0, 900, 600), Size(450, 300))
