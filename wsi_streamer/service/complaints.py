"""Complaints: warnings that cannot flood the log."""

import logging
from collections.abc import Callable

EVERY_S = 60.0


class Complaints:
    """Logs each kind of warning at most once a minute."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float]) -> None:
        self._logger = logger
        self._clock = clock
        self._quiet_until: dict[str, float] = {}

    def warn(self, kind: str, message: str) -> None:
        """Log a warning unless one of its kind was logged within the last minute."""
        now = self._clock()
        if now >= self._quiet_until.get(kind, now):
            self._quiet_until[kind] = now + EVERY_S
            self._logger.warning("%s", message)
