from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.clock import Clock
from wsi_streamer.formats import EXTENSIONS
from wsi_streamer.formats.base import Limits
from wsi_streamer.mappers.direct import DirectMapper
from wsi_streamer.service.pixel_cache import PixelCache
from wsi_streamer.service.region_reader import RegionReader
from wsi_streamer.service.slide_registry import SlideRegistry
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
def registry(tmp_path: Path, clock: Clock) -> SlideRegistry:
    mapper = DirectMapper(LocalStorage(tmp_path), EXTENSIONS, max_list_calls=20)
    return SlideRegistry(mapper, Limits(), max_slides=3, revalidate_s=5, clock=clock)


@pytest.fixture
def service(tmp_path: Path, registry: SlideRegistry) -> Iterator[TileService]:
    mapper = DirectMapper(LocalStorage(tmp_path), EXTENSIONS, max_list_calls=20)
    store = TileStore(tmp_path / "cache", 10_000_000)
    regions = RegionReader(PixelCache(10_000_000), max_pixels=10_000_000)
    yield TileService(mapper, registry, regions, store, default_quality=80)
    store.close()
