"""How long one question to the storage may take, tries and pauses included."""

import time

from wsi_streamer.errors import StorageUnreachable


class Deadline:
    """A point in time, `timeout_s` from now."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._end = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Return the seconds that are left; raises StorageUnreachable when there are none."""
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise StorageUnreachable(f"the storage did not answer within {self._timeout_s:g} s")
        return left_s

    def check(self) -> None:
        """Raise StorageUnreachable when the time is over."""
        self.left_s()
