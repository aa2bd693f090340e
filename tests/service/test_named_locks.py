"""NamedLocks: one at a time, and none for ever."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsi_streamer.errors import StorageUnreachable
from wsi_streamer.service.named_locks import NamedLocks


def test_one_at_a_time_for_each_name():
    locks, inside, most = NamedLocks(10), [0], [0]

    def work(_):
        with locks.hold("a"):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.001)
            inside[0] -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert most == [1]


def test_other_names_do_not_wait():
    locks = NamedLocks(10)
    with locks.hold("a"), locks.hold("b"):
        pass


def test_eight_who_wait_for_a_silent_storage_do_not_wait_eight_times():
    locks, tries, entered = NamedLocks(10), [], threading.Event()

    def work(_):
        with locks.hold("a"):
            tries.append(1)
            entered.set()
            time.sleep(0.2)
            raise StorageUnreachable("silent")

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(work, 0)
        assert entered.wait(10)
        others = [pool.submit(work, number) for number in range(7)]
        for future in (first, *others):
            with pytest.raises(StorageUnreachable, match="silent"):
                future.result(10)
    assert len(tries) == 1
    with locks.hold("a"):
        pass


def test_nobody_waits_for_ever():
    locks = NamedLocks(0.05)
    with locks.hold("a"), ThreadPoolExecutor(1) as pool, pytest.raises(StorageUnreachable):
        pool.submit(lambda: locks.hold("a").__enter__()).result(10)
