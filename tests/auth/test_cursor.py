"""Cursors come back only as they were given, and every worker reads them."""

import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_streamer.auth.cursor import CursorSigner, load_or_create_key
from wsi_streamer.errors import BadParameter, ConfigError

KEY = b"k" * 32
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=60))
@settings(derandomize=True, max_examples=300)
def test_the_next_page_begins_where_the_last_one_ended(prefix: str, search: str, last: str) -> None:
    cursor = CursorSigner(KEY).dump(prefix, search, last)

    assert CursorSigner(KEY).load(cursor, prefix, search) == last
    assert set(cursor) <= set(ALPHABET)


def test_the_longest_name_that_storage_allows_fits_into_a_url() -> None:
    cursor = CursorSigner(KEY).dump("€" * 300, "ä" * 100, "€" * 341)

    assert len(cursor) < 1500
    assert CursorSigner(KEY).load(cursor, "€" * 300, "ä" * 100) == "€" * 341


@pytest.mark.parametrize(
    ("prefix", "search"),
    [("", ""), ("a", ""), ("", "b"), ("b", "a"), ("ab", ""), ("", "ab"), ("a/", "b"), ("A", "b")],
)
def test_a_cursor_is_good_for_its_own_query_only(prefix: str, search: str) -> None:
    cursor = CursorSigner(KEY).dump("a", "b", "case-7.svs")

    with pytest.raises(BadParameter, match="another prefix or search"):
        CursorSigner(KEY).load(cursor, prefix, search)


def test_no_edit_of_a_cursor_lets_a_user_choose_where_to_read() -> None:
    signer = CursorSigner(KEY)
    cursor = signer.dump("", "", "case-7.svs")
    tried = {cursor[:at] + new + cursor[at + 1 :] for at in range(len(cursor)) for new in ALPHABET}
    tried |= {cursor[:at] + new + cursor[at:] for at in range(len(cursor) + 1) for new in "A.=\n "}
    tried |= {cursor[:at] + cursor[at + 1 :] for at in range(len(cursor))}
    tried |= {cursor[:at] for at in range(len(cursor))}

    opened = []
    for text in tried - {cursor}:
        try:
            opened.append(signer.load(text, "", ""))
        except BadParameter:
            continue

    assert len(tried) > 4_000
    assert opened == []


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        ".",
        "..",
        "case-7.svs",
        "c2xpZGUxMC5zdnM=",
        "a" * 100_000,
        "é.é",
        "\udcff.a",
        "\x00",
        CursorSigner(b"j" * 32).dump("", "", "case-7.svs"),
        CursorSigner(KEY).dump("", "", "a" * 4000),
    ],
    ids=lambda cursor: ascii(cursor)[:20],
)
def test_a_cursor_of_anybody_else_is_refused(cursor: str) -> None:
    with pytest.raises(BadParameter, match="cursor"):
        CursorSigner(KEY).load(cursor, "", "")


def test_the_key_is_random_and_private_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "cursor.key"

    key = load_or_create_key(path)

    assert len(key) == 32
    assert key == load_or_create_key(path) == path.read_bytes()
    assert key != load_or_create_key(tmp_path / "other.key")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == ["cursor.key", "cursor.key.lock"]


@pytest.mark.parametrize("damaged", [b"", b"short", b"x" * 31, b"x" * 33])
def test_a_damaged_key_is_replaced(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "cursor.key"
    path.write_bytes(damaged)

    key = load_or_create_key(path)

    assert key == load_or_create_key(path) == path.read_bytes()
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("damaged", [None, b"", b"short"])
def test_threads_that_start_together_share_one_key(tmp_path: Path, damaged: bytes | None) -> None:
    barrier = Barrier(16)

    def load(path: Path) -> bytes:
        barrier.wait(timeout=30)
        return load_or_create_key(path)

    with ThreadPoolExecutor(16) as pool:
        for turn in range(20):
            path = tmp_path / f"{turn}.key"
            if damaged is not None:
                path.write_bytes(damaged)
            assert set(pool.map(load, [path] * 16)) == {path.read_bytes()}


WORKER = """
import sys
from pathlib import Path
from wsi_streamer.auth.cursor import load_or_create_key
print("ready", flush=True)
for line in sys.stdin:
    print(load_or_create_key(Path(line.rstrip("\\n"))).hex(), flush=True)
"""


def test_workers_that_start_together_read_each_others_cursors(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for _ in range(6)
    ]
    try:
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 6
        for turn in range(40):
            path = tmp_path / f"{turn}.key"
            if turn % 2:
                path.write_bytes(b"damaged")
            for worker in workers:
                worker.stdin.write(f"{path}\n")
            keys = {worker.stdout.readline() for worker in workers}
            assert keys == {f"{path.read_bytes().hex()}\n"}
    finally:
        for worker in workers:
            worker.communicate(timeout=30)


def test_a_key_that_cannot_be_kept_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "cursor.key").mkdir()

    for path in (tmp_path / "file" / "cursor.key", tmp_path / "cursor.key"):
        with pytest.raises(ConfigError, match="cannot keep the key of cursors in"):
            load_or_create_key(path)


def test_a_failed_write_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(ConfigError, match="No space left on device"):
        load_or_create_key(tmp_path / "cursor.key")

    assert [file.name for file in tmp_path.iterdir()] == ["cursor.key.lock"]
