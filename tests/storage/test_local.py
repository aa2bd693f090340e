"""A folder behaves as a bucket does, and nothing outside it can be reached."""

import gc
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsi_streamer.errors import (
    ConfigError,
    SlideChanged,
    SlideNotFound,
    StorageError,
    StorageReadError,
)
from wsi_streamer.storage.base import HoldsBytes
from wsi_streamer.storage.local import LocalStorage

DATA = bytes(range(256)) * 400


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.svs").write_bytes(b"outside")
    root = tmp_path / "slides"
    write(root, "case 1/slide.svs", DATA)
    return root


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


def write(root: Path, key: str, data: bytes = b"x") -> Path:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def list_all(storage: LocalStorage, prefix: str = "", limit: int = 1000) -> list[str]:
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = storage.list(prefix, after, limit)
        assert len(page.names) <= limit
        names += page.names
        after = page.last
    return names


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def without_root_rights() -> Iterator[None]:
    """Run as nobody for a while; permissions mean nothing to root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_root() -> Iterator[Path]:
    """Give a folder that everybody may reach, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_slide_is_read_by_ranges(storage: LocalStorage) -> None:
    reader = storage.open("case 1/slide.svs")

    assert reader.size == len(DATA)
    assert reader.read(1000, 300) == DATA[1000:1300]
    ranges = [(90_000, 10), (5, 3), (0, 0), (102_399, 1)]
    assert reader.read_many(ranges) == [DATA[offset : offset + n] for offset, n in ranges]
    assert storage.stat("case 1/slide.svs") == reader.version


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1), (102_400, 1), (102_399, 2)])
def test_a_range_outside_the_slide_is_refused(
    storage: LocalStorage, offset: int, length: int
) -> None:
    with pytest.raises(StorageReadError):
        storage.open("case 1/slide.svs").read(offset, length)


@pytest.mark.parametrize(
    "key",
    [
        "../secret.svs",
        "case 1/../../secret.svs",
        "/etc/hostname",
        "case 1//slide.svs",
        "case 1",
        "case 1/",
        "case 1/slide.svs/x",
        "no.svs",
        "no/no.svs",
        "a\0b",
        "x" * 300,
        "y/" * 400 + "y",
    ],
)
def test_a_name_that_is_no_slide_of_the_folder_is_not_found(
    storage: LocalStorage, key: str
) -> None:
    with pytest.raises(SlideNotFound):
        storage.open(key)
    with pytest.raises(SlideNotFound):
        storage.stat(key)


def test_links_that_lead_outside_are_neither_listed_nor_served(
    root: Path, storage: LocalStorage
) -> None:
    (root / "leak.svs").symlink_to(root.parent / "secret.svs")
    (root / "relative.svs").symlink_to("../secret.svs")
    (root / "up").symlink_to("..")
    (root / "round.svs").symlink_to("up/slides/../secret.svs")
    (root / "dead.svs").symlink_to("nowhere")
    (root / "self.svs").symlink_to("self.svs")

    assert list_all(storage) == ["case 1/slide.svs"]
    for key in ("leak.svs", "relative.svs", "up/secret.svs", "round.svs", "dead.svs", "self.svs"):
        with pytest.raises(SlideNotFound):
            storage.open(key)


def test_a_folder_whose_name_begins_alike_is_outside(root: Path, storage: LocalStorage) -> None:
    write(root.parent, "slides-private/a.svs")
    (root / "a.svs").symlink_to(root.parent / "slides-private" / "a.svs")

    with pytest.raises(SlideNotFound):
        storage.open("a.svs")


def test_links_inside_the_folder_work_and_circles_end(root: Path, storage: LocalStorage) -> None:
    (root / "alias.svs").symlink_to("case 1/slide.svs")
    (root / "case 2").symlink_to("case 1")
    (root / "case 1" / "circle").symlink_to("..")

    assert list_all(storage) == ["alias.svs", "case 1/slide.svs", "case 2/slide.svs"]
    assert storage.open("case 2/slide.svs").read(0, 9) == DATA[:9]


def test_the_folder_may_itself_be_a_link(root: Path) -> None:
    link = root.parent / "current"
    link.symlink_to(root)
    storage = LocalStorage(link)

    storage.check()
    assert list_all(storage) == ["case 1/slide.svs"]
    assert storage.open("case 1/slide.svs").size == len(DATA)


def test_pipes_and_sockets_do_not_hang_the_server(root: Path, storage: LocalStorage) -> None:
    os.mkfifo(root / "pipe.svs")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.svs"))
        begun = time.monotonic()
        for key in ("pipe.svs", "socket.svs"):
            with pytest.raises(SlideNotFound):
                storage.open(key)

    assert time.monotonic() - begun < 1
    assert list_all(storage) == ["case 1/slide.svs"]


