"""Waiting for several answers at once, on few threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Parallel:
    """A small pool of threads, of which one process has one; they start when first needed."""

    def __init__(self, max_threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_threads, thread_name_prefix="storage")

    def run(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Return what the tasks return, in their order; the caller does at least the first.

        It does all that no thread has begun until it gets there, so that nobody waits for a
        thread that others keep busy. The first error is raised; tasks not begun are then left.
        """
        futures = [self._executor.submit(task) for task in tasks[1:]]
        try:
            results = [task() for task in tasks[:1]]
            for task, future in zip(tasks[1:], futures, strict=True):
                results.append(task() if future.cancel() else future.result())
        finally:
            for future in futures:
                future.cancel()
        return results
