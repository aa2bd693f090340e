"""SlideRegistry: the open slides of this worker."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache, TTLCache

from wsi_streamer.errors import SlideNotFound, UnsupportedFormat
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits, Slide
from wsi_streamer.mappers.base import Mapper
from wsi_streamer.service.named_locks import NamedLocks

# Refusals that are remembered, so that a file that is costly to refuse is not opened again and
# again by those who wait for it.
MAX_REFUSED = 1000


@dataclass
class _Entry:
    slide: Slide
    checked_at: float


class SlideRegistry:
    """Opens each slide once and keeps it, least recently used last, until it is replaced.

    A slide that was checked less than `revalidate_s` ago is taken to be the object's present
    version; after that one thread asks the storage, while others go on with what there is. A
    refusal is trusted as long. What falls out is not closed but forgotten: requests may still
    hold it, and its reader goes with the last of them.
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
        self._opening = NamedLocks()
        self._refused: TTLCache[str, UnsupportedFormat] = TTLCache(
            MAX_REFUSED, revalidate_s, timer=clock
        )

    def get(self, slide_id: str) -> Slide:
        """Return the open slide; raises SlideNotFound, UnsupportedFormat and StorageErrors."""
        try:
            slide = self._find_fresh(slide_id)
            if slide:
                return slide
            with self._opening.hold(slide_id):
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
        with self._lock:
            refused = self._refused.get(slide_id)
        if refused:
            # Not the same object again: each time it is raised, it collects another traceback.
            raise UnsupportedFormat(str(refused))
        now = self._clock()
        try:
            slide = open_slide(location.storage.open(location.key), self._limits)
        except UnsupportedFormat as exc:
            with self._lock:
                self._refused[slide_id] = exc.with_traceback(None)
            raise
        with self._lock:
            self._slides[slide_id] = _Entry(slide, now)
        return slide
