from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.service.clock import Clock
from wsi_streamer.formats import EXTENSIONS
from wsi_streamer.formats.base import Limits
from wsi_streamer.mappers.direct import DirectMapper
from wsi_streamer.service.encoding import Encoding
from wsi_streamer.service.image_cache import ImageCache
from wsi_streamer.service.index_store import IndexStore
from wsi_streamer.service.pixel_cache import PixelCache
from wsi_streamer.service.reading_locks import ReadingLocks
from wsi_streamer.service.region_reader import RegionReader
from wsi_streamer.service.run_store import RunStore
from wsi_streamer.service.slide_registry import SlideRegistry
from wsi_streamer.service.store_writer import StoreWriter
from wsi_streamer.service.stored_tiles import StoredTiles
from wsi_streamer.service.tile_service import TileService
from wsi_streamer.service.tile_store import TileStore
from wsi_streamer.storage.local import LocalStorage


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a tile store of a test lies."""
    return tmp_path / "store"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TileStore]:
    made = TileStore(tmp_path / "cache", 10_000_000)
    yield made
    made.close()


@pytest.fixture
def writer(store: TileStore) -> Iterator[StoreWriter]:
    made = StoreWriter(store.put_many)
    yield made
    assert made.flush(10)


@pytest.fixture
def make_writer() -> Iterator[Callable[[TileStore], StoreWriter]]:
    """Make writers of stores, which are empty in the end."""
    made: list[StoreWriter] = []

    def make(store: TileStore) -> StoreWriter:
        made.append(StoreWriter(store.put_many))
        return made[-1]

    yield make
    assert all(writer.flush(10) for writer in made)


@pytest.fixture
def registry(tmp_path: Path, store: TileStore, writer: StoreWriter, clock: Clock) -> SlideRegistry:
    mapper = DirectMapper(LocalStorage(tmp_path), EXTENSIONS, max_list_calls=20)
    return SlideRegistry(
        mapper, IndexStore(store, writer), Limits(), max_slides=3, revalidate_s=5, clock=clock
    )


@pytest.fixture
def service(
    tmp_path: Path, store: TileStore, writer: StoreWriter, registry: SlideRegistry
) -> TileService:
    return make_service(tmp_path, store, writer, registry)


@pytest.fixture
def other_service(
    tmp_path: Path, store: TileStore, writer: StoreWriter, registry: SlideRegistry
) -> TileService:
    """That of another worker, which shares the store and what is known of slides."""
    return make_service(tmp_path, store, writer, registry)


def make_service(
    folder: Path, store: TileStore, writer: StoreWriter, registry: SlideRegistry
) -> TileService:
    return TileService(
        DirectMapper(LocalStorage(folder), EXTENSIONS, max_list_calls=20),
        registry,
        RegionReader(PixelCache(10_000_000), max_pixels=10_000_000),
        StoredTiles(
            ReadingLocks(folder / "reading.lock"),
            RunStore(store, writer),
            max_ahead=200_000,
            max_memory=1_000_000,
            patience_s=5,
        ),
        ImageCache(store, writer, max_memory=10_000_000),
        encoding=Encoding(),
        patience_s=10,
    )
