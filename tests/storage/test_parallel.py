"""Answers that are waited for together: all of them, in order, and nobody is left waiting."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from wsi_streamer.errors import StorageError
from wsi_streamer.storage.parallel import Parallel


def test_results_come_in_the_order_of_the_tasks() -> None:
    tasks: list[Callable[[], int]] = [partial(pow, 2, n) for n in range(20)]

    assert Parallel(3).run(tasks) == [2**n for n in range(20)]
    assert Parallel(3).run(tasks[:1]) == [1]
    assert Parallel(3).run(tasks[:0]) == []


def test_one_task_needs_no_thread() -> None:
    assert Parallel(3).run([threading.get_ident]) == [threading.get_ident()]


def test_tasks_are_under_way_together() -> None:
    meeting = threading.Barrier(4)

    assert sorted(Parallel(3).run([partial(meeting.wait, 5)] * 4)) == [0, 1, 2, 3]


def test_a_caller_does_not_wait_for_threads_that_others_keep_busy() -> None:
    parallel = Parallel(1)
    release = threading.Event()
    busy = threading.Thread(target=parallel.run, args=([lambda: None, release.wait],))
    begun = threading.Event()
    other = threading.Thread(target=parallel.run, args=([begun.set, release.wait],))
    other.start()
    begun.wait(5)
    busy.start()

    assert parallel.run([partial(int, 1), partial(int, 2), partial(int, 3)]) == [1, 2, 3]

    release.set()
    other.join()
    busy.join()


def test_the_first_error_is_raised() -> None:
    def fail(text: str) -> int:
        raise StorageError(text)

    with pytest.raises(StorageError, match="one"):
        Parallel(3).run([partial(int, 1), partial(fail, "one"), partial(fail, "two")])
    with pytest.raises(StorageError, match="mine"):
        Parallel(3).run([partial(fail, "mine"), partial(fail, "two")])
