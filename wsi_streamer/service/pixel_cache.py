"""PixelCache: decoded stored tiles in the memory of one worker."""

import threading
from dataclasses import dataclass

from cachetools import LRUCache

from wsi_streamer.imaging.color import Pixels
from wsi_streamer.model.tile import TileAddress

# What an entry takes besides its pixels: key, array header, place in the cache.
OVERHEAD = 512
# An array of more than this part of the cache would push out too many others.
LARGEST_PART = 4


@dataclass(frozen=True, slots=True)
class PixelKey:
    """One stored tile of one version of a slide, halved `reduce` times."""

    slide_id: str
    version: str
    place: TileAddress
    reduce: int = 0


class PixelCache:
    """Keeps arrays of at most `max_bytes` together, least recently used out first; 0: none.

    Safe to share between threads: what is in it can no longer be written to.
    """

    def __init__(self, max_bytes: int) -> None:
        self._largest = max_bytes // LARGEST_PART
        self._lock = threading.Lock()
        self._tiles: LRUCache[PixelKey, Pixels] = LRUCache(max_bytes, getsizeof=_size)

    def get(self, key: PixelKey) -> Pixels | None:
        """Return the pixels of a tile, read-only, or None if they are not there."""
        with self._lock:
            return self._tiles.get(key)

    def put(self, key: PixelKey, pixels: Pixels) -> None:
        """Keep the pixels of a tile and make them read-only."""
        if _size(pixels) > self._largest:
            return
        # A part of a larger array keeps all of it in memory, and can be changed through it.
        kept = pixels if pixels.flags.owndata else pixels.copy()
        for array in (pixels, kept):
            array.setflags(write=False)
        with self._lock:
            self._tiles[key] = kept


def _size(pixels: Pixels) -> int:
    return pixels.nbytes + OVERHEAD
