"""Which level and tile of a slide a request means."""

from wsi_streamer.errors import InvalidLevel, TileOutOfBounds
from wsi_streamer.model.geometry import Region
from wsi_streamer.model.slide import Level, SlideInfo
from wsi_streamer.model.tile import TileAddress


def find_level(info: SlideInfo, address: TileAddress) -> Level:
    """Return the level of a tile; raises InvalidLevel and TileOutOfBounds."""
    if not 0 <= address.level < len(info.levels):
        raise InvalidLevel(
            f"Invalid level: {address.level} (valid range: 0-{len(info.levels) - 1})"
        )
    level = info.levels[address.level]
    if not level.grid.contains(address.col, address.row):
        raise TileOutOfBounds(
            f"Tile ({address.col}, {address.row}) is out of bounds for level {address.level} "
            f"(valid range: x 0-{level.grid.columns - 1}, y 0-{level.grid.rows - 1})"
        )
    return level


def find_tile(info: SlideInfo, downsample: int, region: Region) -> TileAddress | None:
    """Return the served tile that shows exactly `region` of the slide scaled down."""
    for level in info.levels:
        if info.whole_downsample(level) != downsample:
            continue
        tile = level.tile_size
        address = TileAddress(level.index, region.x // tile.width, region.y // tile.height)
        if level.grid.region(address.col, address.row) == region:
            return address
    return None
