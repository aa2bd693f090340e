"""ReadingLocks: workers read the same bytes once, and none waits for one that has died."""

import multiprocessing
import os
import stat

import pytest

from wsi_streamer.service.reading_locks import ReadingLocks


@pytest.fixture
def path(tmp_path):
    return tmp_path / "reading.lock"


def hold_until_told(path, pipe):
    release = ReadingLocks(path).find("run")
    pipe.send(release is not None)
    if pipe.recv() == "release":
        release()
        pipe.send("released")
        pipe.recv()
    os._exit(1)


@pytest.fixture
def other(path):
    """Another worker, which holds the lock."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=hold_until_told, args=(path, theirs))
    process.start()
    assert ours.recv()
    yield process, ours
    process.kill()
    process.join()


def test_what_another_worker_reads_is_not_read_again(path, other):
    locks = ReadingLocks(path)
    assert locks.find("run") is None
    assert locks.find("another run") is not None


def test_a_lock_is_free_when_the_other_worker_has_let_go(path, other):
    _, pipe = other
    pipe.send("release")
    assert pipe.recv() == "released"
    assert ReadingLocks(path).find("run") is not None


def test_a_worker_that_dies_blocks_nobody(path, other):
    process, _ = other
    process.kill()
    process.join()
    assert ReadingLocks(path).find("run") is not None


def test_without_a_folder_every_worker_reads_for_itself(tmp_path):
    for locks in (ReadingLocks(None), ReadingLocks(tmp_path / "missing" / "file")):
        release = locks.find("run")
        assert release is not None
        release()


def test_others_cannot_read_or_hold_our_locks(path):
    ReadingLocks(path).find("run")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
