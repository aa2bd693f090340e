"""SlideRegistry: one open a slide, fresh within seconds, and no more kept than allowed."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slides import flat, make_svs
from wsi_streamer.errors import SlideNotFound, StorageUnreachable
from wsi_streamer.formats import EXTENSIONS
from wsi_streamer.formats.base import Limits
from wsi_streamer.mappers.direct import DirectMapper
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service import slide_registry
from wsi_streamer.service.index_store import IndexStore
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.slide_registry import SlideRegistry
from wsi_streamer.storage.local import LocalStorage


@pytest.fixture
def opens(monkeypatch):
    """Count how often slides are opened, slowly."""
    counted = []
    real, gate = slide_registry.open_slide, threading.Event()

    def counting(reader, limits, reach):
        counted.append(reader)
        gate.wait(0.05)
        return real(reader, limits, reach)

    monkeypatch.setattr(slide_registry, "open_slide", counting)
    return counted


def test_a_herd_at_a_cold_slide_opens_it_once(tmp_path, registry, opens):
    make_svs(tmp_path / "s.svs")
    with ThreadPoolExecutor(16) as pool:
        slides = list(pool.map(registry.get, ["s.svs"] * 64))
    assert len(opens) == 1
    assert len(set(map(id, slides))) == 1


def test_one_failed_open_does_not_block_those_who_wait(tmp_path, registry, monkeypatch):
    make_svs(tmp_path / "s.svs")
    real, failures = slide_registry.open_slide, [StorageUnreachable("gone"), KeyboardInterrupt()]

    def failing(reader, limits, reach):
        if failures:
            reader.close()
            raise failures.pop()
        return real(reader, limits, reach)

    monkeypatch.setattr(slide_registry, "open_slide", failing)
    for error in (KeyboardInterrupt, StorageUnreachable):
        with pytest.raises(error):
            registry.get("s.svs")
    assert registry.get("s.svs").slide.info.format == "Aperio SVS"


def test_a_replaced_slide_is_fresh_after_the_trusted_time(tmp_path, registry, clock, opens):
    make_svs(tmp_path / "s.svs", flat(300, 200, (200, 0, 0)))
    old = registry.get("s.svs")
    make_svs(tmp_path / "s.svs", flat(400, 200, (0, 200, 0)))
    clock.now += 4.9
    assert registry.get("s.svs") is old
    clock.now += 0.2
    new = registry.get("s.svs")
    assert new.slide.info.size.width == 400
    assert new.slide.version != old.slide.version
    clock.now += 6
    assert registry.get("s.svs") is new
    assert len(opens) == 2


def test_a_deleted_slide_is_gone_after_the_trusted_time(tmp_path, registry, clock):
    make_svs(tmp_path / "s.svs")
    registry.get("s.svs")
    (tmp_path / "s.svs").unlink()
    clock.now += 6
    with pytest.raises(SlideNotFound):
        registry.get("s.svs")


def test_only_so_many_slides_stay_open(tmp_path, registry):
    for number in range(5):
        make_svs(tmp_path / f"{number}.svs", flat(300, 200, (number, 0, 0)))
    opened = [registry.get(f"{number}.svs") for number in range(5)]
    assert registry.get("4.svs") is opened[4]
    assert registry.get("0.svs") is not opened[0]


def test_a_slide_that_falls_out_is_still_read_by_those_who_hold_it(tmp_path, registry):
    for number in range(5):
        make_svs(tmp_path / f"{number}.svs", flat(300, 200, (number, 0, 0)))
    held = registry.get("0.svs")
    for number in range(1, 5):
        registry.get(f"{number}.svs")
    assert registry.get("0.svs") is not held
    registry.drop(registry.get("0.svs"))
    assert held.slide.read_tiles([TileAddress(0, 0, 0)])[0].parts


class FarStorage(LocalStorage):
    """A folder that behaves like a bucket: reads verify, and asking is counted."""

    reads_verify = True

    def __init__(self, root):
        super().__init__(root)
        self.asked = []

    def stat(self, key):
        self.asked.append(key)
        return super().stat(key)


@pytest.fixture
def far(tmp_path):
    return FarStorage(tmp_path)


@pytest.fixture
def new_worker(far, store, writer, clock):
    """Make the registry of another worker, or of this one after a restart."""

    def make():
        assert writer.flush(10)
        mapper = DirectMapper(far, EXTENSIONS, max_list_calls=20)
        indexes = IndexStore(store, writer, now=lambda: clock.now + 1e9)
        return SlideRegistry(mapper, indexes, Limits(), max_slides=3, revalidate_s=5, clock=clock)

    return make


def test_a_slide_that_any_worker_opened_is_not_parsed_again(tmp_path, new_worker, opens):
    make_svs(tmp_path / "s.svs")
    first = new_worker().get("s.svs").slide
    again = new_worker().get("s.svs").slide
    assert len(opens) == 1
    assert again.info == first.info
    place = [TileAddress(0, 0, 0)]
    assert again.read_tiles(place) == first.read_tiles(place)


def test_a_known_slide_is_not_asked_for_before_its_first_read(tmp_path, new_worker, far, clock):
    make_svs(tmp_path / "s.svs")
    new_worker().get("s.svs")
    clock.now += 60
    registry = new_worker()
    opened = registry.find("s.svs")
    asked_at = clock.now
    opened.slide.read_tiles([TileAddress(0, 0, 0)])
    opened.confirm(asked_at)
    registry.verify(opened)
    assert far.asked == []


def test_what_one_worker_saw_unchanged_no_other_asks_for(tmp_path, new_worker, far, clock):
    make_svs(tmp_path / "s.svs")
    one, other = new_worker(), new_worker()
    one.get("s.svs")
    assert other.get("s.svs")
    clock.now += 6
    one.get("s.svs")
    new_worker()
    other.get("s.svs")
    assert far.asked == ["s.svs"]


def test_workers_do_not_keep_each_other_from_asking(tmp_path, new_worker, far, clock):
    # What a worker heard from another counts from when that one asked, not from when it heard.
    make_svs(tmp_path / "s.svs")
    one, other = new_worker(), new_worker()
    one.get("s.svs")
    clock.now += 4
    new_worker()
    other.get("s.svs")
    clock.now += 2
    other.get("s.svs")
    assert far.asked == ["s.svs"]


def test_a_slide_replaced_while_no_worker_ran_is_never_served_from_memory(
    tmp_path, new_worker, clock
):
    make_svs(tmp_path / "s.svs", flat(300, 200, (200, 0, 0)))
    new_worker().get("s.svs")
    make_svs(tmp_path / "s.svs", flat(400, 200, (0, 200, 0)))
    clock.now += 60
    assert new_worker().get("s.svs").slide.info.size.width == 400


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, b"\0\0\0\x05"])
def test_a_damaged_index_costs_an_opening_and_nothing_else(
    tmp_path, new_worker, store, writer, far, opens, damage
):
    make_svs(tmp_path / "s.svs")
    new_worker().get("s.svs")
    assert writer.flush(10)
    store.put(SlideKeys(far.name, "s.svs", "").make("index", 0, 0, 0, ""), damage)
    assert new_worker().get("s.svs").slide.info.format == "Aperio SVS"
    assert len(opens) == 2


def test_what_was_not_seen_unchanged_is_told_to_nobody(tmp_path, new_worker, far, clock):
    make_svs(tmp_path / "s.svs", flat(300, 200, (200, 0, 0)))
    one, other = new_worker(), new_worker()
    opened = one.get("s.svs")
    other.get("s.svs")
    make_svs(tmp_path / "s.svs", flat(400, 200, (0, 200, 0)))
    clock.now += 5.1
    asked, go_on, real = threading.Event(), threading.Event(), far.stat

    def slowly(key):
        asked.set()
        assert go_on.wait(10)
        return real(key)

    far.stat = slowly
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(one.get, "s.svs")
        assert asked.wait(10)
        # While one thread asks, another goes on with what there is, and ends its request.
        one.verify(opened)
        one.keep(opened)
        go_on.set()
        assert asking.result(10).slide.info.size.width == 400
    new_worker()
    assert other.get("s.svs").slide.info.size.width == 400
