"""StoreOpener: gets the database of the tile store open, and open again, off the request path."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import diskcache

from wsi_streamer.errors import ConfigError
from wsi_streamer.service.complaints import Complaints
from wsi_streamer.service.tile_cache import TileCache, file_identity

Identity = tuple[int, int]

THREAD_NAME = "tile-store-opener"
# How often it is tried to open the database.
RETRY_S = 3.0
# How often it is checked that the open database is the one which the folder shows.
CHECK_S = 2.0


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One thread that opens, and until when requests wait for it."""

    wait_until: float
    done: threading.Event = field(default_factory=threading.Event)


class StoreOpener:
    """Holds the cache of one process, once there is one.

    Opening takes some milliseconds, or a minute where another process holds the database.
    Requests wait for the first attempt, `timeout_s` at most; after a failure they do not wait.
    The lock is never held while something is opened or waited for.
    """

    def __init__(
        self,
        open_cache: Callable[[Identity | None], TileCache],
        timeout_s: float,
        complaints: Complaints,
        clock: Callable[[], float],
    ) -> None:
        self._open_cache = open_cache
        self._timeout_s = timeout_s
        self._complaints = complaints
        self._clock = clock
        self._lock = threading.Lock()
        self._cache: TileCache | None = None
        self._attempt: _Attempt | None = None
        self._broken: Identity | None = None
        self._has_failed = False
        self._is_closed = False
        self._retry_at = clock()
        self._check_at = clock()

    def find_cache(self) -> TileCache | None:
        """Return the open cache; None if there is none for now."""
        cache = self._cache
        if cache is not None and self._clock() >= self._check_at and not self._is_in_place(cache):
            self._complaints.warn("moved", "the tile store was deleted or replaced: opening again")
            self.drop(cache)
        if self._cache is None:
            self._wait(self._current_attempt())
        return self._cache

    def drop(self, cache: TileCache, *, is_broken: bool = False) -> None:
        """Have the cache opened again; `is_broken`: start with an empty one."""
        with self._lock:
            if self._cache is cache:
                self._cache = None
                self._broken = cache.identity if is_broken else None
        cache.close()

    def close(self) -> None:
        """Let go of the cache for good.

        Its connections close when the last thread that is using it returns.
        """
        with self._lock:
            self._is_closed = True
            cache, self._cache = self._cache, None
        if cache is not None:
            cache.close()

    def _is_in_place(self, cache: TileCache) -> bool:
        self._check_at = self._clock() + CHECK_S
        try:
            return file_identity(cache.path) == cache.identity
        except OSError:
            return False

    def _current_attempt(self) -> _Attempt | None:
        """Return the attempt under way; start one if it is time to."""
        with self._lock:
            now = self._clock()
            is_settled = self._is_closed or self._cache is not None
            if self._attempt or is_settled or now < self._retry_at:
                return self._attempt
            self._retry_at = now + RETRY_S
            self._attempt = _Attempt(now if self._has_failed else now + self._timeout_s)
            attempt = self._attempt
            thread = threading.Thread(
                target=self._run, args=(attempt,), name=THREAD_NAME, daemon=True
            )
        try:
            thread.start()
        except RuntimeError as exc:  # the system has no thread left
            self._settle(attempt, None)
            self._complaints.warn("open", f"cannot open the tile store: {exc}")
        return attempt

    def _wait(self, attempt: _Attempt | None) -> None:
        if attempt is None:
            return
        patience_s = attempt.wait_until - self._clock()
        if patience_s > 0 and not attempt.done.wait(patience_s):
            self._has_failed = True
            self._complaints.warn("slow", "the tile store does not open: going on without it")

    def _run(self, attempt: _Attempt) -> None:
        cache = None
        try:
            cache = self._open_cache(self._broken)
        except (sqlite3.Error, OSError, diskcache.Timeout, ConfigError) as exc:
            self._complaints.warn("open", f"cannot open the tile store: {exc}")
        finally:
            self._settle(attempt, cache)

    def _settle(self, attempt: _Attempt, cache: TileCache | None) -> None:
        with self._lock:
            self._attempt = None
            self._has_failed = cache is None
            self._check_at = self._clock() + CHECK_S
            if not self._is_closed:
                self._cache = cache
        attempt.done.set()
