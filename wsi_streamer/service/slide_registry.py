"""SlideRegistry: the open slides of this worker."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from wsi_streamer.errors import SlideNotFound
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits, Slide
from wsi_streamer.mappers.base import Mapper


@dataclass
class _Entry:
    slide: Slide
    checked_at: float


class SlideRegistry:
    """Opens each slide once and keeps it, least recently used last, until it is replaced.

    What falls out is not closed but forgotten: requests may still hold it, and with the last of
    them its reader goes. A slide that was checked less than `revalidate_s` ago is taken to be the object's present
    version; after that one thread asks the storage, while others go on with what there is.
    """

    def __init__(
        self,
        mapper: Mapper,
        limits: Limits,
        *,
        max_slides: int,
        revalidate_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mapper = mapper
        self._limits = limits
        self._revalidate_s = revalidate_s
        self._clock = clock
        self._lock = threading.Lock()
        self._slides: LRUCache[str, _Entry] = LRUCache(max_slides)
        self._opening: dict[str, tuple[threading.Lock, int]] = {}

    def get(self, slide_id: str) -> Slide:
        """Return the open slide; raises SlideNotFound, UnsupportedFormat and StorageErrors."""
        try:
            slide = self._find_fresh(slide_id)
            if slide:
                return slide
            with self._opening_lock(slide_id):
                return self._find_fresh(slide_id) or self._open(slide_id)
        except SlideNotFound as exc:
            # One answer for whatever is no slide: why is nobody's business.
            raise SlideNotFound(f"Slide not found: {slide_id}") from exc

    def drop(self, slide_id: str, slide: Slide) -> None:
        """Forget a slide whose object was replaced, unless it was reopened already."""
        with self._lock:
            entry = self._slides.get(slide_id)
            if entry and entry.slide is slide:
                del self._slides[slide_id]

    def _find_fresh(self, slide_id: str) -> Slide | None:
        now = self._clock()
        with self._lock:
            entry = self._slides.get(slide_id)
            if not entry:
                return None
            if now - entry.checked_at < self._revalidate_s:
                return entry.slide
            # From here on the others hold it for fresh: one check is enough.
            before, entry.checked_at = entry.checked_at, now
        location = self._mapper.locate(slide_id)
        try:
            version = location.storage.stat(location.key)
        except SlideNotFound:
            self.drop(slide_id, entry.slide)
            raise
        except BaseException:
            entry.checked_at = before
            raise
        if version == entry.slide.version:
            return entry.slide
        self.drop(slide_id, entry.slide)
        return None

    def _open(self, slide_id: str) -> Slide:
        location = self._mapper.locate(slide_id)
        now = self._clock()
        slide = open_slide(location.storage.open(location.key), self._limits)
        with self._lock:
            self._slides[slide_id] = _Entry(slide, now)
        return slide

    def _opening_lock(self, slide_id: str) -> "_CountedLock":
        return _CountedLock(self._lock, self._opening, slide_id)


class _CountedLock:
    """A lock for each slide that is being opened, forgotten when nobody waits for it."""

    def __init__(
        self, guard: threading.Lock, locks: dict[str, tuple[threading.Lock, int]], name: str
    ) -> None:
        self._guard = guard
        self._locks = locks
        self._name = name

    def __enter__(self) -> None:
        with self._guard:
            lock, users = self._locks.get(self._name, (threading.Lock(), 0))
            self._locks[self._name] = lock, users + 1
        lock.acquire()

    def __exit__(self, *_: object) -> None:
        with self._guard:
            lock, users = self._locks[self._name]
            if users > 1:
                self._locks[self._name] = lock, users - 1
            else:
                del self._locks[self._name]
        lock.release()
