"""Where tiles lie is read late and in part; what is wrong with it is told as before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.formats.test_round_trips import CountingReader
from tests.slides import Page, Tag, gradient, write_tiff
from tests.slides.page import BYTE, DEFLATE, DOUBLE, LONG, LONG8, SHORT
from tests.slides.sparse import SparseFile, make_sparse, sparse_page
from wsi_streamer.errors import DecodeError, UnsupportedFormat
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.tiff.tile_table import CHUNK_TILES, make_table
from wsi_streamer.model.tile import TileAddress

SIGNED = 17
COUNT = 3 * CHUNK_TILES + 5


@given(
    st.lists(
        st.tuples(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**16, 2**32, 2**64 - 1])),
        min_size=1,
        max_size=30,
    )
)
def test_places_are_kept_in_little_memory_and_without_loss(places):
    offsets = np.array([offset for offset, _ in places], np.uint64)
    counts = np.array([count for _, count in places], np.uint64)
    table = make_table(offsets, counts)
    for index, (offset, count) in enumerate(places):
        found = table.place(index)
        assert found == (offset, count) or (count == 0 and found[1] == 0)


def test_a_tile_of_a_scanner_takes_six_bytes_of_memory_in_any_file():
    counts = np.full(COUNT, 15_000, np.uint64)
    offsets = np.arange(COUNT, dtype=np.uint64) * np.uint64(15_000) + np.uint64(2**40)
    offsets[7] = counts[7] = 0
    assert make_table(offsets, counts).nbytes == 6 * COUNT


def lazy_slide(kind=LONG8, spoil=(), cut=0, head=16 * 1024):
    """Open a level of 25,600 tiles of which nothing but the IFD came along with opening.

    `spoil` are (tile, value) pairs for the byte counts; `cut` bytes are missing at the end.
    """
    values = np.full(200 * 128, 900, {LONG8: "<u8", SIGNED: "<i8", DOUBLE: "<f8"}[kind])
    for index, value in spoil:
        values[index] = value
    counts = Tag(kind, values.tobytes(), count=len(values))
    page = sparse_page(200 * 256, 128 * 256, overrides={325: counts, 347: None})
    file = make_sparse([page], bigtiff=True, layout="tifffile")
    reader = CountingReader(SparseFile(file.size - cut, file.pieces), head=head, tail=0)
    return reader, open_slide(reader, Limits(flat_max_pixels=2**40))


def test_places_are_not_read_before_they_are_needed():
    reader, slide = lazy_slide()
    assert len(reader.rounds) == 1
    assert slide.index_revision == 0
    slide.read_tiles([TileAddress(0, 3, 100)])
    assert len(reader.rounds) == 3
    assert slide.index_revision == 1


def test_places_that_came_along_are_kept():
    reader, slide = lazy_slide(head=2**20)
    slide.read_tiles([TileAddress(0, 3, 100)])
    assert len(reader.rounds) == 2
    assert slide.index_revision == 4


def test_a_negative_place_is_told_when_it_is_needed():
    _, slide = lazy_slide(SIGNED, [(20_000, -5)])
    slide.read_tiles([TileAddress(0, 0, 0)])
    for _ in range(2):
        with pytest.raises(DecodeError, match="positive integers"):
            slide.read_tiles([TileAddress(0, 0, 100)])


def test_a_negative_place_that_came_along_is_told_at_once():
    with pytest.raises(UnsupportedFormat, match="positive integers"):
        lazy_slide(SIGNED, [(20_000, -5)], head=2**20)


def test_places_that_are_no_integers_are_told_at_once():
    with pytest.raises(UnsupportedFormat, match="positive integers"):
        lazy_slide(DOUBLE)


def test_a_list_that_ends_behind_the_file_is_told_at_once():
    reader, _ = lazy_slide()
    with pytest.raises(UnsupportedFormat, match="copied completely"):
        lazy_slide(cut=reader.size - 300_000)


def test_a_tile_that_claims_too_much_is_told_when_it_is_needed():
    _, slide = lazy_slide(spoil=[(200, 2**50)])
    slide.read_tiles([TileAddress(0, 1, 1)])
    with pytest.raises(DecodeError, match="far more than its pixels need"):
        slide.read_tiles([TileAddress(0, 0, 1)])


@pytest.mark.parametrize("kind", [BYTE, SHORT, LONG])
def test_places_that_lie_in_the_tag_itself_are_read(tmp_path, open_file, kind):
    sizes = Tag(kind, (200,))
    page = Page(gradient(64, 64), tile=(64, 64), compression=DEFLATE, overrides={325: sizes})
    write_tiff(tmp_path / "slide.tif", [page])
    tile = open_file(tmp_path / "slide.tif").read_tiles([TileAddress(0, 0, 0)])[0]
    assert [len(part) for part in tile.parts] == [200]
