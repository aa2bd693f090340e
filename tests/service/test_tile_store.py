"""What the tile store keeps, and for how long."""

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.clock import Clock
from tests.service.image_keys import KEY, make_key
from wsi_streamer.service.keys import ImageKey, SlideKeys
from wsi_streamer.service.tile_store import TileStore

MB = 1_000_000


TILE = bytes(range(256)) * 80


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[TileStore]:
    made = TileStore(tmp_path / "store", 10 * MB, open_timeout_s=10, clock=clock)
    yield made
    made.close()


def tiles(count: int) -> list[ImageKey]:
    return [make_key(col=col) for col in range(count)]


def bytes_on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_a_tile_comes_back_byte_for_byte(store: TileStore) -> None:
    assert store.get(KEY) is None
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE


@pytest.mark.parametrize("size", [0, 1, 4096, 32_768, 200_000, 600_000])
def test_images_of_every_size_come_back(store: TileStore, size: int) -> None:
    data = os.urandom(size)
    store.put(KEY, data)
    assert store.get(KEY) == data


def test_a_tile_made_by_one_worker_is_a_hit_in_another(store: TileStore, tmp_path: Path) -> None:
    other = TileStore(tmp_path / "store", 10 * MB)
    assert other.get(KEY) is None
    store.put(KEY, TILE)
    assert other.get(KEY) == TILE
    other.close()


def test_tiles_survive_a_restart(store: TileStore, tmp_path: Path) -> None:
    store.put(KEY, TILE)
    store.close()
    restarted = TileStore(tmp_path / "store", 10 * MB)
    assert restarted.get(KEY) == TILE
    restarted.close()


def test_the_newer_image_replaces_the_older(store: TileStore) -> None:
    store.put(KEY, TILE)
    store.put(KEY, b"newer")
    assert store.get(KEY) == b"newer"


@pytest.mark.parametrize(
    "other",
    [
        make_key(storage="s3://bucket2"),
        make_key(slide_id="a/b.tiff"),
        make_key(version="etag-2"),
        make_key(kind="dzi"),
        make_key(level=3),
        make_key(col=4),
        make_key(row=3),
        make_key(encoding="jpeg-81"),
    ],
)
def test_no_slide_shows_the_tile_of_another(store: TileStore, other: ImageKey) -> None:
    store.put(KEY, TILE)
    assert store.get(other) is None


def test_500_hostile_names_never_collide() -> None:
    parts = ["", "a", "a/", "/a", "a:1", "1:a", "0:", "2:ab", "\0", "é", "e\u0301", "\udcff"]
    pairs = itertools.product(parts, parts, ["", "1", "1/2"])
    keys = [SlideKeys(a, b, c).make("tile", 0, 0, 0, "jpeg-80") for a, b, c in pairs]
    keys += [SlideKeys("a", "b", "c").make("t", *place, "e") for place in [(1, 23, 4), (12, 3, 4)]]
    keys += [SlideKeys("a", "b", "c").make("t", *place, "e") for place in [(1, 2, 34), (-1, 2, 34)]]
    keys += [make_key(slide_id=f"{i}/{j}") for i in range(9) for j in range(9)]
    assert len(keys) > 500
    assert len({one.text for one in keys}) == len(keys)
    assert len({one.etag for one in keys}) == len(keys)


def test_etag_is_short_and_fit_for_a_header() -> None:
    assert KEY.etag == KEY.text[:32]
    assert set(KEY.text) <= set("0123456789abcdef")
    assert len(KEY.text) == 64


def test_the_text_of_a_key_stays_the_same_between_releases() -> None:
    # Another text would make every stored tile of every user useless.
    assert KEY.text == "76e45e27168fd5139c79d3e06337d8a894d10bd42e6abfbcabcc78d9bdd0512f"


def test_the_folder_does_not_outgrow_its_limit(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "store", 2 * MB)
    largest = 0
    for number, key in enumerate(tiles(500)):
        store.put(key, os.urandom(5000 + 70 * number))
        largest = max(largest, bytes_on_disk(tmp_path / "store"))
    store.close()
    assert 1.5 * MB < largest <= 2.2 * MB


