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
from wsi_streamer.service import region_reader
from wsi_streamer.service.pixel_cache import PixelCache
from wsi_streamer.service.region_reader import RegionReader
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


def smooth(width, height):
    x, y = np.meshgrid(np.linspace(0, 250, width), np.linspace(250, 0, height))
    return np.dstack([x, y, (x + y) / 2]).astype(np.uint8)


def test_a_thumbnail_between_the_levels_keeps_the_picture_in_place(tmp_path, open_painted, reader):
    base = smooth(900, 600)
    slide = open_painted(make_pyramid(tmp_path / "s.tif", base, **EXACT))
    shown = reader.read_thumbnail(slide, "s", 300)
    truth = box_average(base, 3)
    # A shift by half a pixel would be 0.4.
    assert abs((shown.astype(int) - truth)[2:-2, 2:-2].mean()) < 0.3
    assert np.abs(shown.astype(int) - truth)[2:-2, 2:-2].max() <= 2


@pytest.mark.parametrize("downsamples", [(1, 3, 9), (1, 4), (1,)])
def test_odd_level_ratios_are_neither_shifted_nor_stretched(
    tmp_path, open_painted, reader, downsamples
):
    # 601 and 401 leave a rest at every scale.
    base = smooth(601, 401)
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", base, downsamples=downsamples, tile=(64, 64), **EXACT)
    )
    for downsample in (2, 4, 8, 16, 32, 64):
        width, height = -(-601 // downsample), -(-401 // downsample)
        shown = reader.read_downsampled(slide, "s", downsample, Region(0, 0, width, height))
        truth = box_average(base, downsample)
        apart = np.abs(shown.astype(int) - truth)
        # A fifth of a pixel: the picture changes by 0.6 from row to row.
        assert apart[:-1, :-1].max() <= 2 + downsample * 0.6 / 5
        # The last column and row may hold less than a whole pixel of a smaller level.
        assert apart.max() <= 3 + downsample * 250 / 401


def test_the_last_column_that_a_vendor_cut_off_does_not_fail(tmp_path, open_painted, reader):
    # 1025 / 4 is stored as 256 columns; DeepZoom asks for a 257th, in a tile of its own.
    slide = open_painted(make_svs(tmp_path / "s.svs", smooth(1025, 1025), **EXACT))
    shown = reader.read_downsampled(slide, "s", 4, Region(256, 256, 1, 1))
    assert np.abs(shown[0, 0].astype(int) - smooth(1025, 1025)[-1, -1]).max() <= 3


@pytest.mark.parametrize("color", [255, 200, 128, 1])
@pytest.mark.parametrize("size", [(1500, 1100), (2049, 700)])
def test_an_even_slide_has_its_colour_at_every_scale(tmp_path, open_painted, reader, size, color):
    base = np.full((size[1], size[0], 3), color, np.uint8)
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", base, downsamples=(1,), tile=(240, 240), **EXACT)
    )
    for power in range(12):
        scaled = Size(-(-size[0] // 2**power), -(-size[1] // 2**power))
        region = Region(0, 0, min(scaled.width, 256), min(scaled.height, 256))
        assert (reader.read_downsampled(slide, "s", 2**power, region) == color).all()


@pytest.mark.parametrize("layout", [{"tile": (240, 192)}, {"tile": None, "rows_per_strip": 100}])
def test_large_regions_are_exact_averages_read_tile_by_tile(
    tmp_path, open_painted, layout, monkeypatch
):
    base = gradient(1501, 1103)
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", base, downsamples=(1,), **layout, **EXACT)
    )
    reads, decode = [], region_reader.decode_tile
    monkeypatch.setattr(region_reader, "decode_tile", lambda *it: reads.append(it) or decode(*it))
    monkeypatch.setattr(region_reader, "WHOLE_PIXELS", 1000)
    reader = RegionReader(PixelCache(0), max_pixels=10_000_000)
    for downsample in (8, 300):
        reads.clear()
        width, height = -(-1501 // downsample), -(-1103 // downsample)
        shown = reader.read_downsampled(slide, "s", downsample, Region(0, 0, width, height))
        assert np.abs(shown - box_average(base, downsample)).max() <= 0.5
        grid = slide.info.levels[0].stored_grid
        assert len(reads) == grid.columns * grid.rows


def test_a_thin_slide_is_not_read_as_a_whole(tmp_path, open_painted, reader):
    base = smooth(2, 20_000)
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", base, downsamples=(1,), tile=None, **EXACT)
    )
    shown = reader.read_thumbnail(slide, "s", 64)
    assert shown.shape == (64, 1, 3)
    assert abs(int(shown[32, 0, 1]) - 125) < 5


def test_a_request_for_too_many_pixels_is_refused_before_any_is_read(
    tmp_path, open_painted, monkeypatch
):
    slide = open_painted(
        make_pyramid(tmp_path / "s.tif", gradient(900, 600), downsamples=(1,), **EXACT)
    )
    monkeypatch.setattr(type(slide), "read_tiles", lambda *_: pytest.fail("it was read"))
    reader = RegionReader(PixelCache(0), max_pixels=100_000)
    with pytest.raises(RegionTooLarge):
        reader.read(slide, "s", slide.info.levels[0], Region(0, 0, 400, 251))
    with pytest.raises(RegionTooLarge):
        reader.read_thumbnail(slide, "s", 450)
    with pytest.raises(RegionTooLarge):
        reader.read_downsampled(slide, "s", 2, Region(0, 0, 450, 300))


def test_where_levels_lie_far_apart_there_is_a_picture_still(tmp_path, open_painted):
    base = smooth(1600, 1600)
    slide = open_painted(make_pyramid(tmp_path / "s.tif", base, downsamples=(1, 16), **EXACT))
    reader = RegionReader(PixelCache(0), max_pixels=200_000)
    assert reader.read_thumbnail(slide, "s", 800).shape == (100, 100, 3)
    shown = reader.read_downsampled(slide, "s", 4, Region(0, 0, 400, 400))
    assert np.abs(shown.astype(int) - box_average(base, 4)).mean() < 4


def counted(monkeypatch):
    """Return a list that gets the scale of each tile that is decoded from now on."""
    scales, decode = [], region_reader.decode_tile

    def count(tile, reduce=0):
        scales.append(reduce)
        return decode(tile, reduce)

    monkeypatch.setattr(region_reader, "decode_tile", count)
    return scales


@pytest.mark.parametrize("subsampling", ["444", "420"])
def test_a_tile_of_a_made_level_is_four_stored_tiles_decoded_at_half_size(
    tmp_path, open_painted, reader, monkeypatch, subsampling
):
    base = gradient(1024, 1024)
    jpeg = slides.Jpeg(quality=90, subsampling=subsampling)
    slide = open_painted(make_svs(tmp_path / "s.svs", base, downsamples=(1,), jpeg=jpeg))
    scales = counted(monkeypatch)
    shown = reader.read_downsampled(slide, "s", 2, Region(256, 0, 256, 256))
    assert scales == [1] * 4
    assert np.abs(shown - box_average(base[:512, 512:], 2)).mean() <= 1.5


def test_a_thumbnail_decodes_each_tile_once_and_small(tmp_path, open_painted, reader, monkeypatch):
    base = smooth(2000, 1500)
    slide = open_painted(make_svs(tmp_path / "s.svs", base, downsamples=(1,)))
    scales = counted(monkeypatch)
    shown = reader.read_thumbnail(slide, "s", 200)
    # A tenth is made of an average of 4 x 4 pixels, and of a last step of 2.5.
    assert scales == [2] * (8 * 6)
    assert np.abs(shown.astype(int) - box_average(base, 10)).mean() <= 1.5


def test_tiles_that_do_not_fit_the_scale_are_averaged_together(
    tmp_path, open_painted, reader, monkeypatch
):
    # Squares of 32 pixels reach from one tile of 240 into the next.
    base = smooth(960, 960)
    slide = open_painted(make_svs(tmp_path / "s.svs", base, downsamples=(1,), tile=(240, 240)))
    scales = counted(monkeypatch)
    shown = reader.read_downsampled(slide, "s", 32, Region(0, 0, 30, 30))
    assert scales == [0] * 16
    assert np.abs(shown - box_average(base, 32)).max() <= 2


def test_pixels_of_one_scale_are_never_taken_for_those_of_another(tmp_path, open_painted, reader):
    base = gradient(512, 512)
    slide = open_painted(make_pyramid(tmp_path / "s.tif", base, downsamples=(1,), **EXACT))
    for _ in range(2):
        for downsample in (1, 2, 4):
            region = Region(0, 0, 512 // downsample, 512 // downsample)
            shown = reader.read_downsampled(slide, "s", downsample, region)
            assert np.abs(shown - box_average(base, downsample)).max() <= 0.5
