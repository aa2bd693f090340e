"""Locks, full disks, lost folders: requests go on, and so does the store afterwards."""

import os
import resource
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.service.clock import Clock
from tests.service.image_keys import KEY, make_key
from wsi_streamer.service.store_opener import THREAD_NAME
from wsi_streamer.service.tile_store import TileStore

MB = 1_000_000
TILE = bytes(range(256)) * 80
FILES = {"cache.db", "cache.db-wal", "cache.db-shm"}


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[TileStore]:
    """A store that holds a tile."""
    made = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    made.put(KEY, TILE)
    yield made
    made.close()


@contextmanager
def write_lock(folder: Path) -> Iterator[None]:
    """Hold the lock that every writer needs."""
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def wait_for_opening(store: TileStore) -> None:
    store.get(KEY)
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(10)


def open_files(folder: Path) -> int:
    """Return how many files below a folder this process has open."""
    links = []
    for number in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue
    return sum(link.startswith(str(folder)) for link in links)


def test_tiles_are_served_while_another_process_holds_the_lock(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    new = make_key(col=9)
    with write_lock(folder):
        for _ in range(20):
            store.put(new, TILE)
            assert store.get(KEY) == TILE
    clock.now += 5
    store.put(new, TILE)
    assert store.get(new) == TILE


def test_requests_do_not_queue_for_a_lock_that_is_held_for_long(
    store: TileStore, folder: Path
) -> None:
    with write_lock(folder):
        start = time.monotonic()
        for col in range(500):
            store.put(make_key(col=col), TILE)
        assert time.monotonic() - start < 2


def test_a_lock_leaves_no_files_behind(store: TileStore, folder: Path, clock: Clock) -> None:
    with write_lock(folder):
        for col in range(5):
            clock.now += 5
            store.put(make_key(col=col), os.urandom(100_000))
    assert {path.name for path in folder.iterdir()} <= FILES


def test_a_server_starts_while_another_process_holds_the_lock(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    store.close()
    with write_lock(folder):
        started = TileStore(folder, 10 * MB, open_timeout_s=0.1, clock=clock)
        start = time.monotonic()
        assert started.get(KEY) is None
        clock.now += 1
        for _ in range(100):
            assert started.get(KEY) is None
            started.put(KEY, TILE)
        assert time.monotonic() - start < 3
    wait_for_opening(started)
    assert started.get(KEY) == TILE
    started.close()


def test_only_the_first_attempt_to_open_is_waited_for(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    store.close()
    (folder / "cache.db").unlink()
    (folder / "cache.db").mkdir()
    (folder / "cache.db" / "in the way").touch()
    started = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    assert started.get(KEY) is None
    started.put(KEY, TILE)
    shutil.rmtree(folder / "cache.db")
    clock.now += 5
    wait_for_opening(started)
    started.put(KEY, TILE)
    assert started.get(KEY) == TILE
    started.close()


def test_a_full_disk_costs_no_request_and_no_stored_tile(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        for col in range(100, 200):
            clock.now += 5
            store.put(make_key(col=col), os.urandom(20_000))
            assert store.get(KEY) == TILE
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert store.get(make_key(col=199)) is None
    assert {path.name for path in folder.iterdir()} <= FILES
    clock.now += 5
    store.put(make_key(col=199), TILE)
    assert store.get(make_key(col=199)) == TILE


def test_a_failed_write_does_not_lock_out_other_workers(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    other = TileStore(folder, 10 * MB, open_timeout_s=10)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        store.put(make_key(col=9), TILE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    other.put(make_key(col=10), TILE)
    assert other.get(make_key(col=10)) == TILE
    other.close()


@pytest.mark.parametrize("how", ["folder deleted", "database deleted", "folder moved"])
def test_tiles_are_shared_again_after_the_folder_was_deleted(
    store: TileStore, folder: Path, clock: Clock, how: str
) -> None:
    if how == "folder deleted":
        shutil.rmtree(folder)
    elif how == "database deleted":
        (folder / "cache.db").unlink()
    else:
        folder.rename(folder.with_name("elsewhere"))
    clock.now += 5
    store.put(KEY, TILE)
    other = TileStore(folder, 10 * MB, open_timeout_s=10)
    assert other.get(KEY) == TILE
    assert open_files(folder.with_name("elsewhere")) == 0
    other.close()


def test_a_file_in_the_place_of_the_folder_costs_no_request(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    shutil.rmtree(folder)
    folder.write_text("in the way")
    for _ in range(3):
        store.put(KEY, TILE)
        store.get(KEY)
        clock.now += 5
        wait_for_opening(store)
    folder.unlink()
    clock.now += 5
    wait_for_opening(store)
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE


def test_a_long_read_elsewhere_does_not_let_the_folder_outgrow_its_limit(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM Cache").fetchall()
        for col in range(800):
            clock.now += 1
            store.put(make_key(col=col), os.urandom(20_000))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 11 * MB
    # Nothing is stored until the next try to shorten the log.
    new = make_key(col=801)
    deadline = time.monotonic() + 10
    while store.get(new) is None and time.monotonic() < deadline:
        clock.now += 5
        store.put(new, TILE)
    assert store.get(new) == TILE


def test_threads_that_end_leave_no_files_open(store: TileStore, folder: Path) -> None:
    def work(col: int) -> bytes | None:
        store.put(make_key(col=col), TILE)
        return store.get(make_key(col=col))

    before = open_files(folder)
    for col in range(40):
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(work, col).result() == TILE
    # SQLite keeps one that it will use again.
    assert open_files(folder) <= before + 2


def test_closing_lets_go_of_the_files_of_all_threads(store: TileStore, folder: Path) -> None:
    everyone_read, may_end = threading.Barrier(5), threading.Event()

    def work() -> None:
        store.get(KEY)
        everyone_read.wait(10)
        may_end.wait(10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    everyone_read.wait(10)
    assert open_files(folder) > 0
    store.close()
    assert open_files(folder) == 0
    may_end.set()
    for thread in threads:
        thread.join()


def test_threads_get_the_tile_they_ask_for(store: TileStore) -> None:
    def work(seed: int) -> tuple[int, int]:
        hits = wrong = 0
        for step in range(150):
            col = (step * 7 + seed) % 40
            found = store.get(make_key(col=col, kind="dzi"))
            if found is None:
                store.put(make_key(col=col, kind="dzi"), bytes([col]) * 9000)
            else:
                hits += 1
                wrong += int(found != bytes([col]) * 9000)
        return hits, wrong

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert sum(hits for hits, _ in results) > 600
    assert sum(wrong for _, wrong in results) == 0
