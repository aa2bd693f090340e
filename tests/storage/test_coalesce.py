"""Few requests, and the right bytes out of them."""

from hypothesis import given
from hypothesis import strategies as st

from wsi_streamer.storage.coalesce import PlannedRead, plan_reads, read_coalesced

RANGES = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 700)), max_size=30)


def test_a_row_of_neighbouring_tiles_costs_one_request() -> None:
    row = [(1000 + i * 200, 190) for i in range(6)]

    assert plan_reads(row, gap=10) == [PlannedRead(1000, 1190, (0, 1, 2, 3, 4, 5))]


def test_tiles_far_apart_do_not_drag_along_what_lies_between() -> None:
    assert plan_reads([(0, 100), (111, 100)], gap=10) == [
        PlannedRead(0, 100, (0,)),
        PlannedRead(111, 100, (1,)),
    ]


def test_a_long_run_of_tiles_is_cut_before_it_fills_the_memory() -> None:
    plan = plan_reads([(i * 100, 100) for i in range(10)], gap=0, max_bytes=300)

    assert [read.length for read in plan] == [300, 300, 300, 100]


def test_a_tile_larger_than_the_limit_is_still_read() -> None:
    assert plan_reads([(0, 500)], gap=0, max_bytes=300) == [PlannedRead(0, 500, (0,))]


def test_a_tile_left_out_of_the_file_costs_no_request() -> None:
    assert plan_reads([(0, 0), (77, 0)], gap=10) == []


@given(RANGES, st.integers(0, 300), st.integers(1, 2000))
def test_every_tile_gets_its_own_bytes_whatever_is_joined(
    ranges: list[tuple[int, int]], gap: int, max_bytes: int
) -> None:
    data = bytes(i * 37 % 251 for i in range(6000))
    plan = plan_reads(ranges, gap, max_bytes)

    assert sorted(i for read in plan for i in read.members) == [
        i for i, (_, length) in enumerate(ranges) if length
    ]
    for read in plan:
        inside = [ranges[i] for i in read.members]
        assert read.offset == min(offset for offset, _ in inside)
        assert read.offset + read.length == max(offset + length for offset, length in inside)
        assert read.length <= max(max_bytes, max(length for _, length in inside))
    assert read_coalesced(lambda offset, length: data[offset : offset + length], ranges, gap) == [
        data[offset : offset + length] for offset, length in ranges
    ]
