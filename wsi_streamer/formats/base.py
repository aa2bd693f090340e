"""The contract of a slide format: what each module of this part implements."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wsi_streamer.model.slide import SlideInfo
from wsi_streamer.model.tile import EncodedTile, TileAddress


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a format may read and accept, whatever a file claims."""

    flat_max_pixels: int = 100_000_000
    open_max_bytes: int = 16 * 1024 * 1024
    open_max_requests: int = 64
    open_timeout_s: float = 4.0
    block_size: int = 256 * 1024
    cache_blocks: int = 100
    max_levels: int = 64
    max_tiles: int = 4_000_000
    max_tile_side: int = 4096


class Slide(Protocol):
    """An open slide; immutable, so that any number of threads may share it."""

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

    def close(self) -> None:
        """Free what is held; reads under way may still finish."""
