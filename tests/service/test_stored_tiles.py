"""StoredTiles: few requests where a viewer moves, few bytes where access is random."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsi_streamer.errors import StorageUnreachable
from wsi_streamer.formats.runs import TileRuns
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout, TileAddress
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.movement import Step
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.reading_locks import ReadingLocks
from wsi_streamer.service.stored_tiles import StoredTiles
from wsi_streamer.service.tile_request import Request

LAYOUT = PixelLayout(Codec.JPEG, Photometric.YCBCR)
TILE = Size(256, 256)
GRID = TileGrid(Size(40 * 256, 40 * 256), TILE)
PER_RUN = 8
ALONE, NEAR = Step(is_near=False, down=0), Step(is_near=True, down=0)
DOWN = Step(is_near=True, down=1)


def tile_at(address):
    return EncodedTile((f"{address.col}/{address.row}".encode(),), LAYOUT, TILE, TILE)


class FakeSlide:
    """Notes what is read, and keeps readers waiting while its gate is closed."""

    version = "1"

    def __init__(self):
        self.reads = []
        self.gate = threading.Event()
        self.gate.set()
        self.errors = []

    def runs(self, level, max_bytes):
        return TileRuns(GRID, PER_RUN)

    def run_around(self, address, max_bytes):
        runs = self.runs(0, max_bytes)
        members = runs.members(*runs.index_of(address.col, address.row))
        return tuple(TileAddress(address.level, col, row) for col, row in members)

    def read_tiles(self, addresses):
        self.reads.append(tuple(addresses))
        self.gate.wait(10)
        if self.errors:
            raise self.errors.pop()
        return [tile_at(address) for address in addresses]


class FakeRuns:
    """A store that all workers of a test share; what is kept is there once `publish` is called."""

    def __init__(self, runs=None, is_slow=False):
        self.runs = {} if runs is None else runs
        self.is_slow = is_slow
        self.waiting = []

    @property
    def tiles(self):
        return {address for tiles in self.runs.values() for address in tiles}

    def find(self, opened, run):
        tiles = self.runs.get(run)
        return None if tiles is None else dict(tiles)

    def takes(self, tiles):
        return True

    def keep(self, opened, run, tiles, stored):
        def publish():
            self.runs[run] = dict(tiles)
            if stored:
                stored()

        if self.is_slow:
            self.waiting.append(publish)
        else:
            publish()


class NoRuns(FakeRuns):
    """A store that is switched off."""

    def find(self, opened, run):
        return None


@pytest.fixture
def slide():
    return FakeSlide()


@pytest.fixture
def opened(slide):
    keys = SlideKeys("s3://bucket", "a.svs", "1")
    return OpenedSlide("a.svs", slide, keys, reads_verify=True, clock=time.monotonic)


def make_tiles(path=None, runs=None, max_ahead=200_000, max_memory=1_000_000):
    return StoredTiles(
        ReadingLocks(path),
        runs or FakeRuns(),
        max_ahead=max_ahead,
        max_memory=max_memory,
        patience_s=5,
    )


@pytest.fixture
def runs():
    return FakeRuns()


@pytest.fixture
def tiles(tmp_path, runs):
    return make_tiles(tmp_path / "lock", runs)


def get(tiles, request):
    """Return the bytes of a tile as a request gets them: found where others left them, or read."""
    return (tiles._find(request) or tiles.read(request)).tile.parts[0]


def eventually(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_a_tile_that_is_near_nothing_costs_its_own_bytes_alone(tiles, opened, slide):
    address = TileAddress(0, 3, 5)
    assert tiles.take(Request(opened, address, ALONE)) is None
    assert tiles.read(Request(opened, address, ALONE)).tile == tile_at(address)
    assert slide.reads == [(address,)]


def test_eight_tiles_of_a_row_cost_a_viewer_one_request(tiles, opened, slide):
    for col in (11, *range(8, 16)):
        address = TileAddress(0, col, 5)
        assert get(tiles, Request(opened, address, NEAR)) == f"{col}/5".encode()
    assert [len(read) for read in slide.reads] == [8]


def test_tiles_read_ahead_go_to_the_store_of_all_workers(tiles, opened, slide, runs):
    assert get(tiles, Request(opened, TileAddress(0, 10, 5), NEAR)) == b"10/5"
    assert sorted(it.col for it in runs.tiles) == list(range(8, 16))
    other = make_tiles(runs=runs)
    assert get(other, Request(opened, TileAddress(0, 11, 5), ALONE)) == b"11/5"
    assert get(other, Request(opened, TileAddress(0, 12, 5), ALONE)) == b"12/5"
    assert len(slide.reads) == 1


def test_requests_at_the_same_time_share_one_read(tiles, opened, slide):
    slide.gate.clear()
    places = [TileAddress(0, col, 5) for col in range(10, 14)]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(get, tiles, Request(opened, place, NEAR)) for place in places]
        time.sleep(0.1)
        slide.gate.set()
        got = [answer.result(10) for answer in answers]
    assert got == [f"{col}/5".encode() for col in range(10, 14)]
    assert len(slide.reads) == 1


def test_the_same_tile_for_eight_clients_is_read_once(tiles, opened, slide):
    slide.gate.clear()
    request = Request(opened, TileAddress(0, 3, 5), ALONE)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(tiles.read, request) for _ in range(8)]
        time.sleep(0.1)
        slide.gate.set()
        assert {answer.result(10).tile.parts for answer in answers} == {(b"3/5",)}
    assert len(slide.reads) == 1


def test_what_another_worker_is_reading_is_not_read_again(tmp_path, opened, slide):
    kept = {}
    slow = FakeRuns(kept, is_slow=True)
    # Locks belong to processes, so that two workers in one process need two files: the lock of
    # the other is held here by hand.
    tiles = make_tiles(runs=FakeRuns(kept))
    held = {"is_held": True}
    tiles._locks.find = lambda _: None if held["is_held"] else (lambda: None)
    get(make_tiles(runs=slow), Request(opened, TileAddress(0, 11, 5), NEAR))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, tiles, Request(opened, TileAddress(0, 10, 5), NEAR))
        time.sleep(0.05)
        assert not answer.done()
        slow.waiting.pop()()
        held["is_held"] = False
        assert answer.result(10) == b"10/5"
    assert len(slide.reads) == 1


def test_a_read_that_fails_fails_for_its_own_request_only(tiles, opened, slide):
    slide.gate.clear()
    slide.errors = [StorageUnreachable("gone")]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(tiles.read, Request(opened, TileAddress(0, 11, 5), NEAR))
        assert eventually(lambda: slide.reads)
        second = pool.submit(tiles.read, Request(opened, TileAddress(0, 12, 5), NEAR))
        time.sleep(0.05)
        slide.gate.set()
        with pytest.raises(StorageUnreachable):
            first.result(10)
        assert second.result(10).tile == tile_at(TileAddress(0, 12, 5))


def test_the_row_below_is_there_before_a_viewer_asks_for_it(tiles, opened, slide, runs):
    tiles.read(Request(opened, TileAddress(0, 10, 5), DOWN))
    assert eventually(lambda: TileAddress(0, 9, 6) in runs.tiles)
    assert len(slide.reads) == 2
    # The first tile of that row which is wanted brings the next row; others bring nothing.
    for col in (9, 10, 11):
        tiles.follow(Request(opened, TileAddress(0, col, 6), DOWN))
    assert eventually(lambda: TileAddress(0, 9, 7) in runs.tiles)
    time.sleep(0.05)
    assert len(slide.reads) == 3


def test_a_view_that_reaches_into_two_runs_waits_for_both_at_once(tiles, opened, slide, runs):
    tiles.read(Request(opened, TileAddress(0, 14, 5), NEAR))
    assert eventually(lambda: TileAddress(0, 16, 5) in runs.tiles)
    assert len(slide.reads) == 2
    tiles.read(Request(opened, TileAddress(0, 3, 9), NEAR))
    time.sleep(0.05)
    assert len(slide.reads) == 3


def test_reading_ahead_stops_at_the_edge_of_the_slide(tiles, opened, slide, runs):
    tiles.read(Request(opened, TileAddress(0, 10, 39), DOWN))
    time.sleep(0.05)
    assert {it.row for it in runs.tiles} == {39}


def test_what_goes_wrong_ahead_is_no_error_of_the_request(tiles, opened, slide):
    slide.errors = [StorageUnreachable("gone"), StorageUnreachable("gone")]
    with pytest.raises(StorageUnreachable):
        tiles.read(Request(opened, TileAddress(0, 10, 5), DOWN))
    assert eventually(lambda: not slide.errors)
    assert get(tiles, Request(opened, TileAddress(0, 9, 6), NEAR)) == b"9/6"


def test_a_tile_wanted_again_after_its_run_is_read_alone(opened, slide):
    tiles = make_tiles(runs=NoRuns())
    request = Request(opened, TileAddress(0, 11, 5), NEAR)
    tiles.read(request)
    tiles.read(request)
    assert [len(read) for read in slide.reads] == [8, 1]


def test_a_worker_without_memory_for_tiles_reads_none_of_them_twice(opened, slide):
    tiles = make_tiles(max_memory=0)
    assert get(tiles, Request(opened, TileAddress(0, 11, 5), NEAR)) == b"11/5"
    assert get(tiles, Request(opened, TileAddress(0, 12, 5), NEAR)) == b"12/5"
    assert [len(read) for read in slide.reads] == [8]


def test_reading_ahead_can_be_switched_off(opened, slide):
    tiles = make_tiles(max_ahead=0)
    for col in range(4):
        tiles.read(Request(opened, TileAddress(0, col, 0), DOWN))
    tiles.follow(Request(opened, TileAddress(0, 4, 0), DOWN))
    assert [len(read) for read in slide.reads] == [1] * 4


def test_a_read_proves_that_the_slide_is_unchanged(tiles, opened):
    before = time.monotonic()
    tiles.read(Request(opened, TileAddress(0, 3, 5), ALONE))
    assert opened.checked_at >= before
