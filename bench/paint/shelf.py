"""The painted slides under .bench/slides; each is painted once and then kept."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from bench.paint.aperio import write_aperio
from bench.paint.layout import to_libtiff_layout
from bench.paint.tissue import Tissue
from bench.paint.vast import write_vast
from bench.places import SlideShape

APERIO = SlideShape("aperio.svs", 40_000, 30_000)
TIFFFILE = SlideShape("tifffile.svs", 40_000, 30_000)
JPEG2000 = SlideShape("jpeg2000.svs", 10_240, 7_680, is_jpeg2000=True)
# Asked for before anything is measured, so that servers have made their clients and decoders.
WARM_UP = SlideShape("warm-up.svs", 4096, 3072)
VAST = SlideShape("vast.svs", 100_000, 80_000, has_images=False)
# In the name of what was painted: raised when the picture changes, so that nothing old is used.
EDITION = 1


class Shelf:
    """The slides in a folder, by the names of their shapes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / f"edition-{EDITION}"

    @cached_property
    def _tissue(self) -> Tissue:
        return Tissue()

    def paint(self) -> None:
        """Paint what is not there yet: about 1 GB in a minute, once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for shape in (WARM_UP, TIFFFILE, JPEG2000):
            self._make(shape, write_aperio)
        source = self.folder / TIFFFILE.name
        self._make(APERIO, lambda path, *_: to_libtiff_layout(source, path))
        self._make(VAST, write_vast)

    def _make(self, shape: SlideShape, write: Callable[[Path, SlideShape, Tissue], None]) -> None:
        path = self.folder / shape.name
        if path.exists():
            return
        unfinished = path.with_name(f".{shape.name}.{os.getpid()}.part")
        try:
            write(unfinished, shape, self._tissue)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
