"""The contract of a slide format: what each module of this part implements."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from wsi_streamer.formats.runs import TileRuns
from wsi_streamer.formats.tiff.directory import Directory, read_directory
from wsi_streamer.model.slide import SlideInfo
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.storage.base import RangeReader
from wsi_streamer.storage.block_cache import CachedReader


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a format may read and accept, whatever a file claims."""

    flat_max_pixels: int = 100_000_000
    open_max_bytes: int = 16 * 1024 * 1024
    open_max_requests: int = 64
    open_timeout_s: float = 4.0
    block_size: int = 768 * 1024
    cache_blocks: int = 100
    max_ifds: int = 64
    max_tiles: int = 1_000_000
    max_tile_side: int = 4096
    jpeg2000: bool = True


class Probe:
    """What is known of an object before its format is: its bytes, and its IFDs if it is TIFF."""

    def __init__(self, reader: RangeReader, limits: Limits) -> None:
        self.reader = reader
        self.limits = limits
        self.cached = CachedReader(
            reader,
            window=limits.block_size,
            max_windows=limits.cache_blocks,
            max_bytes=limits.open_max_bytes,
            max_requests=limits.open_max_requests,
            deadline_s=limits.open_timeout_s,
        )

    @cached_property
    def directory(self) -> Directory:
        """The IFDs of a TIFF file; raises UnsupportedFormat if it is none."""
        limits = self.limits
        return read_directory(self.cached, max_ifds=limits.max_ifds, max_tiles=limits.max_tiles)


class Slide(Protocol):
    """An open slide, which any number of threads may share."""

    @property
    def info(self) -> SlideInfo:
        """Metadata, known since opening."""

    @property
    def version(self) -> str:
        """The version of the object that was opened."""

    def read_tiles(self, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles of stored levels, in the order given, in as few reads as possible.

        Positions count in the level's `stored_grid`. Raises StorageError, and DecodeError where
        the file gives a tile an impossible place.
        """

    def make_tile(self, address: TileAddress, parts: tuple[bytes, ...]) -> EncodedTile:
        """Return a stored tile whose bytes `read_tiles` gave before; reads nothing."""

    def runs(self, level: int, max_bytes: int) -> TileRuns:
        """Return how a stored level is cut into runs of about `max_bytes`; reads nothing."""

    def run_around(self, address: TileAddress, max_bytes: int) -> tuple[TileAddress, ...]:
        """Return the stored tiles that are worth reading together with one, row by row.

        These are the members of its run (`runs`) that lie beside each other in the file, at most
        `2 * max_bytes` in all; the tile alone where they do not. May read the places of tiles.
        Raises as `read_tiles` does.
        """

    @property
    def index_revision(self) -> int:
        """A number that grows when `to_index` has more to tell than before."""

    def to_index(self) -> bytes:
        """Return what is known of the slide, for `formats.restore_slide` of the same version."""

    def close(self) -> None:
        """Free what is held; reads under way may still finish."""
