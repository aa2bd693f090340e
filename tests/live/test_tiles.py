"""GET /tiles: the right pixels, the right errors, the right headers."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.bucket import BUCKET, PREFIX, SLIDES, Bucket
from tests.live.client import Answer, difference
from tests.live.servers import Server, start_server
from tests.s3_server import S3Server
from tests.slides import reduced

PLAIN = "/tiles/plain.svs"
# What quality 95 and the slide's own compression may change, in grey levels on average.
LOSS = 2.0
TOO_LARGE = str(10**30)


def bodies(server: Server, target: str, count: int) -> list[Answer]:
    """Ask many times at once, over as many connections, so that every worker answers."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: server.ask(target), range(count)))


def wait_for_hits(server: Server, target: str) -> list[Answer]:
    """Ask until all workers answer from the store, which is written to in the background."""
    deadline = time.monotonic() + 5
    while True:
        answers = bodies(server, target, 40)
        if {answer.headers["X-Tile-Cache-Hit"] for answer in answers} == {"true"}:
            return answers
        assert time.monotonic() < deadline, f"{target} does not come from the store everywhere"
        time.sleep(0.02)


@pytest.mark.parametrize("name", SLIDES)
def test_every_stored_tile_shows_what_was_painted(
    live_server: Server, bucket: Bucket, name: str
) -> None:
    painted = bucket.painted[name]
    for level in range(len(painted.levels)):
        columns, rows = painted.grid(level)
        for col in range(columns):
            for row in range(rows):
                answer = live_server.ask(f"/tiles/{name}/{level}/{col}/{row}.jpg?quality=95")
                apart = difference(answer.pixels(), painted.tile(level, col, row))
                assert apart <= LOSS, f"{answer.what} is {apart:.1f} off"


def test_a_folder_gives_the_same_bytes_as_a_bucket(
    live_server: Server, folder_server: Server
) -> None:
    for target in (f"{PLAIN}/0/3/2.jpg", f"{PLAIN}/1/0/0.jpg?quality=60"):
        assert folder_server.ask(target).body == live_server.ask(target).body


def test_edge_tiles_are_cropped_to_the_level(live_server: Server) -> None:
    assert live_server.ask(f"{PLAIN}/0/5/4.jpg").pixels().shape == (76, 220, 3)
    assert live_server.ask(f"{PLAIN}/2/0/0.jpg").pixels().shape == (68, 93, 3)


def test_the_ending_jpg_may_be_left_out(live_server: Server) -> None:
    assert live_server.ask(f"{PLAIN}/0/1/1").body == live_server.ask(f"{PLAIN}/0/1/1.jpg").body


def test_quality_decides_size_and_is_named(live_server: Server) -> None:
    answers = [live_server.ask(f"{PLAIN}/0/1/1.jpg?quality={it}") for it in (1, 30, 80, 100)]
    assert [answer.headers["X-Tile-Quality"] for answer in answers] == ["1", "30", "80", "100"]
    sizes = [len(answer.body) for answer in answers]
    assert sizes == sorted(set(sizes))
    assert {answer.headers["X-Tile-Encoding"] for answer in answers} == {"encoded"}


def test_a_tile_leaves_as_the_scanner_wrote_it_unless_a_quality_is_asked_for(
    live_server: Server, bucket: Bucket
) -> None:
    painted = bucket.painted["plain.svs"]
    tile = live_server.ask(f"{PLAIN}/0/1/1.jpg")
    assert tile.headers["X-Tile-Encoding"] == "source"
    # What the file holds is of quality 95.
    assert tile.headers["X-Tile-Quality"] == "95"
    assert difference(tile.pixels(), painted.tile(0, 1, 1)) <= LOSS
    made = live_server.ask("/slides/plain.svs/thumbnail?max_size=100").headers
    assert (made["X-Tile-Encoding"], made["X-Tile-Quality"]) == ("encoded", "80")


def test_the_operator_sets_quality_and_age(configured_server: Server) -> None:
    headers = configured_server.ask(f"{PLAIN}/0/1/1.jpg").headers
    assert headers["X-Tile-Quality"] == "71"
    assert headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize(
    "path",
    [f"{PLAIN}/0/0/0.jpg", "/slides/plain.svs/thumbnail", "/slides/plain.svs/dzi_files/9/0_0.jpg"],
)
@pytest.mark.parametrize(
    "quality",
    [
        *("0", "101", "-1", "+5", "%2B5", "05", "%205", "5%20", "5%0A", "", "abc", "5.0", "1e1"),
        *("0x10", "1_0", "%D9%A3", "%EF%BC%95", "5,6", "true", "NaN", TOO_LARGE, "1" * 5000),
        *("50&quality=60", "50&quality=50"),
    ],
)
def test_a_quality_outside_its_grammar_is_never_guessed(
    live_server: Server, path: str, quality: str
) -> None:
    if len(quality) > 4000:
        quality = quality[:3500]
    answer = live_server.ask(f"{path}?quality={quality}")
    assert answer.error() == (400, "invalid_quality")


@pytest.mark.parametrize("level", ["3", "99", TOO_LARGE, "-1"])
def test_a_level_out_of_range_is_told_the_range(live_server: Server, level: str) -> None:
    answer = live_server.ask(f"{PLAIN}/{level}/0/0.jpg")
    assert answer.error() == (400, "invalid_level")
    assert "0-2" in answer.message


@pytest.mark.parametrize("level", ["abc", "+0", "00", "0.0", "%D9%A0", "%20", "1_0"])
def test_a_level_that_is_no_number_is_refused(live_server: Server, level: str) -> None:
    assert live_server.ask(f"{PLAIN}/{level}/0/0.jpg").error() == (400, "invalid_level")


