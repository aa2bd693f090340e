"""StoreWriter: requests never wait for the disk, and nothing that was kept gets lost."""

import os
import threading
import time

import pytest

from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.store_writer import MAX_WAITING_BYTES, StoreWriter


class Disk:
    """Collects what is written, slowly if asked to."""

    def __init__(self):
        self.batches = []
        self.is_busy = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def write(self, entries):
        self.is_busy.set()
        self.gate.wait(10)
        self.batches.append(list(entries))

    @property
    def written(self):
        return [entry for batch in self.batches for entry in batch]


@pytest.fixture
def disk():
    return Disk()


@pytest.fixture
def writer(disk):
    return StoreWriter(disk.write)


def entry(number, size=10):
    return ImageKey(f"{number:064x}"), bytes(size)


def test_everything_is_written_in_order(disk, writer):
    for number in range(500):
        writer.add([entry(number)])
    assert writer.flush(10)
    assert disk.written == [entry(number) for number in range(500)]


def test_single_images_share_transactions(disk, writer):
    for number in range(60):
        writer.add([entry(number)])
    assert writer.flush(10)
    assert len(disk.batches) < 20


def test_a_request_does_not_wait_for_a_slow_disk(disk, writer):
    disk.gate.clear()
    start = time.monotonic()
    for number in range(50):
        writer.add([entry(number)])
    assert time.monotonic() - start < 1
    disk.gate.set()
    assert writer.flush(10)
    assert len(disk.written) == 50


def test_who_waits_for_a_run_hears_when_it_is_on_the_disk(disk, writer):
    seen = []
    done = threading.Event()

    def stored():
        seen.extend(disk.written)
        done.set()

    writer.add([entry(1), entry(2)], stored)
    assert done.wait(10)
    assert seen == [entry(1), entry(2)]


def test_memory_stays_bounded_where_the_disk_is_too_slow_and_locks_are_released(disk, writer):
    disk.gate.clear()
    released = []
    # The one that is being written waits no more, and those behind it wait for it.
    writer.add([entry(40)], lambda: released.append(1))
    assert disk.is_busy.wait(10)
    for number in range(39):
        writer.add([entry(number, MAX_WAITING_BYTES // 10)], lambda: released.append(1))
    assert len(released) == 29
    disk.gate.set()
    assert writer.flush(10)
    assert len(released) == 40
    assert len(disk.written) <= 11


def test_what_grows_is_written_once_and_as_it_is_then(disk, writer):
    grown = [entry(1)]
    for _ in range(20):
        writer.add_late("index", 0.05, lambda: list(grown))
    grown.append(entry(2))
    deadline = time.monotonic() + 10
    while not disk.written and time.monotonic() < deadline:
        time.sleep(0.01)
    assert disk.written == [entry(1), entry(2)]


def test_what_is_to_be_written_later_is_written_before_the_end(disk, writer):
    writer.add_late("index", 3600, lambda: [entry(1)])
    assert writer.flush(10)
    assert disk.written == [entry(1)]


def test_a_worker_that_was_forked_writes_its_own(disk, writer):
    writer.add([entry(1)])
    assert writer.flush(10)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        writer.add([entry(2)])
        is_written = writer.flush(10) and disk.written == [entry(1), entry(2)]
        os.write(write, b"yes" if is_written else b"no")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 3) == b"yes"
    os.close(read)
    os.close(write)
