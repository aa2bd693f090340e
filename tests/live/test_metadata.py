"""GET /slides/{slide_id}: what programs learn of a slide before they ask for tiles."""

import pytest

from tests.live.bucket import SLIDES, Bucket
from tests.live.servers import Server

FIELDS = [
    *("slide_id", "format", "width", "height", "level_count", "levels"),
    *("mpp_x", "mpp_y", "objective_power", "vendor", "associated_images", "properties"),
    "version",
]
LEVEL_FIELDS = [
    *("level", "width", "height", "tile_width", "tile_height", "tiles_x", "tiles_y", "downsample"),
]


def test_published_fields_come_first_and_in_their_order(live_server: Server) -> None:
    document = live_server.ask("/slides/plain.svs").json()
    assert list(document) == FIELDS
    assert all(list(level) == LEVEL_FIELDS for level in document["levels"])


def test_an_aperio_slide_is_described_in_full(live_server: Server) -> None:
    document = live_server.ask("/slides/plain.svs").json()
    assert document["slide_id"] == "plain.svs"
    assert document["format"] == "Aperio SVS"
    assert (document["width"], document["height"]) == (1500, 1100)
    assert document["level_count"] == 3
    assert document["mpp_x"] == document["mpp_y"] == 0.499
    assert document["objective_power"] == 20
    assert document["vendor"] == "aperio"
    assert sorted(document["associated_images"]) == ["label", "macro", "thumbnail"]
    assert document["properties"]["aperio.Filename"] == "synthetic"
    assert isinstance(document["version"], str)
    assert document["version"]


def test_a_plain_pyramid_says_no_more_than_its_file(live_server: Server) -> None:
    document = live_server.ask("/slides/pyramid.tif").json()
    assert document["format"] == "Generic Pyramidal TIFF"
    assert document["mpp_x"] == document["mpp_y"] == 0.25
    assert document["objective_power"] is None
    assert document["vendor"] is None
    assert document["associated_images"] == []
    assert live_server.ask("/slides/zstd.tif").json()["mpp_x"] is None


@pytest.mark.parametrize(
    "name", [name for name in SLIDES if name not in ("flat.tif", "strips.tif")]
)
def test_levels_are_those_of_the_file(live_server: Server, bucket: Bucket, name: str) -> None:
    painted = bucket.painted[name]
    document = live_server.ask(f"/slides/{name}").json()
    levels = document["levels"]
    assert document["level_count"] == len(levels) == len(painted.levels)
    for index, (level, pixels) in enumerate(zip(levels, painted.levels, strict=True)):
        height, width = pixels.shape[:2]
        assert level["level"] == index
        assert (level["width"], level["height"]) == (width, height)
        assert (level["tile_width"], level["tile_height"]) == painted.tile_size
        assert (level["tiles_x"], level["tiles_y"]) == painted.grid(index)
        assert level["downsample"] == pytest.approx(painted.size[0] / width, rel=0.02)
    assert levels[0]["downsample"] == 1.0


def test_unchanged_metadata_need_not_be_sent_again(live_server: Server) -> None:
    first = live_server.ask("/slides/plain.svs")
    again = live_server.ask("/slides/plain.svs", If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_health_names_the_version(live_server: Server) -> None:
    document = live_server.ask("/health").json()
    assert list(document) == ["status", "version"]
    assert document["status"] == "healthy"
    assert document["version"].count(".") == 2


def test_health_needs_no_signature(signed_server: Server) -> None:
    assert signed_server.ask("/health").json()["status"] == "healthy"