def test_a_slide_written_to_while_open_is_noticed(root: Path, storage: LocalStorage) -> None:
    reader = storage.open("case 1/slide.svs")
    path = root / "case 1" / "slide.svs"
    with path.open("r+b") as file:
        file.write(b"changed")
    os.utime(path, ns=(1, 1))

    with pytest.raises(SlideChanged):
        reader.read(0, 7)
    assert storage.stat("case 1/slide.svs") != reader.version


def test_a_slide_cut_short_while_open_is_noticed(root: Path, storage: LocalStorage) -> None:
    reader = storage.open("case 1/slide.svs")
    os.truncate(root / "case 1" / "slide.svs", 100)

    with pytest.raises(SlideChanged):
        reader.read(50, 100)


def test_a_slide_replaced_by_renaming_keeps_its_old_bytes_while_open(
    root: Path, storage: LocalStorage
) -> None:
    reader = storage.open("case 1/slide.svs")
    write(root, "new.svs", b"new" * 50_000).rename(root / "case 1" / "slide.svs")

    assert reader.read(1000, 100) == DATA[1000:1100]
    assert storage.stat("case 1/slide.svs") != reader.version
    assert storage.open("case 1/slide.svs").read(0, 3) == b"new"


def test_short_reads_of_the_system_are_continued(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 1000), at))

    assert storage.open("case 1/slide.svs").read(10, 50_000) == DATA[10:50_010]


