"""Reach: how much of a slide's begin and end to ask for before anything is known of it.

Slides of one place were written by the same scanners and programs, so what the last ones needed
for opening is what the next one is likely to need.
"""

import threading
from collections import deque
from collections.abc import Sequence

# What serves most layouts at a round trip of 60 ms (docs/performance.md).
FIRST_HEAD, FIRST_TAIL = 256 * 1024, 2 * 1024 * 1024
LEAST_HEAD = 16 * 1024
# More is never asked for unseen, whatever a slide needed.
MOST = 4 * 1024 * 1024
OPENINGS = 8


class Reach:
    """Learns from the last openings of a storage; safe to share between threads.

    More is asked for as soon as a slide needed more, less when the last openings all needed less.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asks = deque([(FIRST_HEAD, FIRST_TAIL)] * OPENINGS, OPENINGS)

    @property
    def head_bytes(self) -> int:
        """How many bytes from the begin to ask for."""
        with self._lock:
            return max(LEAST_HEAD, *(head for head, _ in self._asks))

    @property
    def tail_bytes(self) -> int:
        """How many bytes before the end to ask for; 0 where slides do not need them."""
        with self._lock:
            return max(tail for _, tail in self._asks)

    def learn(self, size: int, used: Sequence[tuple[int, int]]) -> None:
        """Note the (start, end) parts, ascending, that opening an object of `size` bytes needed."""
        half = size // 2
        head = 0
        for start, end in used:
            # What lies further on is cheaper to read by itself than with all that lies before it.
            if start <= head + FIRST_HEAD and start < half:
                head = min(end, half)
        starts = [max(start, half) for start, end in used if end > half]
        tail = size - min((it for it in starts if it >= size - MOST), default=size)
        with self._lock:
            self._asks.append((_rounded(head), _rounded(tail)))


def _rounded(needed: int) -> int:
    """Return a need with a quarter on top, in steps of 16 KiB."""
    return min(-(-needed * 5 // 4 // LEAST_HEAD) * LEAST_HEAD, MOST)
