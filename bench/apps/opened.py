"""Slides that stay open: each is opened by the first thread that asks for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Opened(Generic[T]):
    """What `open_one` made of each name, made once."""

    def __init__(self, open_one: Callable[[str], T]) -> None:
        self._open_one = open_one
        self._lock = threading.Lock()
        self._opened: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        opened = self._opened.get(name)
        if opened is None:
            with self._lock:
                opened = self._opened.get(name)
                if opened is None:
                    opened = self._opened[name] = self._open_one(name)
        return opened