def test_a_disk_that_fails_gives_an_error_and_not_an_empty_tile(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    reader = storage.open("case 1/slide.svs")
    monkeypatch.setattr(os, "pread", fail)

    with pytest.raises(StorageReadError, match="cannot read case 1/slide.svs: Input/output error"):
        reader.read(0, 5)


def test_files_are_closed_after_use(storage: LocalStorage) -> None:
    before = open_files()
    reader = storage.open("case 1/slide.svs")
    assert open_files() == before + 1
    reader.close()
    reader.close()
    assert open_files() == before
    with pytest.raises(StorageReadError):
        reader.read(0, 5)

    forgotten = storage.open("case 1/slide.svs")
    del forgotten
    storage.stat("case 1/slide.svs")
    with pytest.raises(SlideNotFound):
        storage.open("case 1")
    assert open_files() == before


def test_a_tile_being_read_while_its_slide_is_closed_still_arrives(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = storage.open("case 1/slide.svs")
    before = open_files()
    under_way, go_on = threading.Event(), threading.Event()
    pread = os.pread

    def slow(fd: int, length: int, offset: int) -> bytes:
        under_way.set()
        go_on.wait(5)
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", slow)
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(reader.read(1000, 10)))
    thread.start()
    under_way.wait(5)
    reader.close()
    assert open_files() == before, "closed under a read: its number may become another file's"
    go_on.set()
    thread.join()

    assert got == [DATA[1000:1010]]
    assert open_files() == before - 1


def test_slides_are_listed_in_the_order_of_s3(root: Path, storage: LocalStorage) -> None:
    names = ["a.svs", "a/1.svs", "a0.svs", "A.svs", "a b/1.svs", "a/b/2.svs", "ä.svs", "a-/3.svs"]
    names += ["\uffff.svs", "\U0001f600.svs", "b", "b.", "b!/x"]
    for name in names:
        write(root, name)

    expected = sorted([*names, "case 1/slide.svs"], key=str.encode)
    assert list_all(storage) == expected
    assert list_all(storage, limit=1) == expected
    assert list_all(storage, limit=3) == expected


def test_hidden_files_and_names_that_cannot_be_asked_for_are_not_listed(
    root: Path, storage: LocalStorage
) -> None:
    for name in (
        ".hidden.svs",
        ".git/a.svs",
        "back\\slash.svs",
        "line\nbreak.svs",
        "del\x7f/a.svs",
    ):
        write(root, name)
    with open(os.fsencode(root) + b"/latin-\xe4.svs", "wb"):
        pass
    os.mkdir(os.fsencode(root) + b"/latin-\xe4")
    with open(os.fsencode(root) + b"/latin-\xe4/b.svs", "wb"):
        pass

    assert list_all(storage) == ["case 1/slide.svs"]
    assert list_all(storage, ".git/") == []


NAME = st.sampled_from(["a", "b", "a.", "a0", "ab", "B", "ä", "a-", "~", "a b"])
KEYS = st.sets(st.lists(NAME, min_size=1, max_size=3).map("/".join), max_size=12)


@given(
    keys=KEYS,
    prefix=st.sampled_from(["", "a", "a/", "a/b", "a.", "ab/a", "ä", "x"]),
    after=st.sampled_from(["", "a", "a/", "a/b", "a/b/a", "a.", "b", "~", "a0/"]),
    limit=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_page_of_any_tree_is_what_s3_would_give(
    keys: set[str], prefix: str, after: str, limit: int
) -> None:
    # A name is a file or a folder, not both as in S3.
    files = {key for key in keys if not any(other.startswith(f"{key}/") for other in keys)}
    with tempfile.TemporaryDirectory() as folder:
        for key in files:
            write(Path(folder), key)
        page = LocalStorage(Path(folder)).list(prefix, after, limit)

    wanted = sorted(key for key in files if key.startswith(prefix) and key > after)
    assert page.names == tuple(wanted[:limit])
    assert page.last == (wanted[limit - 1] if len(wanted) > limit else None)


def test_a_page_of_a_large_archive_looks_into_few_folders(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(100):
        write(root, f"archive/{i:03}/a.svs")
        write(root, f"archive/{i:03}/b.svs")
    scandir = os.scandir
    looked_into: list[str] = []

    def count(path: str):  # type: ignore[no-untyped-def]
        looked_into.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", count)

    page = storage.list("archive/", "archive/050/a.svs", 3)
    assert page.names == ("archive/050/b.svs", "archive/051/a.svs", "archive/051/b.svs")
    assert len(set(looked_into)) <= 5
    looked_into.clear()
    assert storage.list("archive/07", "", 1).names == ("archive/070/a.svs",)
    assert len(set(looked_into)) <= 3


def test_a_folder_that_vanishes_during_a_listing_does_not_end_it(
    root: Path, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "a/1.svs")
    write(root, "z/1.svs")
    scandir = os.scandir

    def vanish(path: str):  # type: ignore[no-untyped-def]
        if path.endswith("/case 1"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", vanish)

    assert list_all(storage) == ["a/1.svs", "z/1.svs"]


def test_what_denies_access_is_left_out_of_the_listing_and_named_when_asked_for(
    public_root: Path,
) -> None:
    for name in ("a.svs", "locked/b.svs", "z.svs"):
        write(public_root, name)
    (public_root / "locked").chmod(0)
    (public_root / "z.svs").chmod(0)
    storage = LocalStorage(public_root)
    try:
        with without_root_rights():
            storage.check()
            assert list_all(storage) == ["a.svs", "z.svs"]
            for key in ("z.svs", "locked/b.svs"):
                with pytest.raises(StorageReadError, match="Permission denied"):
                    storage.open(key)
    finally:
        (public_root / "locked").chmod(0o700)


def test_the_operator_is_told_what_is_wrong_with_the_folder(root: Path, public_root: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        LocalStorage(root / "nowhere").check()
    with pytest.raises(ConfigError, match="is not a folder"):
        LocalStorage(root / "case 1" / "slide.svs").check()
    locked = public_root / "locked"
    locked.mkdir(mode=0)
    with without_root_rights(), pytest.raises(ConfigError, match="may not be read"):
        LocalStorage(locked).check()
    LocalStorage(root).check()


def test_an_unmounted_folder_is_an_error_and_not_an_empty_archive(root: Path) -> None:
    storage = LocalStorage(root)
    root.rename(root.parent / "gone")

    with pytest.raises(StorageError):
        storage.list("", "", 10)
    with pytest.raises(StorageError):
        storage.open("case 1/slide.svs")


def test_a_slide_known_from_before_is_resumed(storage: LocalStorage) -> None:
    version = storage.stat("case 1/slide.svs")

    reader = storage.resume("case 1/slide.svs", version)

    assert (reader.version, reader.read(1000, 100)) == (version, DATA[1000:1100])
    assert not isinstance(reader, HoldsBytes), "reading a file early saves nothing"


def test_a_slide_that_was_replaced_or_removed_is_not_resumed(
    root: Path, storage: LocalStorage
) -> None:
    version = storage.stat("case 1/slide.svs")
    before = open_files()

    write(root, "case 1/slide.svs", DATA[:-1])
    with pytest.raises(SlideChanged, match="replaced"):
        storage.resume("case 1/slide.svs", version)
    (root / "case 1/slide.svs").unlink()
    with pytest.raises(SlideChanged, match="removed"):
        storage.resume("case 1/slide.svs", version)
    with pytest.raises(SlideNotFound):
        storage.resume("../secret.svs", version)
    gc.collect()
    assert open_files() == before
