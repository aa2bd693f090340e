"""Where the tiles of a work load lie, said so that every server can be asked for the same place."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

TILE = 256


@dataclass(frozen=True, slots=True)
class Place:
    """A tile of 256 pixels: its level as a downsample, and its corner in pixels of that level."""

    downsample: int
    x: int
    y: int

    def tile(self, side: int = TILE) -> tuple[int, int]:
        """Return column and row of the tile of another grid that holds the middle of this one."""
        return (self.x + TILE // 2) // side, (self.y + TILE // 2) // side


@dataclass(frozen=True)
class SlideShape:
    """A slide of the benchmark: width and height of level 0 in pixels, downsamples it stores.

    `has_images` says whether thumbnail, label and macro image lie in pages of their own.
    """

    name: str
    width: int
    height: int
    downsamples: tuple[int, ...] = (1, 4, 16)
    is_jpeg2000: bool = False
    has_images: bool = True

    @property
    def pages(self) -> int:
        """Return the number of pages of the file."""
        return len(self.downsamples) + 3 * self.has_images

    def page_of(self, level: int) -> int:
        """Return the page of a stored level: the second is the thumbnail, if there is one."""
        return level + (self.has_images and level > 0)

    def level_size(self, downsample: int) -> tuple[int, int]:
        """Return width and height of a level in pixels, rounded down as Aperio does."""
        return self.width // downsample, self.height // downsample

    def level_of(self, downsample: int) -> int | None:
        """Return the index of a stored level, or None for one that the file lacks."""
        if downsample not in self.downsamples:
            return None
        return self.downsamples.index(downsample)

    def deepzoom_level(self, downsample: int) -> int:
        """Return the DeepZoom level, in which 0 is one pixel, of a downsample by a power of two."""
        return math.ceil(math.log2(max(self.width, self.height))) - downsample.bit_length() + 1

    def grid(self, downsample: int) -> tuple[int, int]:
        """Return the number of whole tiles of a level, columns and rows."""
        width, height = self.level_size(downsample)
        return width // TILE, height // TILE


def random_places(
    shape: SlideShape, downsamples: Sequence[int], count: int, seed: int
) -> list[Place]:
    """Return places spread evenly over levels, each at most once: as many as there are, up to
    `count`.
    """
    rng = random.Random(seed)
    places: list[Place] = []
    for downsample in downsamples:
        columns, rows = shape.grid(downsample)
        wanted = min(count // len(downsamples), columns * rows)
        for index in rng.sample(range(columns * rows), wanted):
            row, col = divmod(index, columns)
            places.append(Place(downsample, col * TILE, row * TILE))
    rng.shuffle(places)
    return places


def viewport_places(shape: SlideShape, columns: int = 6, rows: int = 4) -> list[Place]:
    """Return the tiles of a viewport in the middle of level 0, from its centre outwards."""
    across, down = shape.grid(1)
    left, top = (across - columns) // 2, (down - rows) // 2
    tiles = [(left + col, top + row) for row in range(rows) for col in range(columns)]
    middle = (left + (columns - 1) / 2, top + (rows - 1) / 2)
    tiles.sort(key=lambda tile: math.dist(tile, middle))
    return [Place(1, col * TILE, row * TILE) for col, row in tiles]
