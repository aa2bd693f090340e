"""The id of a slide is the key of its object."""

from collections.abc import Sequence

from wsi_streamer.errors import SlideNotFound
from wsi_streamer.mappers.base import SlideLocation
from wsi_streamer.model.page import Page
from wsi_streamer.storage.base import Storage

# Object stores answer a listing with at most 1000 keys; a folder is walked anew for each listing,
# so that a long search had better ask for more.
FIRST_KEYS, MOST_KEYS, GROWTH = 1000, 100_000, 10


class DirectMapper:
    """Serves each object of a storage whose name ends like a slide's."""

    def __init__(self, storage: Storage, extensions: Sequence[str], *, max_list_calls: int) -> None:
        self._storage = storage
        self._extensions = tuple(extensions)
        self._max_list_calls = max_list_calls

    def prepare(self) -> None:
        """Make ahead what the storage needs."""
        self._storage.prepare()

    def locate(self, slide_id: str) -> SlideLocation:
        """Return the storage and the id itself; raises SlideNotFound for other files."""
        if not self._is_slide(slide_id):
            raise SlideNotFound(f"Slide not found: {slide_id}")
        return SlideLocation(self._storage, slide_id)

    def list(self, *, prefix: str, search: str, after: str, limit: int) -> Page:
        """Return the next slides; see `mappers.base.Mapper`."""
        wanted = search.casefold()
        found: list[str] = []
        keys = FIRST_KEYS
        for _ in range(self._max_list_calls):
            page = self._storage.list(prefix, after, keys)
            keys = min(keys * GROWTH, MOST_KEYS)
            found += [key for key in page.names if self._is_slide(key) and wanted in key.casefold()]
            # One more than asked for tells whether there is a next page.
            if len(found) > limit:
                return Page(tuple(found[:limit]), found[limit - 1])
            if page.last is None:
                return Page(tuple(found), None)
            after = page.last
        return Page(tuple(found), after)

    def _is_slide(self, key: str) -> bool:
        return key.lower().endswith(self._extensions)
