"""IndexStore: what opening a slide found out, for all workers and for the time after a restart.

A slide that is known opens without a request: its first read proves that it is still the same.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from wsi_streamer.service.keys import ImageKey, SlideKeys
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.store_writer import StoreWriter
from wsi_streamer.service.tile_store import TileStore

# Length of the version, which stands before the index.
VERSION_LENGTH = struct.Struct(">I")
TIME = struct.Struct(">d")
# Tables are read in parts, one after the other while a viewer moves: they are stored together.
SAVE_DELAY_S = 0.5
# Writing an index may take a fiftieth of the time.
MOST_DELAYS = 50
# Workers tell each other this often that a slide is unchanged.
TELL_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class StoredIndex:
    """The index of a slide, and the version that it describes."""

    version: str
    data: bytes


class IndexStore:
    """Keeps indexes, and when slides were last seen unchanged, in the tile store.

    `now` is the time of day, which all workers share.
    """

    def __init__(
        self, store: TileStore, writer: StoreWriter, now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._writer = writer
        self._now = now

    def find(self, storage: str, slide_id: str) -> StoredIndex | None:
        """Return the index that was stored last, None if there is none."""
        packed = self._store.get(_index_key(storage, slide_id))
        if packed is None or len(packed) < VERSION_LENGTH.size:
            return None
        (length,) = VERSION_LENGTH.unpack_from(packed)
        start = VERSION_LENGTH.size + length
        try:
            version = packed[VERSION_LENGTH.size : start].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return None
        return StoredIndex(version, packed[start:])

    def keep(self, storage: str, opened: OpenedSlide) -> None:
        """Store the index of a slide soon if it has grown since it was stored."""
        revision = opened.slide.index_revision
        if revision == opened.saved_revision:
            return
        opened.saved_revision = revision

        def make() -> list[tuple[ImageKey, bytes]]:
            started = time.monotonic()
            version = opened.slide.version.encode("utf-8", "surrogatepass")
            packed = VERSION_LENGTH.pack(len(version)) + version + opened.slide.to_index()
            opened.save_cost_s = time.monotonic() - started
            return [(_index_key(storage, opened.slide_id), packed)]

        delay_s = max(SAVE_DELAY_S, MOST_DELAYS * opened.save_cost_s)
        self._writer.add_late(opened.keys.name, delay_s, make)

    def forget(self, storage: str, slide_id: str) -> None:
        """Forget the index of a slide that was replaced."""
        self._store.discard(_index_key(storage, slide_id))

    def tell_checked(self, opened: OpenedSlide) -> None:
        """Let other workers know when a slide was last seen unchanged, once a second at most."""
        checked_at = opened.checked_at
        if checked_at - opened.told_at < TELL_EVERY_S:
            return
        opened.told_at = checked_at
        checked = self._now() - (opened.clock() - checked_at)
        self._writer.add([(_checked_key(opened.keys), TIME.pack(checked))])

    def find_age(self, keys: SlideKeys) -> float | None:
        """Return how many seconds ago any worker saw that a slide is unchanged; None: unknown."""
        packed = self._store.get(_checked_key(keys))
        if packed is None or len(packed) != TIME.size:
            return None
        age = self._now() - float(TIME.unpack(packed)[0])
        # The clock was set back: nothing is known.
        return age if age >= 0 else None


def _index_key(storage: str, slide_id: str) -> ImageKey:
    return SlideKeys(storage, slide_id, "").make("index", 0, 0, 0, "")


def _checked_key(keys: SlideKeys) -> ImageKey:
    return keys.make("checked", 0, 0, 0, "")
