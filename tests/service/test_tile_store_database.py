"""A damaged or foreign database costs tiles, never a request."""

import os
import random
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.clock import Clock
from tests.service.image_keys import KEY, make_key
from wsi_streamer.service.store_opener import THREAD_NAME
from wsi_streamer.service.tile_cache import PAGE
from wsi_streamer.service.tile_store import TileStore

MB = 1_000_000
OTHER = make_key(slide_id="c.svs")
TILE = bytes(range(256)) * 80
OTHER_TILE = bytes(reversed(TILE))


@pytest.fixture
def store(folder: Path, clock: Clock) -> Iterator[TileStore]:
    """A store that holds two tiles."""
    made = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    made.put(KEY, TILE)
    made.put(OTHER, OTHER_TILE)
    yield made
    made.close()


def write_sql(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        assert connection.execute(statement, values).rowcount != 0


def wait_for_opening(store: TileStore) -> None:
    store.get(KEY)
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(10)


def reopen(folder: Path) -> TileStore:
    return TileStore(folder, 10 * MB, open_timeout_s=10)


CONTENTS = {
    "empty": lambda _: b"",
    "garbage": lambda _: os.urandom(50_000),
    "text": lambda _: b"this is not a database\n" * 1000,
    "100 bytes": lambda whole: whole[:100],
    "one page": lambda whole: whole[:PAGE],
    "half": lambda whole: whole[: len(whole) // 2],
    "garbage inside": lambda whole: whole[:PAGE] + os.urandom(len(whole) - PAGE),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_damaged_database_costs_tiles_and_nothing_else(
    store: TileStore, folder: Path, content: str
) -> None:
    store.close()
    database = folder / "cache.db"
    database.write_bytes(CONTENTS[content](database.read_bytes()))
    clock = Clock()
    reopened = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    for _ in range(3):
        assert reopened.get(KEY) in (None, TILE)
        reopened.put(KEY, TILE)
        clock.now += 4
        wait_for_opening(reopened)
    reopened.put(KEY, TILE)
    assert reopened.get(KEY) == TILE
    reopened.close()


@pytest.mark.parametrize("content", CONTENTS)
def test_a_database_that_is_damaged_in_use_is_replaced(
    store: TileStore, folder: Path, clock: Clock, content: str
) -> None:
    database = folder / "cache.db"
    for col in range(100):
        store.put(make_key(col=col), TILE)
    store.close()
    running = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    assert running.get(KEY) == TILE
    # From the log SQLite takes how long the file should be, and no longer looks at its end.
    running.put(make_key(col=100), TILE)
    with database.open("r+b") as file:
        damaged = CONTENTS[content](file.read())
        file.seek(0)
        file.write(damaged)
        file.truncate()
    # First reads alone: they would kill the process if the file were mapped into memory.
    for col in range(100):
        assert running.get(make_key(col=col)) in (None, TILE)
    for col in range(100):
        running.put(make_key(col=col), TILE)
    clock.now += 5
    wait_for_opening(running)
    running.put(KEY, TILE)
    assert running.get(KEY) == TILE
    running.close()


def test_damage_that_only_shows_in_use_is_healed_too(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    store.close()
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'Cache'"
        ((page,),) = connection.execute(query)
    with (folder / "cache.db").open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(os.urandom(PAGE))
    running = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    assert running.get(KEY) is None
    clock.now += 5
    wait_for_opening(running)
    running.put(KEY, TILE)
    assert running.get(KEY) == TILE
    running.close()


def tile_at(col: int) -> bytes:
    return random.Random(col).randbytes(3_000 + col % 7 * 4_000)


@pytest.mark.parametrize("seed", range(12))
def test_after_a_power_cut_tiles_may_be_lost_but_none_is_wrong(
    store: TileStore, folder: Path, seed: int
) -> None:
    # Nothing waits for the disk, so what is left may be any mixture of older and newer pages.
    chance = random.Random(seed)
    versions = []
    for start in range(0, 1200, 400):
        for col in range(start, start + 400, 20):
            store.put_many([(make_key(col=i), tile_at(i)) for i in range(col, col + 20)])
        store.close()
        versions.append((folder / "cache.db").read_bytes())
        store = reopen(folder)
    store.close()
    share = chance.choice([0.01, 0.1, 0.5])
    whole = bytearray(versions[-1])
    for start in range(0, len(whole), PAGE):
        older = chance.choice(versions)[start : start + PAGE]
        if older and chance.random() < share:
            whole[start : start + PAGE] = older
    (folder / "cache.db").write_bytes(whole)

    clock = Clock()
    after = TileStore(folder, 10 * MB, open_timeout_s=10, clock=clock)
    for col in range(1200):
        assert after.get(make_key(col=col)) in (None, tile_at(col))
    for col in range(1200, 2400):
        after.put(make_key(col=col), tile_at(col))
        assert after.get(make_key(col=col)) in (None, tile_at(col))
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 11 * MB
        if col % 100 == 0:
            clock.now += 5
            wait_for_opening(after)
    after.put(KEY, TILE)
    assert after.get(KEY) == TILE
    after.close()


def test_a_store_that_is_full_of_what_no_tile_accounts_for_starts_empty(
    store: TileStore, folder: Path, clock: Clock
) -> None:
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE Lost AS SELECT zeroblob(9900000)")
    store.put(make_key(col=9), TILE)
    clock.now += 5
    wait_for_opening(store)
    store.put(make_key(col=10), TILE)
    store.put(make_key(col=11), TILE)
    assert store.get(make_key(col=10)) == TILE
    assert store.get(make_key(col=11)) == TILE


@pytest.mark.parametrize("name", ["cache.db-wal", "cache.db-shm", "cache.db-journal"])
def test_garbage_beside_the_database_harms_no_tile(
    store: TileStore, folder: Path, name: str
) -> None:
    store.close()
    (folder / name).write_bytes(os.urandom(100_000))
    reopened = reopen(folder)
    assert reopened.get(KEY) in (None, TILE)
    reopened.put(KEY, TILE)
    assert reopened.get(KEY) == TILE
    reopened.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO Settings VALUES ('sqlite_writable_schema = 1; --', 1)",
        "INSERT INTO Settings VALUES ('disk_surprise', 1)",
        "INSERT INTO Settings VALUES ('load', 1)",
        "ALTER TABLE Cache RENAME COLUMN value TO other",
        "DROP TABLE Cache",
        "DROP TABLE Settings",
    ],
)
def test_a_database_with_a_foreign_setting_or_table_is_replaced(
    store: TileStore, folder: Path, statement: str
) -> None:
    store.close()
    with closing(sqlite3.connect(folder / "cache.db", isolation_level=None)) as connection:
        connection.execute(statement)
    reopened = reopen(folder)
    assert reopened.get(KEY) is None
    reopened.put(KEY, TILE)
    assert reopened.get(KEY) == TILE
    reopened.close()


@pytest.mark.parametrize(
    "setting", ["size_limit", "cull_limit", "eviction_policy", "size", "count"]
)
def test_planted_values_of_known_settings_do_no_harm(
    store: TileStore, folder: Path, setting: str
) -> None:
    store.close()
    write_sql(folder, "UPDATE Settings SET value = 'x' WHERE key = ?", setting)
    reopened = reopen(folder)
    reopened.put(make_key(col=9), TILE)
    assert reopened.get(make_key(col=9)) == TILE
    assert reopened.get(KEY) == TILE
    reopened.close()


@pytest.mark.parametrize("kind", ["symlink", "hard link"])
def test_a_database_that_leads_elsewhere_is_not_written_through(
    tmp_path: Path, folder: Path, kind: str
) -> None:
    (tmp_path / "victim").write_bytes(b"")
    folder.mkdir(0o700)
    if kind == "symlink":
        (folder / "cache.db").symlink_to(tmp_path / "victim")
    else:
        (folder / "cache.db").hardlink_to(tmp_path / "victim")
    store = reopen(folder)
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE
    assert (tmp_path / "victim").read_bytes() == b""
    store.close()


def test_replacing_a_damaged_database_leaves_other_files_alone(
    store: TileStore, folder: Path
) -> None:
    store.close()
    (folder / "slides").mkdir()
    (folder / "slides" / "a.svs").write_text("precious")
    (folder / "cache.db").write_bytes(os.urandom(50_000))
    reopened = reopen(folder)
    reopened.put(KEY, TILE)
    assert reopened.get(KEY) == TILE
    assert (folder / "slides" / "a.svs").read_text() == "precious"
    reopened.close()