@pytest.mark.parametrize("count", [7, 60, 500])
def test_the_folder_does_not_outgrow_its_limit_however_many_come_at_once(
    tmp_path: Path, count: int
) -> None:
    store = TileStore(tmp_path / "store", 4 * MB)
    largest = 0
    for start in range(0, 1000, count):
        images = [(key, os.urandom(20_000)) for key in tiles(1000)[start : start + count]]
        store.put_many(images)
        largest = max(largest, bytes_on_disk(tmp_path / "store"))
        assert all(store.get(key) == data for key, data in images[-7:])
    store.close()
    assert 3 * MB < largest <= 4.4 * MB


def test_who_reads_an_old_database_keeps_its_tiles(tmp_path: Path) -> None:
    # Made with SQLite's own size of pages, as releases before 8 KB pages did.
    (tmp_path / "store").mkdir(mode=0o700)
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db")) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE Settings (key TEXT NOT NULL UNIQUE, value)")
        connection.execute("DROP TABLE Settings")
    store = TileStore(tmp_path / "store", 2 * MB)
    largest = 0
    for key in tiles(300):
        store.put(key, TILE)
        assert store.get(key) == TILE
        largest = max(largest, bytes_on_disk(tmp_path / "store"))
    store.close()
    with closing(sqlite3.connect(tmp_path / "store" / "cache.db")) as connection:
        assert connection.execute("PRAGMA page_size").fetchall() == [(4096,)]
    assert 1.5 * MB < largest <= 2.2 * MB
    reopened = TileStore(tmp_path / "store", 2 * MB)
    assert reopened.get(tiles(300)[-1]) == TILE
    reopened.close()


def test_most_of_the_limit_is_used_for_tiles(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "store", 4 * MB)
    for key in tiles(400):
        store.put(key, os.urandom(20_000))
    kept = sum(store.get(key) is not None for key in tiles(400))
    store.close()
    assert kept * 20_000 > 0.75 * 4 * MB


def test_a_tile_in_use_stays_while_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall_clock = Clock()
    monkeypatch.setattr(time, "time", wall_clock)
    store = TileStore(tmp_path / "store", 2 * MB)
    first, *others = tiles(400)
    store.put(first, TILE)
    for key in others:
        wall_clock.now += 10
        store.put(key, TILE)
        assert store.get(first) == TILE
    assert store.get(others[0]) is None
    assert store.get(others[-1]) == TILE
    store.close()


def test_reading_does_not_write(store: TileStore, tmp_path: Path) -> None:
    store.put(KEY, TILE)
    before = (tmp_path / "store" / "cache.db-wal").stat().st_mtime_ns
    for _ in range(50):
        store.get(KEY)
    assert (tmp_path / "store" / "cache.db-wal").stat().st_mtime_ns == before


def test_one_large_image_does_not_push_out_the_rest(store: TileStore) -> None:
    store.put(KEY, TILE)
    store.put(make_key(col=9), bytes(MB))
    assert store.get(make_key(col=9)) is None
    assert store.get(KEY) == TILE


def test_a_smaller_limit_holds_after_a_restart(store: TileStore, tmp_path: Path) -> None:
    for key in tiles(200):
        store.put(key, os.urandom(20_000))
    store.close()
    smaller = TileStore(tmp_path / "store", 2 * MB)
    smaller.put(KEY, TILE)
    assert smaller.get(KEY) == TILE
    assert bytes_on_disk(tmp_path / "store") <= 2.2 * MB
    smaller.close()


def test_a_store_of_no_bytes_touches_no_disk(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "store", 0)
    store.put(KEY, TILE)
    assert store.get(KEY) is None
    assert not (tmp_path / "store").exists()
    store.close()


def test_making_a_store_opens_nothing_before_the_fork(tmp_path: Path) -> None:
    TileStore(tmp_path / "store", MB).close()
    assert not (tmp_path / "store").exists()


def test_a_closed_store_is_empty(store: TileStore) -> None:
    store.put(KEY, TILE)
    store.close()
    store.put(KEY, TILE)
    assert store.get(KEY) is None
    store.close()
