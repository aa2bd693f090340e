"""DeepZoom: every tile that a viewer may ask for exists, with the right size and pixels."""

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import openslide
import pytest
from openslide.deepzoom import DeepZoomGenerator

from tests.live.bucket import Bucket
from tests.live.client import Pixels, difference
from tests.live.servers import Server
from tests.slides import reduced

PUBLISHED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Image xmlns="http://schemas.microsoft.com/deepzoom/2008"
       TileSize="256"
       Overlap="0"
       Format="jpg">
  <Size Width="1500" Height="1100" />
</Image>"""
NAMES = [
    "plain.svs",
    "pyramid.tif",
    "tiles-of-240.svs",
    "jpeg2000-33003.svs",
    "flat.tif",
    "zstd.tif",
    "tiny.tif",
]
Place = tuple[int, int, int]
NAMESPACE = "{http://schemas.microsoft.com/deepzoom/2008}"


def tile_size(server: Server, name: str) -> int:
    root = ElementTree.fromstring(server.ask(f"/slides/{name}/dzi").body)
    assert root.tag == f"{NAMESPACE}Image"
    assert (root.attrib["Overlap"], root.attrib["Format"]) == ("0", "jpg")
    return int(root.attrib["TileSize"])


@pytest.mark.parametrize("target", ["/slides/plain.svs/dzi", "/slides/plain.svs.dzi"])
def test_the_descriptor_is_the_published_one(live_server: Server, target: str) -> None:
    answer = live_server.ask(target)
    assert answer.status == 200
    assert answer.headers["Content-Type"].split(";")[0] == "application/xml"
    assert answer.body == PUBLISHED


def compare(server: Server, name: str, wanted: Mapping[Place, Pixels], bound: float) -> None:
    """Ask for tiles and fail with all those that are not what is wanted.

    JPEG bends the steep colours of a tile of a few pixels: there, twice as much may be off.
    """

    def apart(place: Place) -> float:
        level, col, row = place
        target = f"/slides/{name}/dzi_files/{level}/{col}_{row}.jpg?quality=95"
        return difference(server.ask(target).pixels(), wanted[place])

    with ThreadPoolExecutor(4) as pool:
        values = dict(zip(wanted, pool.map(apart, wanted), strict=True))
    bounds = {place: bound * (1 + (min(it.shape[:2]) < 16)) for place, it in wanted.items()}
    assert {place: it for place, it in values.items() if it > bounds[place]} == {}


@pytest.mark.parametrize("name", [*NAMES, "strips.tif"])
def test_every_tile_of_every_level_shows_what_was_painted(
    live_server: Server, bucket: Bucket, name: str
) -> None:
    size, base = tile_size(live_server, name), bucket.painted[name].levels[0]
    top = math.ceil(math.log2(max(base.shape)))
    wanted = {}
    for level in range(top + 1):
        pixels = reduced(base, 2 ** (top - level), round_up=True)
        for row in range(math.ceil(pixels.shape[0] / size)):
            for col in range(math.ceil(pixels.shape[1] / size)):
                part = pixels[row * size : (row + 1) * size, col * size : (col + 1) * size]
                wanted[level, col, row] = part
    compare(live_server, name, wanted, 3.0)


@pytest.mark.parametrize("name", [*NAMES, "sparse.tif"])
def test_every_tile_shows_what_openslide_shows(
    live_server: Server, bucket: Bucket, name: str
) -> None:
    size = tile_size(live_server, name)
    wanted = {}
    with openslide.OpenSlide(bucket.painted[name].path) as slide:
        reference = DeepZoomGenerator(slide, tile_size=size, overlap=0, limit_bounds=False)
        for level, (columns, rows) in enumerate(reference.level_tiles):
            # OpenSlide stretches a level of so few pixels to whole ones.
            if min(reference.level_dimensions[level]) < 64:
                continue
            for place in ((col, row) for col in range(columns) for row in range(rows)):
                tile = reference.get_tile(level, place).convert("RGB")
                # It keeps the shape of its source, so that a side may be a pixel off.
                tile = tile.resize(reference.get_tile_dimensions(level, place))
                wanted[level, *place] = np.asarray(tile)
    compare(live_server, name, wanted, 4.0)


def test_tiles_that_the_file_holds_are_the_tiles_of_the_api(live_server: Server) -> None:
    for level, stored in ((11, 0), (9, 1)):
        tile = live_server.ask(f"/slides/plain.svs/dzi_files/{level}/0_0.jpg")
        assert tile.body == live_server.ask(f"/tiles/plain.svs/{stored}/0/0.jpg").body


def test_both_addresses_give_the_same_tiles(live_server: Server) -> None:
    for level in (0, 5, 10, 11):
        one = live_server.ask(f"/slides/plain.svs/dzi_files/{level}/0_0.jpg")
        other = live_server.ask(f"/slides/plain.svs_files/{level}/0_0.jpg")
        assert one.body == other.body


def test_the_smallest_level_is_one_pixel(live_server: Server) -> None:
    answer = live_server.ask("/slides/plain.svs/dzi_files/0/0_0.jpg")
    assert answer.pixels().shape == (1, 1, 3)


@pytest.mark.parametrize("level", ["12", "-1", "abc", "", str(10**30)])
def test_a_level_that_is_not_there_is_refused(live_server: Server, level: str) -> None:
    answer = live_server.ask(f"/slides/plain.svs/dzi_files/{level}/0_0.jpg")
    assert answer.error() in ((400, "invalid_level"), (404, "not_found"))


@pytest.mark.parametrize("place", ["0", "0_0_0", "a_b", "_", "0-0", "0_0.png", "%D9%A3_0"])
def test_what_is_no_tiles_name_is_not_found(live_server: Server, place: str) -> None:
    answer = live_server.ask(f"/slides/plain.svs/dzi_files/11/{place}")
    assert answer.error() == (404, "not_found")


@pytest.mark.parametrize("place", ["6_0", "0_5", "-1_0", "0_-1"])
def test_a_tile_that_is_not_there_is_refused(live_server: Server, place: str) -> None:
    answer = live_server.ask(f"/slides/plain.svs/dzi_files/11/{place}.jpg")
    assert answer.error() == (400, "tile_out_of_bounds")


@pytest.mark.parametrize("target", ["/slides/no.svs/dzi", "/slides/no.svs.dzi"])
def test_a_descriptor_of_no_slide_is_not_found(live_server: Server, target: str) -> None:
    assert live_server.ask(target).error() == (404, "not_found")
