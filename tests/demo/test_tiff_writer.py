"""The TIFF writer: other readers find every pixel, wherever and however it was written."""

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from wsi_streamer.demo.tiff_writer import Compression, Page, TiffWriter
from wsi_streamer.errors import EncodeError
from wsi_streamer.model.geometry import Size

TILE = Size(16, 32)
KINDS = [("<", False), (">", False), ("<", True), (">", True)]


def picture(size: Size) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (size.height, size.width, 3), np.uint8)


def tiles(pixels: npt.NDArray[np.uint8]) -> Iterator[bytes]:
    for top in range(0, pixels.shape[0], TILE.height):
        for left in range(0, pixels.shape[1], TILE.width):
            part = pixels[top : top + TILE.height, left : left + TILE.width]
            missing = TILE.height - part.shape[0], TILE.width - part.shape[1]
            yield np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0))).tobytes()


def raw_page(size: Size, description: str = "a page") -> Page:
    return Page(size, description, Compression.NONE)


@pytest.mark.parametrize(("byte_order", "big"), KINDS)
def test_every_kind_of_tiff_gives_back_its_tiles(byte_order: str, big: bool) -> None:
    pixels, file = picture(Size(70, 50)), io.BytesIO()
    TiffWriter(file, byte_order=byte_order, big=big).add_tiled_page(
        raw_page(Size(70, 50)), TILE, tiles(pixels)
    )
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        assert (tiff.byteorder, tiff.is_bigtiff) == (byte_order, big)
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels)


@pytest.mark.parametrize(("byte_order", "big"), KINDS)
def test_pages_follow_each_other_in_the_order_of_writing(byte_order: str, big: bool) -> None:
    file = io.BytesIO()
    writer = TiffWriter(file, byte_order=byte_order, big=big)
    sizes = [Size(40, 33), Size(16, 32), Size(9, 5)]
    for number, size in enumerate(sizes):
        page = raw_page(size, f"page number {number}")
        writer.add_strip_page(page, 8, strips(picture(size), 8))
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        assert [page.description for page in tiff.pages] == [
            "page number 0",
            "page number 1",
            "page number 2",
        ]
        for page, size in zip(tiff.pages, sizes, strict=True):
            np.testing.assert_array_equal(page.asarray(), picture(size))


def strips(pixels: npt.NDArray[np.uint8], rows: int) -> Iterator[bytes]:
    for top in range(0, len(pixels), rows):
        yield pixels[top : top + rows].tobytes()


def test_a_page_that_lacks_a_tile_is_refused_and_not_written_half() -> None:
    some = list(tiles(picture(Size(70, 50))))[:-1]
    writer = TiffWriter(io.BytesIO())
    with pytest.raises(EncodeError, match="needs 10 tiles or strips, got 9"):
        writer.add_tiled_page(raw_page(Size(70, 50)), TILE, some)


class FarFile(io.BytesIO):
    """A file that seems to begin at 4 GB."""

    def tell(self) -> int:
        return super().tell() + 2**32


def test_a_classic_file_never_wraps_its_offsets_beyond_4_gb() -> None:
    writer = TiffWriter(FarFile())
    with pytest.raises(EncodeError, match="4 GB"):
        writer.add_tiled_page(raw_page(Size(70, 50)), TILE, tiles(picture(Size(70, 50))))
