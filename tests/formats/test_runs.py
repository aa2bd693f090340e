"""Reading ahead: everybody agrees which tiles belong together, and they lie side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import slides
from tests.slides import Page, Tag, gradient, make_pyramid, write_tiff
from tests.slides.page import LONG, NONE, RGB
from wsi_streamer.formats.runs import MAX_TILES, TileRuns, count_per_run
from wsi_streamer.model.geometry import Size, TileGrid
from wsi_streamer.model.tile import TileAddress

JPEG_TILE = 256 * 256 * 3 // 10


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64))
def test_every_tile_is_in_exactly_one_run_and_knows_which(columns, rows, count):
    runs = TileRuns(TileGrid(Size(columns * 16, rows * 16), Size(16, 16)), count)
    seen = []
    for run in [(row, col) for row in range(runs.rows) for col in range(runs.columns)]:
        members = runs.members(*run)
        assert 1 <= len(members) <= count
        assert members == sorted(members, key=lambda it: it[::-1])
        assert all(runs.index_of(*it) == run for it in members)
        seen += members
    assert sorted(seen) == [(col, row) for col in range(columns) for row in range(rows)]


@pytest.mark.parametrize(
    ("columns", "count", "lengths"),
    [(10, 4, [4, 3, 3]), (10, 10, [10]), (10, 25, [20]), (10, 1, [1] * 10), (7, 64, [63])],
)
def test_rows_are_cut_evenly_and_small_levels_are_read_in_whole_rows(columns, count, lengths):
    runs = TileRuns(TileGrid(Size(columns * 16, 900), Size(16, 16)), count)
    found = [len(runs.members(0, col)) for col in range(runs.columns)]
    assert sorted(found, reverse=True) == lengths


def test_a_run_has_as_many_tiles_as_the_bytes_are_likely_to_hold():
    assert count_per_run(JPEG_TILE, 192 * 1024) == 10
    assert count_per_run(JPEG_TILE, 0) == 1
    assert count_per_run(10, 10**9) == MAX_TILES
    assert count_per_run(0, 100) == MAX_TILES


def around(slide, col, row, max_bytes=200_000):
    return [(it.col, it.row) for it in slide.run_around(TileAddress(0, col, row), max_bytes)]


def test_members_of_a_run_all_name_the_same_tiles_which_are_read_at_once(tmp_path, open_file):
    painted = make_pyramid(tmp_path / "slide.tif", gradient(1000, 700), tile=(64, 64))
    slide = open_file(painted.path)
    runs = slide.runs(0, 9 * 64 * 64 * 3 // 10)
    assert (runs.columns, runs.rows) == (2, 11)
    for index in [(row, col) for row in range(runs.rows) for col in range(runs.columns)]:
        members = runs.members(*index)
        for col, row in members:
            assert around(slide, col, row, 9 * 64 * 64 * 3 // 10) == members


def moved(tmp_path, offsets):
    """Write a level of one row of 64 x 64 grey tiles that lie at these offsets."""
    count = len(offsets)
    places = {324: Tag(LONG, tuple(offsets))}
    counts = {325: Tag(LONG, tuple(1000 if it else 0 for it in offsets))}
    page = Page(
        gradient(64 * count, 64)[..., 0],
        tile=(64, 64),
        compression=slides.DEFLATE,
        photometric=1,
        overrides=places | counts,
    )
    filler = Page(gradient(600, 600), compression=NONE, subfile_type=4)
    return write_tiff(tmp_path / "slide.tif", [page, filler])


def test_tiles_far_apart_in_the_file_are_not_read_together(tmp_path, open_file):
    slide = open_file(moved(tmp_path, [1000, 2000, 150_000, 151_000, 400_000]))
    left, right = [(0, 0), (1, 0)], [(2, 0), (3, 0)]
    assert [around(slide, col, 0) for col in range(5)] == [left, left, right, right, [(4, 0)]]


def test_tiles_that_are_left_out_cost_nothing_and_come_along(tmp_path, open_file):
    slide = open_file(moved(tmp_path, [1000, 0, 2000, 3000]))
    assert around(slide, 0, 0) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert around(slide, 1, 0) == [(1, 0)]


def test_a_tile_in_an_impossible_place_does_not_spoil_its_neighbours(tmp_path, open_file):
    slide = open_file(moved(tmp_path, [1000, 2000, 2**31, 3000]))
    assert around(slide, 0, 0) == [(0, 0), (1, 0), (3, 0)]
    assert around(slide, 2, 0) == [(2, 0)]


def test_a_run_that_would_be_too_long_is_none(tmp_path, open_file):
    slide = open_file(moved(tmp_path, [1000, 50_000, 100_000, 150_000]))
    assert around(slide, 1, 0, 80_000) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert around(slide, 1, 0, 60_000) == [(1, 0)]


def test_planes_of_a_tile_lie_too_far_apart_for_a_run(tmp_path, open_file):
    painted = make_pyramid(
        tmp_path / "slide.tif", gradient(600, 300), compression=NONE, photometric=RGB, planar=True
    )
    slide = open_file(painted.path)
    assert around(slide, 1, 0) == [(1, 0)]
    assert slide.runs(0, 10**9).tiles_per_run == 1
