"""StoredTiles: few requests where a viewer moves, few bytes where access is random."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsi_streamer.errors import StorageUnreachable
from wsi_streamer.formats.runs import TileRuns
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout, TileAddress
from wsi_streamer.service.finished_image import FinishedImage
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.movement import Step
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.reading_locks import ReadingLocks
from wsi_streamer.service.stored_tiles import Request, StoredTiles

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


class FakeShelf:
    """A store that all workers of a test share; what is kept is there once `publish` is called."""

    def __init__(self, images, is_slow=False):
        self.images = images
        self.is_slow = is_slow
        self.waiting = []

    def find(self, address):
        return self.images.get(address)

    find_stored = find

    def keep(self, tiles, stored):
        def publish():
            for address, tile in tiles.items():
                self.images[address] = FinishedImage(tile.parts[0], 80, is_source=True)
            stored()

        if self.is_slow:
            self.waiting.append(publish)
            return dict(tiles)
        publish()
        return {}


@pytest.fixture
def slide():
    return FakeSlide()


@pytest.fixture
def opened(slide):
    keys = SlideKeys("s3://bucket", "a.svs", "1")
    return OpenedSlide("a.svs", slide, keys, reads_verify=True, clock=time.monotonic)


def make_tiles(path=None, max_ahead=200_000):
    return StoredTiles(ReadingLocks(path), max_ahead=max_ahead, max_memory=1_000_000, patience_s=5)


@pytest.fixture
def tiles(tmp_path):
    return make_tiles(tmp_path / "lock")


def eventually(condition):
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def data_of(wanted):
    return wanted.parts[0] if isinstance(wanted, EncodedTile) else wanted.data


def test_a_tile_that_is_near_nothing_costs_its_own_bytes_alone(tiles, opened, slide):
    address = TileAddress(0, 3, 5)
    assert tiles.read(Request(opened, address, ALONE, None)) == tile_at(address)
    assert slide.reads == [(address,)]


def test_eight_tiles_of_a_row_cost_a_viewer_one_request(tiles, opened, slide):
    for col in range(8, 16):
        address = TileAddress(0, col, 5)
        assert data_of(tiles.read(Request(opened, address, NEAR, None))) == f"{col}/5".encode()
    assert [len(read) for read in slide.reads] == [8]


def test_tiles_read_ahead_go_to_the_store_of_all_workers(tiles, opened, slide):
    images = {}
    address = TileAddress(0, 10, 5)
    image = tiles.read(Request(opened, address, NEAR, FakeShelf(images)))
    assert image.data == b"10/5"
    assert sorted(it.col for it in images) == list(range(8, 16))


def test_requests_at_the_same_time_share_one_read(tiles, opened, slide):
    slide.gate.clear()
    places = [TileAddress(0, col, 5) for col in range(8, 16)]
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(tiles.read, Request(opened, place, NEAR, None)) for place in places]
        time.sleep(0.1)
        slide.gate.set()
        got = [answer.result(10) for answer in answers]
    assert [data_of(tile) for tile in got] == [f"{col}/5".encode() for col in range(8, 16)]
    assert len(slide.reads) == 1


def test_the_same_tile_for_eight_clients_is_read_once(tiles, opened, slide):
    slide.gate.clear()
    request = Request(opened, TileAddress(0, 3, 5), ALONE, None)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(tiles.read, request) for _ in range(8)]
        time.sleep(0.1)
        slide.gate.set()
        assert {answer.result(10).parts for answer in answers} == {(b"3/5",)}
    assert len(slide.reads) == 1


def test_what_another_worker_is_reading_is_not_read_again(tmp_path, opened, slide):
    images = {}
    shelf, other_shelf = FakeShelf(images, is_slow=True), FakeShelf(images)
    # Locks belong to processes, so that two workers in one process need two files: the lock of
    # the other is held here by hand.
    tiles = make_tiles()
    held = {"is_held": True}
    tiles._locks.find = lambda _: None if held["is_held"] else (lambda: None)
    make_tiles().read(Request(opened, TileAddress(0, 9, 5), NEAR, shelf))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(tiles.read, Request(opened, TileAddress(0, 10, 5), NEAR, other_shelf))
        time.sleep(0.05)
        assert not answer.done()
        shelf.waiting.pop()()
        held["is_held"] = False
        assert answer.result(10).data == b"10/5"
    assert len(slide.reads) == 1


def test_a_read_that_fails_fails_for_its_own_request_only(tiles, opened, slide):
    slide.gate.clear()
    slide.errors = [StorageUnreachable("gone")]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(tiles.read, Request(opened, TileAddress(0, 8, 5), NEAR, None))
        assert eventually(lambda: slide.reads)
        second = pool.submit(tiles.read, Request(opened, TileAddress(0, 9, 5), NEAR, None))
        time.sleep(0.05)
        slide.gate.set()
        with pytest.raises(StorageUnreachable):
            first.result(10)
        assert second.result(10) == tile_at(TileAddress(0, 9, 5))


def test_the_row_below_is_there_before_a_viewer_asks_for_it(tiles, opened, slide):
    images = {}
    shelf = FakeShelf(images)
    tiles.read(Request(opened, TileAddress(0, 9, 5), DOWN, shelf))
    assert eventually(lambda: TileAddress(0, 9, 6) in images)
    assert len(slide.reads) == 2
    # The first tile of that row which is wanted brings the next row; others bring nothing.
    for col in (9, 10, 11):
        tiles.follow(Request(opened, TileAddress(0, col, 6), DOWN, shelf))
    assert eventually(lambda: TileAddress(0, 9, 7) in images)
    time.sleep(0.05)
    assert len(slide.reads) == 3


def test_reading_ahead_stops_at_the_edge_of_the_slide(tiles, opened, slide):
    images = {}
    tiles.read(Request(opened, TileAddress(0, 9, 39), DOWN, FakeShelf(images)))
    time.sleep(0.05)
    assert {it.row for it in images} == {39}


def test_what_goes_wrong_ahead_is_no_error_of_the_request(tiles, opened, slide):
    slide.errors = [StorageUnreachable("gone"), StorageUnreachable("gone")]
    with pytest.raises(StorageUnreachable):
        tiles.read(Request(opened, TileAddress(0, 9, 5), DOWN, None))
    assert eventually(lambda: not slide.errors)
    assert tiles.read(Request(opened, TileAddress(0, 9, 6), NEAR, None)).parts == (b"9/6",)


def test_a_tile_wanted_again_after_its_run_is_read_alone(tiles, opened, slide):
    request = Request(opened, TileAddress(0, 9, 5), NEAR, None)
    tiles.read(request)
    tiles.read(request)
    assert [len(read) for read in slide.reads] == [8, 1]


def test_reading_ahead_can_be_switched_off(opened, slide):
    tiles = make_tiles(max_ahead=0)
    for col in range(4):
        tiles.read(Request(opened, TileAddress(0, col, 0), DOWN, None))
    tiles.follow(Request(opened, TileAddress(0, 4, 0), DOWN, None))
    assert [len(read) for read in slide.reads] == [1] * 4


def test_a_read_proves_that_the_slide_is_unchanged(tiles, opened):
    before = time.monotonic()
    tiles.read(Request(opened, TileAddress(0, 3, 5), ALONE, None))
    assert opened.checked_at >= before
