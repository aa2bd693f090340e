"""GET /slides/{slide_id}/thumbnail: the whole slide in one picture."""

import numpy as np
import pytest
from PIL import Image

from tests.live.bucket import SLIDES, Bucket
from tests.live.client import difference
from tests.live.servers import Server
from tests.slides import gradient, make_pyramid

PATH = "/slides/plain.svs/thumbnail"
CLAMPED = ("X-Thumbnail-Size-Clamped", "X-Thumbnail-Requested-Size", "X-Thumbnail-Actual-Size")


@pytest.mark.parametrize("name", SLIDES)
def test_a_thumbnail_shows_the_whole_slide(live_server: Server, bucket: Bucket, name: str) -> None:
    seen = live_server.ask(f"/slides/{name}/thumbnail?max_size=300&quality=95").pixels()
    size = (seen.shape[1], seen.shape[0])
    levels = [level for level in bucket.painted[name].levels if level.shape[1] >= size[0]]
    wanted = np.asarray(Image.fromarray(levels[-1]).resize(size, Image.Resampling.BOX))
    assert difference(seen, wanted) <= 3.0


@pytest.mark.parametrize(("asked", "width"), [("64", 64), ("300", 300), ("1499", 1499)])
def test_a_thumbnail_has_the_size_asked_for_and_the_shape_of_the_slide(
    live_server: Server, asked: str, width: int
) -> None:
    answer = live_server.ask(f"{PATH}?max_size={asked}")
    height, seen_width = answer.pixels().shape[:2]
    assert seen_width == width
    assert abs(height - width * 1100 / 1500) <= 1
    assert not [name for name in CLAMPED if name in answer.headers]


def test_a_thumbnail_is_512_pixels_by_default(live_server: Server) -> None:
    answer = live_server.ask(PATH)
    assert answer.pixels().shape[1] == 512
    assert answer.headers["X-Tile-Quality"] == "80"


def test_a_slide_higher_than_wide_keeps_its_shape(live_server: Server, bucket: Bucket) -> None:
    path = bucket.painted["tiny.tif"].path.with_name("high.tif")
    make_pyramid(path, gradient(300, 1200), downsamples=(1, 2))
    bucket.put("high/one.tif", path.read_bytes())
    try:
        seen = live_server.ask("/slides/high/one.tif/thumbnail?max_size=200").pixels()
    finally:
        bucket.delete("high/one.tif")
    assert seen.shape == (200, 50, 3)


def test_a_thumbnail_is_never_larger_than_the_slide(live_server: Server) -> None:
    assert live_server.ask("/slides/tiny.tif/thumbnail").pixels().shape == (30, 40, 3)
    assert live_server.ask(f"{PATH}?max_size=2048").pixels().shape == (1100, 1500, 3)


@pytest.mark.parametrize(
    ("asked", "actual", "width"),
    [("4096", "2048", 1500), ("2049", "2048", 1500), ("63", "64", 64), ("0", "64", 64)]
    + [("-5", "64", 64), ("999999999", "2048", 1500)],
)
def test_a_size_out_of_range_is_clamped_and_the_answer_says_so(
    live_server: Server, asked: str, actual: str, width: int
) -> None:
    answer = live_server.ask(f"{PATH}?max_size={asked}")
    assert [answer.headers[name] for name in CLAMPED] == ["true", asked, actual]
    assert answer.pixels().shape[1] == width


@pytest.mark.parametrize("size", ["abc", "", "1.5", "+300", "%D9%A3", "3_00", "300&max_size=301"])
def test_a_size_that_is_no_number_is_refused(live_server: Server, size: str) -> None:
    assert live_server.ask(f"{PATH}?max_size={size}").error()[0] == 400


def test_a_thumbnail_of_no_slide_is_not_found(live_server: Server) -> None:
    answer = live_server.ask("/slides/no-such.svs/thumbnail")
    assert answer.error() == (404, "not_found")