@pytest.mark.parametrize(
    "place", ["6/0", "0/5", f"{TOO_LARGE}/0", f"0/{TOO_LARGE}", "-1/0", "0/-1"]
)
def test_a_tile_out_of_bounds_is_told_the_bounds(live_server: Server, place: str) -> None:
    answer = live_server.ask(f"{PLAIN}/0/{place}.jpg")
    assert answer.error() == (400, "tile_out_of_bounds")
    assert "0-5" in answer.message
    assert "0-4" in answer.message


@pytest.mark.parametrize("place", ["a/0", "0/a", "+1/0", "0/01", "%D9%A3/0", "0/0.0", "0/%20"])
def test_a_tile_that_is_no_number_is_refused(live_server: Server, place: str) -> None:
    assert live_server.ask(f"{PLAIN}/0/{place}.jpg").error() == (400, "tile_out_of_bounds")


def test_a_tile_of_no_slide_is_not_found(live_server: Server) -> None:
    answer = live_server.ask("/tiles/no-such.svs/0/0/0.jpg")
    assert answer.error() == (404, "not_found")
    assert answer.message == "Slide not found: no-such.svs"


@pytest.mark.parametrize(
    "path",
    [
        f"{PLAIN}/1/0/0.jpg?quality=41",
        "/slides/plain.svs/thumbnail?quality=41",
        "/slides/plain.svs/dzi_files/8/0_0.jpg?quality=41",
    ],
)
def test_a_tile_is_made_once_for_all_workers(live_server: Server, path: str) -> None:
    first = live_server.ask(path)
    assert first.headers["X-Tile-Cache-Hit"] == "false"
    again = wait_for_hits(live_server, path)
    assert {answer.body for answer in again} == {first.body}


def test_all_who_ask_at_once_get_the_same_bytes(live_server: Server) -> None:
    answers = bodies(live_server, f"{PLAIN}/0/2/2.jpg?quality=43", 32)
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert len({answer.headers["ETag"] for answer in answers}) == 1


def test_qualities_and_tiles_are_not_mixed_up_in_the_store(live_server: Server) -> None:
    targets = [
        f"/tiles/{name}/{level}/{col}/0.jpg?quality={quality}"
        for name in ("plain.svs", "rgb.svs", "tiles-of-240.svs")
        for level in (0, 1)
        for col in (0, 1)
        for quality in (50, 51)
    ]
    first = [live_server.ask(target) for target in targets]
    again = [live_server.ask(target) for target in targets]
    assert [answer.body for answer in again] == [answer.body for answer in first]
    assert len({answer.body for answer in first}) == len(targets)
    assert len({answer.headers["ETag"] for answer in first}) == len(targets)


@pytest.mark.parametrize(
    "path",
    [f"{PLAIN}/0/0/0.jpg", "/slides/plain.svs/thumbnail", "/slides/plain.svs/dzi_files/8/0_0.jpg"],
)
def test_browsers_may_keep_images_and_ask_whether_they_changed(
    live_server: Server, path: str
) -> None:
    answer = live_server.ask(path)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["X-Tile-Cache-Hit"] in ("true", "false")
    etag = answer.headers["ETag"]
    for condition in (etag, f'"other", {etag}', "*"):
        unchanged = live_server.ask(path, If_None_Match=condition)
        assert (unchanged.status, unchanged.body) == (304, b"")
        assert unchanged.headers["ETag"] == etag
        assert unchanged.headers["Cache-Control"] == answer.headers["Cache-Control"]
    assert live_server.ask(path, If_None_Match='"other"').body == answer.body


@pytest.mark.parametrize("name", ["flat.tif", "strips.tif"])
def test_a_flat_file_is_served_with_levels_made_on_demand(
    live_server: Server, bucket: Bucket, name: str
) -> None:
    base = bucket.painted[name].levels[0]
    levels = live_server.ask(f"/slides/{name}").json()["levels"]
    sizes = [(level["width"], level["height"], level["downsample"]) for level in levels]
    assert sizes == [(900, 700, 1.0), (450, 350, 2.0), (225, 175, 4.0)]
    for level in levels:
        expected = reduced(base, int(level["downsample"]), round_up=True)
        for col in range(level["tiles_x"]):
            for row in range(level["tiles_y"]):
                place = f"{level['level']}/{col}/{row}"
                tile = live_server.ask(f"/tiles/{name}/{place}.jpg?quality=95").pixels()
                x, y = col * level["tile_width"], row * level["tile_height"]
                wanted = expected[y : y + level["tile_height"], x : x + level["tile_width"]]
                assert difference(tile, wanted) <= LOSS, place


def test_every_worker_makes_the_same_bytes(s3: S3Server, bucket: Bucket) -> None:
    """Without a store each answer is made anew, by whichever worker takes the connection."""
    targets = (
        "/tiles/plain.svs/0/2/1.jpg",
        "/tiles/jpeg2000-33003.svs/0/1/1.jpg?quality=95",
        "/slides/plain.svs/dzi_files/9/0_0.jpg",
        "/slides/plain.svs/thumbnail?max_size=100",
    )
    off = dict.fromkeys(("WSI_CACHE_TILES", "WSI_CACHE_MEMORY", "WSI_CACHE_PIXELS"), "0")
    with start_server(f"s3://{BUCKET}/{PREFIX}", {**s3.environ(), **off}) as server:
        for target in targets:
            answers = bodies(server, target, 24)
            assert {answer.status for answer in answers} == {200}
            assert {answer.headers["X-Tile-Cache-Hit"] for answer in answers} == {"false"}
            assert len({answer.body for answer in answers}) == 1
