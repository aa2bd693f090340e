"""TileRuns: which tiles of a level are read together when reading ahead.

The cut follows from the level's geometry alone, so that all members of a run, all threads and
all workers agree on it without asking anybody, and without reading anything.
"""

from dataclasses import dataclass

from wsi_streamer.model.geometry import TileGrid

MAX_TILES = 64


@dataclass(frozen=True, slots=True)
class TileRuns:
    """The tiles of a level in groups of about `tiles_per_run`, as they follow in the file.

    Files store tiles row by row: a group is as many whole rows as it holds, or a piece of one.
    """

    grid: TileGrid
    tiles_per_run: int

    @property
    def columns(self) -> int:
        """Number of groups from left to right."""
        return -(-self.grid.columns // self.tiles_per_run)

    @property
    def rows(self) -> int:
        """Number of groups from top to bottom."""
        return -(-self.grid.rows // self._height)

    @property
    def _height(self) -> int:
        return max(1, self.tiles_per_run // self.grid.columns)

    def index_of(self, col: int, row: int) -> tuple[int, int]:
        """Return (run_row, run_col) of the group of a tile."""
        # Groups of a row are of nearly equal length.
        return row // self._height, col * self.columns // self.grid.columns

    def members(self, run_row: int, run_col: int) -> list[tuple[int, int]]:
        """Return (col, row) of the tiles of a group, row by row."""
        first_row, height = run_row * self._height, self._height
        first, after = (-(-it * self.grid.columns // self.columns) for it in (run_col, run_col + 1))
        return [
            (col, row)
            for row in range(first_row, min(first_row + height, self.grid.rows))
            for col in range(first, after)
        ]


def count_per_run(tile_bytes: int, max_bytes: int) -> int:
    """Return how many tiles of about `tile_bytes` fit into `max_bytes`; at least one."""
    return min(max(max_bytes // max(1, tile_bytes), 1), MAX_TILES)
