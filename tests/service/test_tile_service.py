"""TileService: tiles, made levels, thumbnails, and what the caches may and may not do."""

import io

import numpy as np
import pytest
from PIL import Image

from tests import slides
from tests.slides import JPEG2000_RGB, flat, gradient, make_pyramid, make_svs
from tests.slides.page import RGB
from wsi_streamer.errors import InvalidLevel, SlideNotFound, TileOutOfBounds, UnsupportedFormat
from wsi_streamer.model.geometry import Region, ScaledRegion
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service import encoding
from wsi_streamer.service.image_cache import ImageCache


def shown(image):
    with Image.open(io.BytesIO(image.data)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_each_tile_shows_its_part_cropped_to_the_level(tmp_path, service):
    painted = make_svs(tmp_path / "s.svs", gradient(700, 500), tile=(240, 192))
    for level in range(len(painted.levels)):
        columns, rows = painted.grid(level)
        for col in range(columns):
            for row in range(rows):
                tile = shown(service.tile("s.svs", TileAddress(level, col, row), 95))
                truth = painted.tile(level, col, row)
                assert tile.shape == truth.shape
                assert np.abs(tile - truth).mean() < 3


def test_a_tile_is_made_once_and_then_comes_from_the_store(tmp_path, service, monkeypatch):
    make_svs(tmp_path / "s.svs")
    first = service.tile("s.svs", TileAddress(0, 1, 1), 70)
    monkeypatch.setattr(encoding, "decode_tile", lambda _: pytest.fail("decoded again"))
    again = service.tile("s.svs", TileAddress(0, 1, 1), 70)
    assert (first.cache_hit, again.cache_hit) == (False, True)
    assert (first.data, first.etag) == (again.data, again.etag)


def test_what_was_decoded_for_a_viewer_is_not_decoded_again_in_another_worker(
    tmp_path, service, other_service, writer, monkeypatch
):
    make_svs(tmp_path / "s.svs", compression=JPEG2000_RGB, tile=(64, 64))
    places = [TileAddress(0, col, 1) for col in range(6)]
    seen = [service.tile("s.svs", it, None).data for it in places]
    assert writer.flush(10)
    monkeypatch.setattr(encoding, "decode_tile", lambda _: pytest.fail("decoded again"))
    assert [other_service.tile("s.svs", it, None).data for it in places] == seen


def test_nothing_is_decoded_by_a_thread_that_others_wait_for(tmp_path, service, monkeypatch):
    make_svs(tmp_path / "s.svs", compression=JPEG2000_RGB, tile=(64, 64))
    told = []
    service._before_waiting.tell(lambda: told.append(True))
    decode = encoding.decode_tile
    monkeypatch.setattr(encoding, "decode_tile", lambda it: (told.append(False), decode(it))[1])
    for col in range(6):
        service.tile("s.svs", TileAddress(0, col, 1), None)
    decoded = [number for number, is_told in enumerate(told) if not is_told]
    assert len(decoded) == 6
    assert all(told[number - 1] for number in decoded)


def test_qualities_do_not_get_in_each_others_way(tmp_path, service):
    make_svs(tmp_path / "s.svs")
    source = service.tile("s.svs", TileAddress(0, 1, 1), None)
    low = service.tile("s.svs", TileAddress(0, 1, 1), 20)
    usual = service.tile("s.svs", TileAddress(0, 1, 1), 80)
    assert (source.quality, low.quality, usual.quality) == (95, 20, 80)
    assert (source.is_source, low.is_source, usual.is_source) == (True, False, False)
    assert len(low.data) < len(usual.data) < len(source.data)
    assert len({source.etag, low.etag, usual.etag}) == 3


def test_who_has_a_tile_gets_it_from_no_cache_and_no_storage(tmp_path, service, monkeypatch):
    make_svs(tmp_path / "s.svs")
    etag = service.tile("s.svs", TileAddress(0, 1, 1), None).etag
    for name in ("find_remembered", "find_either"):
        monkeypatch.setattr(ImageCache, name, lambda *_: pytest.fail("looked up"))
    again = service.tile("s.svs", TileAddress(0, 1, 1), None, lambda it: it == etag)
    assert (again.is_unchanged, again.data, again.etag) == (True, b"", etag)


def test_who_has_the_tile_of_a_replaced_slide_gets_the_new_one(tmp_path, service, clock):
    make_svs(tmp_path / "s.svs", flat(300, 200, (200, 0, 0)))
    etag = service.tile("s.svs", TileAddress(0, 0, 0), None).etag
    make_svs(tmp_path / "s.svs", flat(300, 200, (0, 200, 0)))
    clock.now += 6
    again = service.tile("s.svs", TileAddress(0, 0, 0), None, lambda it: it == etag)
    assert not again.is_unchanged
    assert again.etag != etag


def test_a_tile_of_a_slide_that_grew_is_not_out_of_bounds(tmp_path, service, clock):
    make_svs(tmp_path / "s.svs", flat(300, 200, (200, 0, 0)))
    service.tile("s.svs", TileAddress(0, 0, 0), None)
    make_svs(tmp_path / "s.svs", flat(2000, 200, (0, 200, 0)))
    clock.now += 6
    assert service.tile("s.svs", TileAddress(0, 6, 0), None).data


def test_a_deepzoom_tile_that_is_one_of_the_file_shares_its_entry(tmp_path, service):
    make_svs(tmp_path / "s.svs", gradient(1024, 1024))
    tile = service.tile("s.svs", TileAddress(0, 1, 2), None)
    region = service.region("s.svs", lambda _: ScaledRegion(1, Region(256, 512, 256, 256)), None)
    assert region.cache_hit
    assert region.data == tile.data


@pytest.mark.parametrize("tile", [(64, 64), None], ids=["tiled", "strips"])
def test_a_flat_file_is_served_at_every_made_level(tmp_path, service, tile):
    base = gradient(900, 700)
    make_pyramid(
        tmp_path / "flat.tif",
        base,
        downsamples=(1,),
        tile=tile,
        compression=slides.LZW,
        photometric=RGB,
    )
    info = service.details("flat.tif").info
    assert [level.downsample for level in info.levels] == [1, 2, 4]
    for level in info.levels:
        canvas = np.zeros((level.size.height, level.size.width, 3))
        for col in range(level.grid.columns):
            for row in range(level.grid.rows):
                region = level.grid.region(col, row)
                part = shown(service.tile("flat.tif", TileAddress(level.index, col, row), 95))
                canvas[region.y : region.bottom, region.x : region.right] = part
        factor = int(level.downsample)
        truth = base.reshape(700 // factor, factor, 900 // factor, factor, 3).mean((1, 3))
        assert np.abs(canvas - truth).mean() < 2.5


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (TileAddress(2, 0, 0), InvalidLevel),
        (TileAddress(0, 6, 0), TileOutOfBounds),
        (TileAddress(0, 0, 5), TileOutOfBounds),
        (TileAddress(1, 2, 0), TileOutOfBounds),
    ],
)
def test_what_lies_outside_is_refused_with_the_valid_range(tmp_path, service, address, error):
    make_svs(tmp_path / "s.svs")
    with pytest.raises(error, match="valid range"):
        service.tile("s.svs", address, None)


