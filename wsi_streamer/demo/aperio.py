"""Puts the pages of an Aperio SVS file together."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO

from wsi_streamer.demo.encoding import JpegCoder, lzw_strips
from wsi_streamer.demo.pictures import (
    LABEL,
    MACRO,
    THUMBNAIL,
    fit,
    paint_label,
    paint_macro,
    shrink,
)
from wsi_streamer.demo.pyramid import TILE, Plan, Pyramid
from wsi_streamer.demo.tiff_writer import Compression, Page, TiffWriter
from wsi_streamer.model.geometry import Size

LIBRARY = "Aperio Image Library v11.2.1"
MPP = 0.4990
THUMBNAIL_QUALITY = 80
# Rows of a strip: JPEG needs whole blocks of 16, LZW fills the 8 KB that libtiff aims at.
JPEG_ROWS, LZW_ROWS = 16, 7


@dataclass(frozen=True)
class Describer:
    """Writes the ImageDescription of each page as Aperio does."""

    size: Size
    quality: int

    @property
    def fields(self) -> str:
        """The scanner's fields, the same for base and thumbnail."""
        values = {
            "AppMag": "20",
            "StripeWidth": "2040",
            "ScanScope ID": "DEMO",
            "Filename": "WSI-STREAMER-DEMO",
            "Title": "Painted demo slide, no patient",
            "MPP": f"{MPP:.4f}",
            "Left": "25.691574",
            "Top": "23.449873",
            "OriginalWidth": str(self.size.width),
            "OriginalHeight": str(self.size.height),
        }
        return "".join(f"|{name} = {value}" for name, value in values.items())

    @property
    def scan(self) -> str:
        """The size of the scan, its part in use, and the tiles."""
        w, h = self.size.width, self.size.height
        return f"{LIBRARY} \r\n{w}x{h} [0,0 {w}x{h}] ({TILE.width}x{TILE.height})"

    def base(self) -> str:
        """Return the description of level 0."""
        return f"{self.scan} JPEG/RGB Q={self.quality}{self.fields}"

    def level(self, size: Size) -> str:
        """Return the description of a lower level."""
        return f"{self.scan} -> {size.width}x{size.height} JPEG/RGB Q={self.quality}"

    def thumbnail(self, size: Size) -> str:
        """Return the description of the thumbnail."""
        return f"{self.scan} -> {size.width}x{size.height} - {self.fields}"

    @staticmethod
    def picture(name: str, size: Size) -> str:
        """Return the description of the label or the macro."""
        return f"{LIBRARY} \r\n{name} {size.width}x{size.height}"


class SlideWriter:
    """Writes one slide to an open file."""

    def __init__(self, file: BinaryIO, plan: Plan) -> None:
        self.tiff = TiffWriter(file)
        self.plan = plan
        self.text = Describer(plan.size, plan.quality)
        self.jpeg = JpegCoder(plan.quality)

    def write(self, workers: int, progress: Callable[[float], None]) -> None:
        """Write all pages, in the order in which Aperio has them."""
        pyramid = Pyramid(self.plan)
        base = self._tiled(self.plan.size, self.text.base())
        # If the file cannot be written, the painting processes have to stop at once.
        with closing(pyramid.tiles(workers, progress)) as tiles:
            self.tiff.add_tiled_page(base, TILE, tiles)
        self._add_thumbnail(pyramid)
        sizes = [self.plan.level_size(level) for level in (1, 2)]
        pages = [self._tiled(size, self.text.level(size)) for size in sizes]
        self.tiff.add_tiled_page(pages[0], TILE, pyramid.level_1)
        self.tiff.add_tiled_page(pages[1], TILE, self.jpeg.tiles(pyramid.level_2, TILE))
        self._add_label()
        self._add_macro(pyramid)

    def _tiled(self, size: Size, description: str) -> Page:
        return Page(size, description, Compression.JPEG, jpeg_tables=self.jpeg.tables)

    def _add_thumbnail(self, pyramid: Pyramid) -> None:
        size = fit(self.plan.size, THUMBNAIL)
        jpeg = JpegCoder(THUMBNAIL_QUALITY)
        page = Page(size, self.text.thumbnail(size), Compression.JPEG, jpeg_tables=jpeg.tables)
        strips = jpeg.strips(shrink(pyramid.level_2, size), JPEG_ROWS)
        self.tiff.add_strip_page(page, JPEG_ROWS, strips)

    def _add_label(self) -> None:
        # NewSubfileType 1 and 9 are how Aperio marks label and macro.
        text = self.text.picture("label", LABEL)
        page = Page(LABEL, text, Compression.LZW, subfile_type=1, predictor=2)
        self.tiff.add_strip_page(page, LZW_ROWS, lzw_strips(paint_label(), LZW_ROWS))

    def _add_macro(self, pyramid: Pyramid) -> None:
        jpeg = JpegCoder(THUMBNAIL_QUALITY)
        text = self.text.picture("macro", MACRO)
        page = Page(MACRO, text, Compression.JPEG, subfile_type=9, jpeg_tables=jpeg.tables)
        picture = paint_macro(pyramid.level_2, self.plan.size, MPP)
        self.tiff.add_strip_page(page, JPEG_ROWS, jpeg.strips(picture, JPEG_ROWS))
