"""Sizes, regions and tile grids, in pixels of one stated level."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle: its upper left corner, width and height in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column to the right of the region."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below the region."""
        return self.y + self.height

    @property
    def size(self) -> Size:
        """Width and height."""
        return Size(self.width, self.height)

    def clipped(self, size: Size) -> "Region":
        """Return the part that lies inside an image of `size`, which may be empty."""
        x, y = max(self.x, 0), max(self.y, 0)
        right, bottom = min(self.right, size.width), min(self.bottom, size.height)
        return Region(x, y, max(right - x, 0), max(bottom - y, 0))


@dataclass(frozen=True, slots=True)
class ScaledRegion:
    """A region of a slide scaled down by a whole number, in pixels of the scaled slide."""

    downsample: int
    region: Region


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles that cover an image; those at the right and lower edge may be smaller."""

    image: Size
    tile: Size

    @property
    def columns(self) -> int:
        """Number of tiles from left to right."""
        return -(-self.image.width // self.tile.width)

    @property
    def rows(self) -> int:
        """Number of tiles from top to bottom."""
        return -(-self.image.height // self.tile.height)

    def contains(self, col: int, row: int) -> bool:
        """Say whether the grid has this tile."""
        return 0 <= col < self.columns and 0 <= row < self.rows

    def region(self, col: int, row: int) -> Region:
        """Return the pixels of a tile, cropped to the image."""
        x, y = col * self.tile.width, row * self.tile.height
        return Region(x, y, self.tile.width, self.tile.height).clipped(self.image)

    def covering(self, region: Region) -> tuple[range, range]:
        """Return the columns and rows of the tiles that touch `region`."""
        inside = region.clipped(self.image)
        if not inside.width or not inside.height:
            return range(0), range(0)
        return (
            range(inside.x // self.tile.width, (inside.right - 1) // self.tile.width + 1),
            range(inside.y // self.tile.height, (inside.bottom - 1) // self.tile.height + 1),
        )