@pytest.mark.parametrize(
    ("size", "expected"), [(64, (64, 47)), (512, (512, 375)), (2048, (1500, 1100))]
)
def test_thumbnails_keep_their_shape_and_are_never_enlarged(tmp_path, service, size, expected):
    base = gradient(1500, 1100)
    make_svs(tmp_path / "s.svs", base)
    thumbnail = shown(service.thumbnail("s.svs", size, 95))
    assert thumbnail.shape[1::-1] == expected
    with Image.fromarray(base) as picture:
        truth = np.asarray(picture.resize(expected, Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(thumbnail - truth).mean() < 8


@pytest.mark.parametrize("name", ["nope.svs", "notes.txt", "../s.svs", "", "a//b.svs", "x" * 2000])
def test_what_is_no_slide_is_not_found(tmp_path, service, name):
    (tmp_path / "notes.txt").write_text("no slide")
    with pytest.raises(SlideNotFound, match="^Slide not found"):
        service.details(name)


def test_a_file_that_is_no_tiff_is_refused_with_a_reason(tmp_path, service):
    (tmp_path / "fake.svs").write_bytes(b"GIF89a" * 10)
    (tmp_path / "empty.svs").write_bytes(b"")
    with pytest.raises(UnsupportedFormat, match="magic"):
        service.details("fake.svs")
    with pytest.raises(UnsupportedFormat, match="too small"):
        service.details("empty.svs")
