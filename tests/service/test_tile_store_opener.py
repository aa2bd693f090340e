"""When requests wait for the tile store to open, and when they do not."""

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.clock import Clock
from wsi_streamer.service.complaints import Complaints
from wsi_streamer.service.store_folder import open_cache
from wsi_streamer.service.store_opener import THREAD_NAME, Identity, StoreOpener
from wsi_streamer.service.tile_cache import TileCache


class Door:
    """Opens a cache when it is told to, or fails to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.may_open = threading.Event()
        self.fails = False
        self.attempts = 0

    def open(self, broken: Identity | None) -> TileCache:
        self.attempts += 1
        if self.fails:
            raise OSError("no such luck")
        assert self.may_open.wait(30)
        return open_cache(self.folder, 1_000_000, broken)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    made = Door(tmp_path / "store")
    yield made
    made.may_open.set()
    wait_for_threads()


def make_opener(door: Door, timeout_s: float, clock: Clock) -> StoreOpener:
    return StoreOpener(door.open, timeout_s, Complaints(logging.getLogger(), clock), clock)


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(30)


def test_all_requests_of_a_fresh_worker_find_what_others_stored(door: Door, clock: Clock) -> None:
    opener = make_opener(door, 30, clock)
    found: list[TileCache | None] = []
    threads = [threading.Thread(target=lambda: found.append(opener.find_cache())) for _ in range(4)]
    for thread in threads:
        thread.start()
    door.may_open.set()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert None not in found
    assert door.attempts == 1
    opener.close()


def test_requests_go_on_when_opening_takes_too_long(door: Door, clock: Clock) -> None:
    opener = make_opener(door, 0.01, clock)
    assert opener.find_cache() is None
    clock.now += 100
    assert opener.find_cache() is None
    assert door.attempts == 1  # still the first one
    door.may_open.set()
    wait_for_threads()
    assert opener.find_cache() is not None
    opener.close()


def test_requests_do_not_wait_again_after_a_failure(door: Door, clock: Clock) -> None:
    opener = make_opener(door, 30, clock)
    door.fails = True
    assert opener.find_cache() is None
    door.fails = False
    clock.now += 5
    start = time.monotonic()
    assert opener.find_cache() is None
    assert time.monotonic() - start < 10
    assert door.attempts == 2
    opener.close()


def test_a_folder_that_cannot_be_used_is_tried_every_few_seconds(door: Door, clock: Clock) -> None:
    opener = make_opener(door, 30, clock)
    door.fails = True
    for _ in range(100):
        opener.find_cache()
        wait_for_threads()
        clock.now += 0.1
    assert 2 <= door.attempts <= 5
    opener.close()


def test_a_store_that_opens_after_it_was_closed_stays_closed(door: Door, clock: Clock) -> None:
    opener = make_opener(door, 0.01, clock)
    assert opener.find_cache() is None
    opener.close()
    door.may_open.set()
    wait_for_threads()
    assert opener.find_cache() is None
