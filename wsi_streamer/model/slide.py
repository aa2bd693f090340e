"""What is known of a slide without reading its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsi_streamer.model.geometry import Size, TileGrid


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a slide; index 0 is the full one.

    `stored_tile_size` is how the file cuts the level into tiles (or strips). It is None for a
    level that the file lacks and that is made on demand, and it differs from `tile_size` where
    the file's own cut is not fit for serving (strips).
    """

    index: int
    size: Size
    tile_size: Size
    downsample: float
    stored_tile_size: Size | None

    @property
    def grid(self) -> TileGrid:
        """The tiles in which the level is served."""
        return TileGrid(self.size, self.tile_size)

    @property
    def stored_grid(self) -> TileGrid | None:
        """The tiles in which the level is stored; None if it is made on demand."""
        return TileGrid(self.size, self.stored_tile_size) if self.stored_tile_size else None

    @property
    def is_served_as_stored(self) -> bool:
        """Whether each served tile is exactly one stored tile."""
        return self.stored_tile_size == self.tile_size


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """Metadata of a slide; None where the file does not say, never a guess.

    mpp is in micrometres per pixel of level 0. `properties` are the vendor's own fields under
    prefixed names ("aperio.AppMag"), as text.
    """

    format: str
    vendor: str | None
    levels: tuple[Level, ...]
    mpp_x: float | None = None
    mpp_y: float | None = None
    objective_power: float | None = None
    associated_images: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> Size:
        """Size of level 0."""
        return self.levels[0].size

    @property
    def stored_levels(self) -> tuple[Level, ...]:
        """The levels that the file itself holds, from the largest to the smallest."""
        return tuple(level for level in self.levels if level.stored_tile_size)

    def best_stored_level(self, downsample: float) -> Level:
        """Return the smallest stored level that still has at least the resolution asked for."""
        if downsample <= 1:
            return self.levels[0]
        # Vendors round level sizes, so that 4.0003 has to serve a request for 4.
        fit = [
            level
            for level in self.stored_levels
            if level.downsample <= downsample or self.whole_downsample(level) == downsample
        ]
        return fit[-1] if fit else self.levels[0]

    def whole_downsample(self, level: Level) -> int | None:
        """Return the whole number that a level's downsample stands for, None if there is none.

        Vendors cut off or round up, so that a level's side may be a pixel off.
        """
        whole = round(level.downsample)
        is_exact = (
            abs(level.size.width - self.size.width / whole) <= 1
            and abs(level.size.height - self.size.height / whole) <= 1
        )
        return whole if is_exact else None
