"""What somebody or something has written into the rows of the store never reaches a user."""

import os
import pickle
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.service.clock import Clock
from tests.service.image_keys import KEY, make_key
from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.tile_store import TileStore

MB = 1_000_000
OTHER = make_key(slide_id="c.svs")
TILE = bytes(range(256)) * 80
OTHER_TILE = bytes(reversed(TILE))


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


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


def row_exists(folder: Path, key: ImageKey) -> bool:
    with closing(sqlite3.connect(folder / "cache.db")) as connection:
        query = "SELECT COUNT(*) FROM Cache WHERE key = ?"
        ((count,),) = connection.execute(query, (key.text,))
    return bool(count)


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4])
def test_a_planted_pickle_is_never_executed(
    store: TileStore, folder: Path, tmp_path: Path, mode: int
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))
    statement = "UPDATE Cache SET mode = ?, value = ? WHERE key = ?"
    write_sql(folder, statement, mode, bomb, KEY.text)
    assert store.get(KEY) is None
    assert not (tmp_path / "executed").exists()
    assert not row_exists(folder, KEY)


def test_a_planted_pickle_in_a_file_is_never_executed(
    store: TileStore, folder: Path, tmp_path: Path
) -> None:
    (folder / "ab.val").write_bytes(pickle.dumps(Bomb(tmp_path / "executed")))
    statement = "UPDATE Cache SET mode = 4, value = NULL, filename = 'ab.val' WHERE key = ?"
    write_sql(folder, statement, KEY.text)
    assert store.get(KEY) is None
    assert not (tmp_path / "executed").exists()


def test_a_planted_pickle_as_a_key_is_never_executed(
    store: TileStore, folder: Path, tmp_path: Path
) -> None:
    bomb = pickle.dumps(Bomb(tmp_path / "executed"))
    write_sql(folder, "UPDATE Cache SET key = ?, raw = 0 WHERE key = ?", bomb, KEY.text)
    store.put(make_key(col=9), TILE)
    assert store.get(KEY) is None
    assert store.get(OTHER) == OTHER_TILE
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("mode", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "00/11/" + "2" * 28 + ".val"])
def test_a_planted_file_name_never_serves_another_file(
    store: TileStore, folder: Path, tmp_path: Path, mode: int, name: str
) -> None:
    (tmp_path / "secret").write_text("private")
    statement = "UPDATE Cache SET mode = ?, filename = ?, value = NULL WHERE key = ?"
    write_sql(folder, statement, mode, name, KEY.text)
    assert store.get(KEY) is None
    assert store.get(OTHER) == OTHER_TILE


def test_a_planted_file_name_never_deletes_another_file(
    store: TileStore, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("private")
    write_sql(folder, "UPDATE Cache SET mode = 2, filename = '../secret'")
    store.get(KEY)  # deletes the row
    store.put(OTHER, TILE)  # replaces the row
    assert store.get(OTHER) == TILE
    assert (tmp_path / "secret").read_text() == "private"


def test_a_planted_file_name_never_deletes_another_file_when_it_is_evicted(
    store: TileStore, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("private")
    write_sql(folder, "UPDATE Cache SET mode = 2, filename = '../secret', access_time = 0")
    for col in range(700):
        store.put(make_key(col=col), TILE)
    assert not row_exists(folder, OTHER)
    assert (tmp_path / "secret").read_text() == "private"


DAMAGES = {
    "truncated": "UPDATE Cache SET value = substr(value, 1, 100)",
    "one byte short": "UPDATE Cache SET value = substr(value, 1, length(value) - 1)",
    "zero length": "UPDATE Cache SET value = x''",
    "half a header": "UPDATE Cache SET value = substr(value, 1, 10)",
    "header alone": "UPDATE Cache SET value = substr(value, 1, 29)",
    "one byte more": "UPDATE Cache SET value = CAST(value || x'00' AS BLOB)",
    "garbage": "UPDATE Cache SET value = randomblob(length(value))",
    "garbage pixels": (
        "UPDATE Cache SET value ="
        " CAST(substr(value, 1, 2000) || randomblob(length(value) - 2000) AS BLOB)"
    ),
    "another version": "UPDATE Cache SET value = CAST(x'5753497463' || substr(value, 6) AS BLOB)",
    "text": "UPDATE Cache SET value = 'text'",
    "text that is not UTF-8": "UPDATE Cache SET value = CAST(x'ff' AS TEXT)",
    "number": "UPDATE Cache SET value = 5",
    "nothing": "UPDATE Cache SET value = NULL",
    "odd types": "UPDATE Cache SET mode = 'x', filename = 3, access_time = 'y', size = x'00'",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_tile_is_made_anew_not_served(
    store: TileStore, folder: Path, damage: str
) -> None:
    write_sql(folder, DAMAGES[damage])
    assert store.get(KEY) is None
    assert store.get(OTHER) is None
    assert not row_exists(folder, KEY)
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE


def test_a_tile_of_an_older_release_is_a_miss_and_no_damage(
    store: TileStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = "UPDATE Cache SET value = CAST(x'5753497401' || substr(value, 6) AS BLOB)"
    write_sql(folder, older)
    assert store.get(KEY) is None
    assert not caplog.records
    store.put(KEY, TILE)
    assert store.get(KEY) == TILE


def test_a_tile_stored_for_another_slide_is_not_served(store: TileStore, folder: Path) -> None:
    write_sql(folder, "CREATE TABLE Values2 AS SELECT key, value FROM Cache")
    swap = "SELECT value FROM Values2 AS v WHERE v.key <> Cache.key"
    write_sql(folder, f"UPDATE Cache SET value = ({swap})")
    assert store.get(KEY) is None
    assert store.get(OTHER) is None
