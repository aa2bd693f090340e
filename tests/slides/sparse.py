"""Slides of gigabytes that take no space: only their IFDs exist, all tiles are zeros."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.slides.page import YCBCR, Page
from tests.slides.writer import Format, Layout, Part, lay_out

# Compressed tiles differ in length; so much on average, as JPEG of tissue has.
TILE_BYTES = 15_000
LENGTHS = tuple(TILE_BYTES + 2 * step for step in (-1500, 1100, -700, 300, 800))
JPEG_TABLES = bytes(range(1, 250)) + bytes(40)


@dataclass(frozen=True)
class SparseFile:
    """A file of `size` bytes: zeros but for the pieces, which lie at their offsets."""

    size: int
    pieces: tuple[tuple[int, bytes], ...]

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes of a range."""
        data = bytearray(length)
        for start, piece in self.pieces:
            first, end = max(start, offset), min(start + len(piece), offset + length)
            if first < end:
                data[first - offset : end - offset] = piece[first - start : end - start]
        return bytes(data)


def make_sparse(pages: Sequence[Page], *, bigtiff: bool = False, layout: Layout) -> SparseFile:
    """Return a file of JPEG tiles of about `TILE_BYTES` each."""
    form = Format("<", bigtiff)
    # One object for each length: a large level has a hundred thousand of them.
    data = [bytes(length) for length in LENGTHS]
    parts = []
    for page in pages:
        count = page.columns * page.rows
        parts.append(Part(page, [data[index % len(data)] for index in range(count)], JPEG_TABLES))
    pieces = lay_out(parts, form, layout)
    ends = [offset + len(piece) for offset, piece in pieces]
    size = max(ends + [part.data_at + part.data_size for part in parts])
    return SparseFile(size, tuple(pieces))


def sparse_page(width: int, height: int, **options: object) -> Page:
    """Return a page of a size, without the pixels."""
    pixels = np.broadcast_to(np.zeros((1, 1, 3), np.uint8), (height, width, 3))
    return Page(pixels, photometric=YCBCR, **options)  # type: ignore[arg-type]


def aperio_pages(width: int, height: int, factors: Sequence[int] = (4, 16)) -> list[Page]:
    """Return the images of an SVS in their order: base, thumbnail, levels, label, macro."""
    text = f"Aperio Image Library v12\r\n{width}x{height} [0,0 {width}x{height}] (256x256)"
    note = "|AppMag = 20|MPP = 0.5|" + "x" * 500
    strips = {"tile": None, "rows_per_strip": 64}
    return [
        sparse_page(width, height, description=f"{text} JPEG/RGB Q=70{note}"),
        sparse_page(1024, 768, description=f"{text} -> 1024x768 - {note}", **strips),
        *(
            sparse_page(
                width // factor,
                height // factor,
                description=f"{text} -> {width // factor}x{height // factor} JPEG/RGB Q=70{note}",
            )
            for factor in factors
        ),
        sparse_page(400, 400, description="Aperio\r\nlabel 400x400", subfile_type=1, **strips),
        sparse_page(1280, 430, description="Aperio\r\nmacro 1280x430", subfile_type=9, **strips),
    ]


def halved_pages(width: int, height: int) -> list[Page]:
    """Return the levels of a pyramid of powers of two down to one tile, as libvips writes it."""
    pages = [sparse_page(width, height)]
    while max(width, height) > 256:
        width, height = max(width // 2, 1), max(height // 2, 1)
        pages.append(sparse_page(width, height, subfile_type=1))
    return pages
