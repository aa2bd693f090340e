"""Spans: parts of an object that were used, as (start, end)."""

from collections.abc import Iterable

# So many are kept before those that touch are joined.
MANY = 256


class Spans:
    """Grows with each part that is used; parts that touch count as one."""

    def __init__(self) -> None:
        self._spans: list[tuple[int, int]] = []

    def add(self, start: int, end: int) -> None:
        """Note that a part was used."""
        if self._spans:
            first, last = self._spans[-1]
            if first <= start <= last:
                self._spans[-1] = (first, max(end, last))
                return
        self._spans.append((start, end))
        if len(self._spans) % MANY == 0:
            self._spans = merged(self._spans)

    def merged(self) -> list[tuple[int, int]]:
        """Return what was used, in ascending order."""
        return merged(self._spans)


def merged(spans: Iterable[tuple[int, int]], gap: int = 0) -> list[tuple[int, int]]:
    """Return spans in ascending order, joined where at most `gap` lies between them."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
