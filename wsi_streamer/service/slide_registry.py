"""SlideRegistry: the open slides of this worker."""

import threading
import time
from collections.abc import Callable

from cachetools import LRUCache, TTLCache

from wsi_streamer.errors import SlideChanged, SlideNotFound, UnsupportedFormat
from wsi_streamer.formats import open_slide, restore_slide
from wsi_streamer.formats.base import Limits, Slide
from wsi_streamer.mappers.base import Mapper, SlideLocation
from wsi_streamer.service.index_store import IndexStore
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.named_locks import NamedLocks
from wsi_streamer.service.opened_slide import NEVER, OpenedSlide
from wsi_streamer.storage.reach import Reach
from wsi_streamer.waiting import BeforeWaiting

# Refusals that are remembered, so that a file that is costly to refuse is not opened again and
# again by those who wait for it.
MAX_REFUSED = 1000


class SlideRegistry:
    """Opens each slide once and keeps it, least recently used last, until it is replaced.

    A slide that any worker saw unchanged less than `revalidate_s` ago is taken to be the object's
    present version; after that one thread asks the storage, while others go on with what there
    is. A refusal is trusted as long. What falls out is not closed but forgotten: requests may
    still hold it, and its reader goes with the last of them. Nobody waits longer than
    `patience_s` for another thread that opens a slide.
    """

    def __init__(
        self,
        mapper: Mapper,
        indexes: IndexStore,
        limits: Limits,
        *,
        max_slides: int,
        revalidate_s: float,
        patience_s: float = 4.0,
        before_waiting: BeforeWaiting | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._before_waiting = before_waiting or BeforeWaiting()
        self._mapper = mapper
        self._indexes = indexes
        self._limits = limits
        self._revalidate_s = revalidate_s
        self._clock = clock
        self._lock = threading.Lock()
        self._slides: LRUCache[str, OpenedSlide] = LRUCache(max_slides)
        self._opening = NamedLocks(patience_s)
        self._reach = Reach()
        self._refused: TTLCache[str, UnsupportedFormat] = TTLCache(
            MAX_REFUSED, revalidate_s, timer=clock
        )

    def find(self, slide_id: str) -> OpenedSlide:
        """Return the open slide, which may have been replaced meanwhile: see `verify`.

        A slide that is known is not asked for. Raises SlideNotFound, UnsupportedFormat and
        StorageErrors.
        """
        opened = self._find_open(slide_id)
        if opened:
            return opened
        self._before_waiting()
        try:
            with self._opening.hold(slide_id):
                return self._find_open(slide_id) or self._open(slide_id)
        except SlideNotFound as exc:
            # One answer for whatever is no slide: why is nobody's business.
            raise SlideNotFound(f"Slide not found: {slide_id}") from exc

    def get(self, slide_id: str) -> OpenedSlide:
        """Return the open slide of the object's present version; same errors."""
        opened = self.find(slide_id)
        try:
            self.verify(opened)
        except SlideChanged:
            opened = self.find(slide_id)
            self.verify(opened)
        return opened

    def verify(self, opened: OpenedSlide) -> None:
        """Return if a slide is the object's present version.

        Raises SlideChanged if not, SlideNotFound if the object is gone, and StorageErrors.
        """
        if self._is_fresh(opened):
            return
        if opened.checked_at == NEVER:
            self._before_waiting()
            with self._opening.hold(opened.slide_id):
                if not self._is_fresh(opened):
                    self._check(opened)
            return
        with self._lock:
            now = self._clock()
            # One thread asks; the others go on with what there is, but not for long.
            if self._is_fresh(opened) or now - opened.asking_since < self._revalidate_s:
                return
            opened.asking_since = now
        try:
            self._check(opened)
        finally:
            opened.asking_since = NEVER

    def keep(self, opened: OpenedSlide) -> None:
        """Let other workers have what was learned of a slide by reading from it."""
        if opened.slide.index_revision != opened.saved_revision:
            storage = self._mapper.locate(opened.slide_id).storage.name
            self._indexes.keep(storage, opened)
        if opened.reads_verify:
            self._indexes.tell_checked(opened)

    def drop(self, opened: OpenedSlide) -> None:
        """Forget a slide whose object was replaced, unless it was reopened already."""
        with self._lock:
            if self._slides.get(opened.slide_id) is opened:
                del self._slides[opened.slide_id]
        self._indexes.forget(self._mapper.locate(opened.slide_id).storage.name, opened.slide_id)

    def _is_fresh(self, opened: OpenedSlide) -> bool:
        return self._clock() - opened.checked_at < self._revalidate_s

    def _find_open(self, slide_id: str) -> OpenedSlide | None:
        with self._lock:
            return self._slides.get(slide_id)

    def _check(self, opened: OpenedSlide) -> None:
        """Note when the version was last seen, by another worker or by asking now."""
        asked_at = self._clock()
        age = self._indexes.find_age(opened.keys) if opened.reads_verify else None
        if age is not None and age < self._revalidate_s:
            opened.checked_at = asked_at - age
            return
        self._before_waiting()
        location = self._mapper.locate(opened.slide_id)
        try:
            version = location.storage.stat(location.key)
        except SlideNotFound as exc:
            self.drop(opened)
            raise SlideNotFound(f"Slide not found: {opened.slide_id}") from exc
        if version != opened.slide.version:
            self.drop(opened)
            raise SlideChanged(f"{opened.slide_id} was replaced since it was opened")
        opened.checked_at = asked_at
        self.keep(opened)

    def _open(self, slide_id: str) -> OpenedSlide:
        location = self._mapper.locate(slide_id)
        with self._lock:
            refused = self._refused.get(slide_id)
        if refused:
            # Not the same object again: each time it is raised, it collects another traceback.
            raise UnsupportedFormat(str(refused))
        opened = self._restore(slide_id, location)
        if not opened:
            opened = self._parse(slide_id, location)
        with self._lock:
            self._slides[slide_id] = opened
        return opened

    def _restore(self, slide_id: str, location: SlideLocation) -> OpenedSlide | None:
        """Return a slide that some worker opened before, without a request; None if none did."""
        index = self._indexes.find(location.storage.name, slide_id)
        if index is None:
            return None
        try:
            reader = location.storage.resume(location.key, index.version)
            slide = restore_slide(reader, index.data, self._limits)
        except (ValueError, SlideChanged):
            self._indexes.forget(location.storage.name, slide_id)
            return None
        opened = self._make(slide_id, location, slide)
        opened.saved_revision = slide.index_revision
        return opened

    def _parse(self, slide_id: str, location: SlideLocation) -> OpenedSlide:
        asked_at = self._clock()
        reader = location.storage.open(
            location.key,
            head_bytes=self._reach.head_bytes,
            tail_bytes=self._reach.tail_bytes,
        )
        try:
            slide = open_slide(reader, self._limits, self._reach)
        except UnsupportedFormat as exc:
            with self._lock:
                self._refused[slide_id] = exc.with_traceback(None)
            raise
        opened = self._make(slide_id, location, slide)
        opened.checked_at = asked_at
        self.keep(opened)
        return opened

    def _make(self, slide_id: str, location: SlideLocation, slide: Slide) -> OpenedSlide:
        storage = location.storage
        keys = SlideKeys(storage.name, slide_id, slide.version)
        return OpenedSlide(slide_id, slide, keys, storage.reads_verify, self._clock)
