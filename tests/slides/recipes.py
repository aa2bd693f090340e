"""Whole slides in one line: an Aperio-like SVS and a plain pyramid, with what they show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.slides.page import JPEG, LZW, YCBCR, Page
from tests.slides.paint import Pixels, flat, gradient, reduced, shown
from tests.slides.writer import write_tiff

LIBRARY = "Aperio Image Library v11.2.1 "
LABEL_COLOR, MACRO_COLOR = (250, 240, 10), (10, 200, 230)
FILE_OPTIONS = ("big_endian", "bigtiff", "layout")


@dataclass(frozen=True)
class Painted:
    """A slide on disk and what it shows: (height, width, 3) uint8 for each stored level."""

    path: Path
    levels: tuple[Pixels, ...]
    tile_size: tuple[int, int]
    associated: Mapping[str, Pixels] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of level 0."""
        return self.levels[0].shape[1], self.levels[0].shape[0]

    def grid(self, level: int) -> tuple[int, int]:
        """Return the columns and rows of a level's tiles."""
        height, width = self.levels[level].shape[:2]
        return -(-width // self.tile_size[0]), -(-height // self.tile_size[1])

    def tile(self, level: int, col: int, row: int) -> Pixels:
        """Return the pixels of a tile, cropped to the level."""
        width, height = self.tile_size
        return self.levels[level][
            row * height : (row + 1) * height, col * width : (col + 1) * width
        ]


def make_svs(
    path: Path,
    pixels: npt.NDArray[np.uint8] | None = None,
    *,
    downsamples: Sequence[int] = (1, 4),
    aperio: str = "AppMag = 20|MPP = 0.4990|Filename = synthetic",
    associated: Sequence[str] = ("thumbnail", "label", "macro"),
    **options: Any,
) -> Painted:
    """Write a slide in the order in which Aperio's scanners write: base, thumbnail, levels, others.

    `pixels` are those of level 0. Further options are fields of Page, for all levels, and those
    of `write_tiff`.
    """
    file_options = {name: options.pop(name) for name in FILE_OPTIONS if name in options}
    base = gradient(1500, 1100) if pixels is None else pixels
    levels = [base if it == 1 else reduced(base, it) for it in downsamples]
    width, height = base.shape[1], base.shape[0]
    page = Page(base, **options)
    pages = []
    for level, downsample in zip(levels, downsamples, strict=True):
        scaled = f" -> {level.shape[1]}x{level.shape[0]}" if downsample > 1 else ""
        text = (
            f"{LIBRARY}\r\n{width}x{height} [0,0 {width}x{height}] "
            f"({page.segment[0]}x{page.segment[1]}){scaled} JPEG/RGB Q=70|{aperio}"
        )
        pages.append(replace(page, pixels=level, description=text))
    others = _associated_pages(reduced(base, 4), f"{width}x{height}", aperio)
    wanted = {name: others[name] for name in others if name in associated}
    thumbnail = [wanted["thumbnail"]] if "thumbnail" in wanted else []
    last = [it for name, it in wanted.items() if name != "thumbnail"]
    write_tiff(path, [pages[0], *thumbnail, *pages[1:], *last], **file_options)
    return Painted(
        path,
        tuple(shown(it) for it in pages),
        page.segment,
        {name: shown(it) for name, it in wanted.items()},
    )


def _associated_pages(small: Pixels, size: str, aperio: str) -> dict[str, Page]:
    thumbnail = f"{LIBRARY}\r\n{size} -> {small.shape[1]}x{small.shape[0]} - |{aperio}"
    strips = {"tile": None, "rows_per_strip": 16}
    return {
        "thumbnail": Page(small, photometric=YCBCR, description=thumbnail, **strips),
        "label": Page(
            flat(120, 90, LABEL_COLOR),
            compression=LZW,
            predictor=2,
            subfile_type=1,
            description=f"{LIBRARY}\r\nlabel 120x90",
            **strips,
        ),
        "macro": Page(
            flat(200, 80, MACRO_COLOR),
            subfile_type=9,
            photometric=YCBCR,
            description=f"{LIBRARY}\r\nmacro 200x80",
            **strips,
        ),
    }


def make_pyramid(
    path: Path,
    pixels: npt.NDArray[np.generic] | None = None,
    *,
    downsamples: Sequence[int] = (1, 2, 4),
    **options: Any,
) -> Painted:
    """Write a pyramid of no vendor, in the order of its levels.

    `pixels` are those of level 0, as stored; lower levels are marked as reduced images. Further
    options are fields of Page, for all levels, and those of `write_tiff`.
    """
    file_options = {name: options.pop(name) for name in FILE_OPTIONS if name in options}
    options = {"compression": JPEG, "photometric": YCBCR, **options}
    base = gradient(1000, 700) if pixels is None else pixels
    pages = [
        Page(
            base if it == 1 else _smaller(base, it),
            subfile_type=0 if it == 1 else 1,
            **options,
        )
        for it in downsamples
    ]
    write_tiff(path, pages, **file_options)
    return Painted(path, tuple(shown(it) for it in pages), pages[0].segment)


def _smaller(pixels: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.generic]:
    # Every so manieth pixel: averaging would make colours of their own from palettes and alpha.
    half = factor // 2
    return np.ascontiguousarray(pixels[half::factor, half::factor])
