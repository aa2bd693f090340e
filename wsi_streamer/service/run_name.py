"""RunName: which run of which level, by the same name in all threads and workers."""

from dataclasses import dataclass

from wsi_streamer.formats.base import Slide
from wsi_streamer.model.tile import TileAddress


@dataclass(frozen=True, slots=True)
class RunName:
    """The run at (col, row) among those into which `max_bytes` cut a level."""

    level: int
    col: int
    row: int
    max_bytes: int


def name_run(slide: Slide, address: TileAddress, max_bytes: int) -> RunName:
    """Return the name of the run that a tile belongs to; reads nothing."""
    row, col = slide.runs(address.level, max_bytes).index_of(address.col, address.row)
    return RunName(address.level, col, row, max_bytes)
