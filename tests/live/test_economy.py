"""What a view costs the storage: requests and bytes, counted and not timed."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.faulty_s3 import FaultyS3, Request
from tests.live.servers import Server, start_server
from tests.slides import Painted, gradient, make_svs

NAME = "slide.svs"
SIDE, COLUMNS, ROWS = 128, 40, 30
# What a window of the size of a screen shows of the slide.
ACROSS, DOWN = 8, 5


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Painted:
    base = gradient(COLUMNS * SIDE, ROWS * SIDE)
    return make_svs(tmp_path_factory.mktemp("economy") / NAME, base, tile=(SIDE, SIDE))


@pytest.fixture
def storage(painted: Painted) -> Iterator[FaultyS3]:
    with FaultyS3({NAME: painted.path.read_bytes()}) as storage:
        yield storage


@pytest.fixture
def env(storage: FaultyS3, tmp_path: Path) -> dict[str, str]:
    return {
        "WSI_S3_ENDPOINT": storage.endpoint,
        "WSI_S3_ANONYMOUS": "true",
        "WSI_CACHE_DIR": str(tmp_path / "cache"),
        # A quarter of the default, as these tiles have a quarter of the usual pixels.
        "WSI_READ_AHEAD": "49152",
        "WSI_REVALIDATE_S": "60",
    }


def start(storage: FaultyS3, env: dict[str, str]) -> Server:
    return start_server(f"s3://{storage.bucket}", env)


def path_of(place: tuple[int, int]) -> str:
    return f"/tiles/{NAME}/0/{place[0]}/{place[1]}.jpg"


def ask_all(server: Server, places: Sequence[tuple[int, int]]) -> int:
    """Ask for tiles one after the other; return the bytes of all answers."""
    served = 0
    for place in places:
        answer = server.ask(path_of(place))
        assert answer.status == 200
        served += len(answer.body)
    return served


def settled(storage: FaultyS3) -> list[Request]:
    """Return the requests when no more come, and all that is to be stored is.

    Reading ahead goes on behind the answers, and so does storing, half a second later.
    """
    count = -1
    while count != len(storage.requests):
        count = len(storage.requests)
        time.sleep(0.8)
    return list(storage.requests)


def bytes_of(requests: Sequence[Request]) -> int:
    ranges = [request.range.removeprefix("bytes=").split("-") for request in requests]
    return sum(int(last) - int(first) + 1 for first, last in ranges)


def session() -> list[tuple[int, int]]:
    """Return the tiles that a viewer asks for on its way right, down and left again."""
    corners = [(col, 4) for col in range(2, 22, 2)]
    corners += [(20, row) for row in range(6, 20, 2)]
    corners += [(col, 18) for col in range(18, 4, -2)]
    views = [[(x + i, y + j) for j in range(DOWN) for i in range(ACROSS)] for x, y in corners]
    return list(dict.fromkeys(place for view in views for place in view))


def test_random_access_costs_one_request_and_its_own_bytes_for_each_tile(
    storage: FaultyS3, env: dict[str, str]
) -> None:
    places = [(col, row) for col in range(0, COLUMNS, 4) for row in range(0, ROWS, 3)]
    random.Random(3).shuffle(places)
    with start(storage, env) as server:
        ask_all(server, [(39, 29)])
        settled(storage)
        storage.requests.clear()
        served = ask_all(server, places)
        requests = settled(storage)
    assert len(requests) == len(places)
    # What is served has tables that the file holds once.
    assert bytes_of(requests) <= served


def test_a_viewer_costs_a_request_for_four_tiles_and_twice_the_bytes_at_most(
    storage: FaultyS3, env: dict[str, str]
) -> None:
    places = session()
    with start(storage, env) as server:
        ask_all(server, [(39, 29)])
        settled(storage)
        storage.requests.clear()
        served = ask_all(server, places)
        requests = settled(storage)
        storage.requests.clear()
        assert ask_all(server, places) == served
        assert settled(storage) == []
    assert len(requests) <= 0.25 * len(places)
    assert bytes_of(requests) <= 2 * served
    # Nor does it cost another worker anything, which was not there before.
    with start(storage, env) as server:
        assert ask_all(server, places) == served
        assert settled(storage) == []


def test_an_unknown_slide_costs_its_ends_and_the_tile(
    storage: FaultyS3, env: dict[str, str]
) -> None:
    with start(storage, env) as server:
        ask_all(server, [(20, 15)])
        requests = settled(storage)
    assert [request.method for request in requests] == ["GET"] * 3
    head, tail, tile = sorted(requests, key=lambda it: bool(it.if_match))
    assert {head.range.split("-")[0], tail.range.split("-")[0]} == {"bytes=0", "bytes="}
    assert tile.if_match


def test_a_known_slide_costs_one_request_for_a_tile_after_a_restart(
    storage: FaultyS3, env: dict[str, str]
) -> None:
    with start(storage, env) as server:
        ask_all(server, [(20, 15)])
        settled(storage)
    storage.requests.clear()
    with start(storage, env) as server:
        ask_all(server, [(30, 20)])
        (request,) = settled(storage)
    assert (request.method, bool(request.if_match)) == ("GET", True)


def test_who_has_a_tile_costs_the_storage_nothing(storage: FaultyS3, env: dict[str, str]) -> None:
    with start(storage, env) as server:
        etag = server.ask(path_of((20, 15))).headers["ETag"]
        settled(storage)
        storage.requests.clear()
        for _ in range(20):
            assert server.ask(path_of((20, 15)), **{"If-None-Match": etag}).status == 304
        assert settled(storage) == []


def test_a_made_tile_costs_each_tile_of_the_file_once(
    storage: FaultyS3, env: dict[str, str]
) -> None:
    with start(storage, {**env, "WSI_READ_AHEAD": "0", "WSI_COALESCE_GAP": "4096"}) as server:
        info = server.ask(f"/slides/{NAME}").json()
        settled(storage)
        storage.requests.clear()
        top = (max(info["width"], info["height"]) - 1).bit_length()
        answer = server.ask(f"/slides/{NAME}_files/{top - 1}/5_4.jpg")
        assert answer.headers["X-Tile-Encoding"] == "encoded"
        requests = settled(storage)
    # Two tiles beside each other, and the two below them.
    assert len(requests) == 2
