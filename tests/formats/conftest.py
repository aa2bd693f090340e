from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits, Slide
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.storage.local import LocalStorage

Pixels = npt.NDArray[np.uint8]
OpenFile = Callable[..., Slide]


@pytest.fixture
def open_file() -> Iterator[OpenFile]:
    """Open the slide in a file, with limits by keyword; closed at the end of the test."""
    with ExitStack() as stack:

        def open_path(path: Path, **limits: object) -> Slide:
            reader = LocalStorage(path.parent).open(path.name)
            slide = open_slide(reader, Limits(**limits))
            stack.callback(slide.close)
            return slide

        yield open_path


@pytest.fixture
def pixels_of() -> Callable[[Slide, int], Pixels]:
    """All pixels of a stored level, put together from its stored tiles."""

    def read(slide: Slide, level: int) -> Pixels:
        grid = slide.info.levels[level].stored_grid
        assert grid is not None
        canvas = np.zeros((grid.image.height, grid.image.width, 3), np.uint8)
        places = [
            TileAddress(level, col, row) for row in range(grid.rows) for col in range(grid.columns)
        ]
        for place, tile in zip(places, slide.read_tiles(places), strict=True):
            region = grid.region(place.col, place.row)
            canvas[region.y : region.bottom, region.x : region.right] = decode_tile(tile)
        return canvas

    return read
