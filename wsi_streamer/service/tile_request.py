"""What reading stored tiles is asked for and gives, and where it keeps runs of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.flights import Tiles
from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.movement import Step
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.run_name import RunName

Release = Callable[[], None]


class Runs(Protocol):
    """Where runs are kept for all workers."""

    def find(self, opened: OpenedSlide, run: RunName) -> Tiles | None:
        """Return the tiles of a run, None if they are not there."""

    def key(self, opened: OpenedSlide, run: RunName) -> ImageKey:
        """Return the key that a run lies under."""

    def unpack(self, opened: OpenedSlide, run: RunName, packed: bytes) -> Tiles | None:
        """Return the tiles of a run that was found by its key; None if it is none."""

    def takes(self, tiles: Tiles) -> bool:
        """Say whether a run of these tiles would be kept."""

    def keep(self, opened: OpenedSlide, run: RunName, tiles: Tiles, stored: Release | None) -> None:
        """Have a run kept, and call `stored` when other workers can find it.

        Without `stored` it is there, if it can be kept at all, when this returns.
        """


@dataclass(frozen=True, slots=True)
class Request:
    """A tile that is wanted, and what that has to do with earlier ones."""

    opened: OpenedSlide
    address: TileAddress
    step: Step


@dataclass(frozen=True, slots=True)
class StoredTile:
    """A tile that was found or read; `is_kept`: it was stored for all workers."""

    tile: EncodedTile
    is_kept: bool
