"""Trying again: how often, and after which pause."""

import time
from random import SystemRandom

from wsi_streamer.storage.deadline import Deadline

TRIES = 3
FIRST_PAUSE_S = 0.05
MAX_PAUSE_S = 1.0


class Retries:
    """The tries of one question; all of them begin before its deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._tries = 1

    def wait(self, asked_s: float = 0) -> bool:
        """Wait before another try, `asked_s` at least; False, at once, if it makes no sense.

        The pause is drawn anew each time, so that those who failed together do not come back
        together ("full jitter", AWS Builders' Library, Timeouts, retries and backoff). Raises
        StorageUnreachable when the time is over.
        """
        left_s = self._deadline.left_s()
        pause_s = max(asked_s, SystemRandom().uniform(0, longest_pause_s(self._tries)))
        if self._tries == TRIES or pause_s >= left_s:
            return False
        self._tries += 1
        time.sleep(pause_s)
        return True


def longest_pause_s(tries: int) -> float:
    """Return the longest pause after so many tries: it doubles each time."""
    return min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (tries - 1))
