"""OpenedSlide: an open slide with what this worker knows about it besides."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wsi_streamer.formats.base import Slide
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.movement import Movement

NEVER = float("-inf")


@dataclass(eq=False, slots=True)
class OpenedSlide:
    """A slide, the keys of its images, and when it was last seen to be the object's version.

    Times are those of `clock`. `reads_verify`: each read of its bytes proves the version.
    `asking_since`: when a thread began to ask the storage; until it hears, others go on.
    """

    slide_id: str
    slide: Slide
    keys: SlideKeys
    reads_verify: bool
    clock: Callable[[], float]
    checked_at: float = NEVER
    asking_since: float = NEVER
    told_at: float = NEVER
    saved_revision: int = -1
    save_cost_s: float = 0.0
    movement: Movement = field(default_factory=Movement)

    def confirm(self, asked_at: float) -> None:
        """Note that a read which began at `asked_at` was one of the version that is open."""
        if self.reads_verify and asked_at > self.checked_at:
            self.checked_at = asked_at

    def read_tiles(self, addresses: Sequence[TileAddress]) -> dict[TileAddress, EncodedTile]:
        """Return stored tiles; that they could be read proves the version of a remote slide."""
        asked_at = self.clock()
        tiles = self.slide.read_tiles(addresses)
        if any(tile.parts for tile in tiles):
            self.confirm(asked_at)
        return dict(zip(addresses, tiles, strict=True))
