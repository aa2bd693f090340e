"""Paints any window of the demo slide: stains first, colours last.

Each pixel gets an amount of haematoxylin (blue: nuclei, mucus) and of eosin (pink: all the rest);
how much light passes follows from both, as in a real section (Beer-Lambert).
"""

import numpy as np

from wsi_streamer.demo.anatomy import Anatomy
from wsi_streamer.demo.cells import CellPainter
from wsi_streamer.demo.maps import Maps
from wsi_streamer.demo.section import Section
from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.demo.textures import Textures
from wsi_streamer.model.geometry import Region, Size, TileGrid

# The arrays of a window of this size stay in the cache of the processor.
SMALL = Size(256, 256)


class TissuePainter:
    """Paints windows of a slide; two painters with the same size and seed paint the same pixels."""

    def __init__(self, size: Size, seed: int) -> None:
        self.anatomy = Anatomy(size, seed)
        self.cells = CellPainter(seed)
        self.textures = Textures(seed)

    def find_tissue(self, window: Region) -> Maps | None:
        """Return what lies in a window, to be painted, or None if it is all glass."""
        return self.anatomy.find_maps(window)

    def paint(self, window: Region, maps: Maps | None) -> Bytes:
        """Return the pixels of a window, (height, width, 3); without maps it is all glass.

        The window starts and ends on multiples of the step of its maps.
        """
        pixels = np.empty((window.height, window.width, 3), np.uint8)
        cells = self.cells.paint(window, maps) if maps else None
        grid = TileGrid(window.size, SMALL)
        for part in (
            grid.region(col, row) for row in range(grid.rows) for col in range(grid.columns)
        ):
            small = Region(window.x + part.x, window.y + part.y, part.width, part.height)
            blue = pink = np.zeros((part.height, part.width), np.float32)
            if maps and cells:
                blue, pink = Section(small, part, maps, cells, self.textures).stain()
            colours = self.textures.colour(small, blue, pink)
            pixels[part.y : part.bottom, part.x : part.right] = colours
        return pixels
