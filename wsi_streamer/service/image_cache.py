"""ImageCache: finished images, in the memory of the worker and in the store of all workers."""

from wsi_streamer.service.finished_image import FinishedImage, unpack_image
from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.memory_lru import MemoryLru
from wsi_streamer.service.store_writer import StoreWriter
from wsi_streamer.service.tile_store import TileStore

# What an entry takes besides its bytes: key, object, place in the dictionary.
OVERHEAD = 400


class ImageCache:
    """Looks in memory, then on the disk; stores in memory at once and on the disk soon."""

    def __init__(self, store: TileStore, writer: StoreWriter, *, max_memory: int) -> None:
        self._store = store
        self._writer = writer
        self._memory: MemoryLru[str, FinishedImage] = MemoryLru(max_memory)

    def prepare(self) -> None:
        """Open the store."""
        self._store.get(ImageKey(""))

    def find_remembered(self, key: ImageKey) -> FinishedImage | None:
        """Return an image from memory, None if it is not there."""
        return self._memory.get(key.text)

    def find_stored(self, key: ImageKey) -> FinishedImage | None:
        """Return an image from the disk, None if it is not there."""
        image, _ = self.find_either(key, key)
        return image

    def find_either(
        self, key: ImageKey, other: ImageKey
    ) -> tuple[FinishedImage | None, bytes | None]:
        """Return an image from the disk, or else what lies there under `other`."""
        found = self._store.get_either(key, other)
        if found is None:
            return None, None
        if found[0] is not key:
            return None, found[1]
        image = unpack_image(found[1])
        self.remember(key, image)
        return image, None

    def keep(self, key: ImageKey, image: FinishedImage) -> None:
        """Keep an image."""
        self.remember(key, image)
        self._writer.add([(key, image.pack())])

    def remember(self, key: ImageKey, image: FinishedImage) -> None:
        """Keep an image in memory alone."""
        self._memory.put(key.text, image, len(image.data) + OVERHEAD)
