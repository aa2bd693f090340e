"""Whose the folder of the tile store is, and who can read it."""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.clock import Clock
from tests.service.image_keys import KEY
from wsi_streamer.service.store_opener import THREAD_NAME
from wsi_streamer.service.tile_store import TileStore

MB = 1_000_000
TILE = bytes(range(256)) * 80


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[TileStore]:
    made = TileStore(tmp_path / "store", 10 * MB, open_timeout_s=10, clock=clock)
    yield made
    made.close()


def wait_for_opening(store: TileStore) -> None:
    store.get(KEY)
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(10)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_other_users_cannot_read_tiles(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        store = TileStore(tmp_path / "new" / "store", MB)
        store.put(KEY, TILE)
        assert store.get(KEY) == TILE
    finally:
        os.umask(before)
    paths = [tmp_path / "new", tmp_path / "new" / "store", *(tmp_path / "new/store").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths} == {0}
    assert {path.name for path in paths[2:]} == {"cache.db", "cache.db-wal", "cache.db-shm"}
    store.close()


def test_files_that_others_could_read_are_closed_to_them(store: TileStore, tmp_path: Path) -> None:
    store.put(KEY, TILE)
    store.close()
    (tmp_path / "store" / "cache.db").chmod(0o644)
    reopened = TileStore(tmp_path / "store", 10 * MB)
    assert reopened.get(KEY) == TILE
    assert stat.S_IMODE((tmp_path / "store" / "cache.db").stat().st_mode) == 0o600
    reopened.close()


def test_a_folder_that_others_can_write_to_is_not_used(
    store: TileStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    store.put(KEY, TILE)
    assert store.get(KEY) is None
    assert not list((tmp_path / "store").iterdir())
    assert f"chmod 700 {tmp_path / 'store'}" in caplog.text


def test_a_folder_of_another_user_is_not_used(
    store: TileStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "store").mkdir(0o700)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    store.put(KEY, TILE)
    assert store.get(KEY) is None
    assert not list((tmp_path / "store").iterdir())
    assert "belongs to another user" in caplog.text


def test_a_folder_that_is_put_right_is_used_soon(
    store: TileStore, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    assert store.get(KEY) is None
    (tmp_path / "store").chmod(0o700)
    clock.now += 5
    wait_for_opening(store)
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE


def test_a_failing_store_does_not_flood_the_log(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").write_text("not a folder")
    store = TileStore(tmp_path / "store", MB, open_timeout_s=10, clock=clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(59):
            wait_for_opening(store)
            clock.now += 1
        assert len(caplog.records) == 1
        clock.now += 5
        wait_for_opening(store)
    assert len(caplog.records) == 2
    store.close()


def test_the_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "100% tiles? #1 é"
    store = TileStore(folder, MB)
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE
    assert (folder / "cache.db").exists()
    store.close()
