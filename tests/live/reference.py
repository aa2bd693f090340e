"""What others show of a slide: OpenSlide on white, or tifffile where OpenSlide cannot read it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import openslide
import tifffile
from PIL import Image

from tests.live.client import Pixels
from tests.slides import Page, shown

Size = tuple[int, int]
# Larger levels are read tile by tile, not at once.
LARGEST_WHOLE = 20_000_000
# Libtiff turns each tile of an oriented image on its own, so that OpenSlide shows a puzzle, and
# shears the padded tiles at the right edge of 16-bit grey.
WRONG_IN_OPENSLIDE = {"test_orient3.tif", "test_orient6.tif", "mosaic_cog1.tif"}


class Reference(ABC):
    """Levels by their size, since servers and libraries number them differently."""

    name = ""
    size: Size
    openslide_sizes: tuple[Size, ...] = ()

    @abstractmethod
    def has(self, size: Size) -> bool:
        """Say whether there is a level of this size."""

    @abstractmethod
    def level(self, size: Size) -> Pixels:
        """Return the level of this size."""

    def tile(self, size: Size, tile: Size, place: tuple[int, int]) -> Pixels:
        """Return a tile of a level, cropped to it."""
        x, y = place[0] * tile[0], place[1] * tile[1]
        return self.level(size)[y : y + tile[1], x : x + tile[0]]


class _OpenSlide(Reference):
    name = "OpenSlide"

    def __init__(self, slide: openslide.OpenSlide) -> None:
        self._slide = slide
        self._whole: dict[Size, Pixels] = {}
        self.size = slide.dimensions
        self.openslide_sizes = slide.level_dimensions

    def has(self, size: Size) -> bool:
        return size in self._slide.level_dimensions

    def level(self, size: Size) -> Pixels:
        if size not in self._whole:
            self._whole[size] = self._read(size, (0, 0), size)
        return self._whole[size]

    def tile(self, size: Size, tile: Size, place: tuple[int, int]) -> Pixels:
        if size[0] * size[1] <= LARGEST_WHOLE:
            return super().tile(size, tile, place)
        x, y = place[0] * tile[0], place[1] * tile[1]
        return self._read(size, (x, y), (min(tile[0], size[0] - x), min(tile[1], size[1] - y)))

    def _read(self, level_size: Size, start: Size, size: Size) -> Pixels:
        level = self._slide.level_dimensions.index(level_size)
        factor = round(self._slide.level_downsamples[level])
        place = (start[0] * factor, start[1] * factor)
        seen = self._slide.read_region(place, level, size)
        ground = Image.new("RGBA", size, "white")
        ground.alpha_composite(seen)
        return np.asarray(ground.convert("RGB"))


class _Tifffile(Reference):
    name = "tifffile"

    def __init__(self, tif: tifffile.TiffFile) -> None:
        tiled = [page for page in tif.pages if page.is_tiled] or [tif.pages.first]
        self._pages = {(page.imagewidth, page.imagelength): page for page in reversed(tiled)}
        self.size = (tif.pages.first.imagewidth, tif.pages.first.imagelength)

    def has(self, size: Size) -> bool:
        return size in self._pages

    def level(self, size: Size) -> Pixels:
        page = self._pages[size]
        pixels = page.asarray()
        if page.planarconfig == 2 and pixels.ndim == 3:
            pixels = np.moveaxis(pixels, 0, -1)
        # tifffile turns YCbCr in JPEG into RGB itself.
        photometric = 2 if page.photometric == 6 else int(page.photometric)
        tile = (page.tilewidth, page.tilelength) if page.is_tiled else None
        columns = -(-size[0] // page.tilewidth) if page.is_tiled else 1
        missing = {
            (index % columns, index // columns)
            for index, count in enumerate(page.databytecounts)
            if count == 0
        }
        return shown(
            Page(
                pixels,
                tile=tile,
                photometric=photometric,
                extra_samples=tuple(int(it) for it in page.extrasamples),
                sparse=missing,
            )
        )


@contextmanager
def open_reference(path: Path) -> Iterator[Reference]:
    """Give the best reference for a file."""
    try:
        if path.name in WRONG_IN_OPENSLIDE:
            raise openslide.OpenSlideError("not to be trusted")
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError:
        with tifffile.TiffFile(path) as tif:
            yield _Tifffile(tif)
    else:
        with slide:
            yield _OpenSlide(slide)
