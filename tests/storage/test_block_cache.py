"""Opening a slide costs few requests, and a hostile one cannot make it cost many."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_streamer.errors import StorageReadError, StorageUnreachable, UnsupportedFormat
from wsi_streamer.storage.base import Extent
from wsi_streamer.storage.block_cache import CachedReader

DATA = bytes(i * 31 % 253 for i in range(10_050))


class CountingReader:
    """A reader of bytes in memory that writes down each request."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.requests: list[tuple[int, int]] = []
        self.closed = False

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def version(self) -> str:
        return "v1"

    def read(self, offset: int, length: int) -> bytes:
        self.requests.append((offset, length))
        return self.data[offset : offset + length]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.read(offset, length) for offset, length in ranges]

    def close(self) -> None:
        self.closed = True


class KnowingReader(CountingReader):
    """One that has the first and last 150 bytes already, as that of S3 has after opening."""

    def __init__(self) -> None:
        super().__init__()
        self.known = (Extent(0, DATA[:150]), Extent(9900, DATA[9900:]))

    def forget_known(self) -> None:
        self.known = ()


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def cached(
    reader: CountingReader,
    max_windows: int = 10,
    max_bytes: int = 5000,
    max_requests: int = 8,
    clock: Clock | None = None,
) -> CachedReader:
    return CachedReader(
        reader,
        window=100,
        max_windows=max_windows,
        max_bytes=max_bytes,
        max_requests=max_requests,
        deadline_s=4.0,
        clock=clock or Clock(),
    )


def test_many_small_reads_in_one_window_cost_one_request() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert [cache.read(i, 2) for i in range(310, 390, 2)] == [
        DATA[i : i + 2] for i in range(310, 390, 2)
    ]
    assert reader.requests == [(310, 100)]


def test_a_window_begins_where_something_is_missing() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert cache.read(150, 500) == DATA[150:650]
    assert cache.read(640, 20) == DATA[640:660]
    assert reader.requests == [(150, 500), (650, 100)]


def test_only_what_is_missing_of_a_read_is_fetched() -> None:
    reader = CountingReader()
    cache = cached(reader)
    cache.read(300, 100)

    assert cache.read(150, 500) == DATA[150:650]
    assert reader.requests == [(300, 100), (150, 150), (400, 250)]
    assert cache.rounds == 2


def test_several_ranges_share_their_requests_and_one_round_trip() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert cache.read_many([(250, 10), (160, 10), (0, 0), (900, 5)]) == [
        DATA[250:260],
        DATA[160:170],
        b"",
        DATA[900:905],
    ]
    assert reader.requests == [(160, 190), (900, 100)]
    assert (cache.requests, cache.rounds) == (2, 1)


def test_the_last_window_ends_with_the_file() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert cache.read(10_049, 1) == DATA[-1:]
    assert reader.requests == [(10_049, 1)]
    assert (cache.size, cache.version) == (10_050, "v1")
    with pytest.raises(StorageReadError):
        cache.read(10_049, 2)


def test_windows_used_last_are_kept_and_memory_stays_bounded() -> None:
    reader = CountingReader()
    cache = cached(reader, max_windows=2)
    for offset in (0, 100, 0, 200):
        cache.read(offset, 1)
    reader.requests.clear()

    cache.read(0, 1)
    assert reader.requests == []
    cache.read(100, 1)
    assert reader.requests == [(100, 100)]


def test_a_read_of_more_windows_than_are_kept_is_complete() -> None:
    cache = cached(CountingReader(), max_windows=2)
    for offset in (0, 300, 600):
        cache.read(offset, 1)

    assert cache.read(50, 900) == DATA[50:950]


def test_what_came_with_opening_costs_nothing_and_is_never_dropped() -> None:
    reader = KnowingReader()
    cache = cached(reader, max_windows=1, max_bytes=200, max_requests=2)

    for _ in range(2):
        assert cache.read(0, 16) == DATA[:16]
        assert cache.read(9950, 100) == DATA[9950:]
        assert (cache.requests, cache.bytes_read) == (0, 0)
    assert cache.read(149, 2) == DATA[149:151]
    assert cache.read(9899, 2) == DATA[9899:9901]
    assert reader.requests == [(150, 100), (9899, 1)]
    assert cache.read(140, 10) == DATA[140:150]


def test_after_opening_nothing_is_held_any_more() -> None:
    reader = KnowingReader()
    cache = cached(reader)
    cache.read(0, 300)
    cache.close()

    assert reader.known == ()
    assert not cache.holds(0, 1)


def test_ranges_are_loaded_together_and_those_close_by_at_once() -> None:
    reader = CountingReader(bytes(10**6))
    cache = cached(reader, max_bytes=10**6)
    cache.load([(10, 20), (40, 20), (500_000, 50), (999_990, 100), (-50, 20)])

    assert reader.requests == [(10, 50), (500_000, 50), (999_990, 10)]
    assert cache.rounds == 1
    assert cache.holds(10, 50)
    assert [cache.held_from(at) for at in (5, 10, 59, 60)] == [0, 50, 1, 0]


def test_what_may_come_in_handy_never_takes_a_slide_over_its_limits() -> None:
    reader = CountingReader(bytes(10**6))
    cache = cached(reader, max_bytes=1000, max_requests=4)
    cache.load([(0, 100)], [(200_000, 300), (400_000, 300), (600_000, 50), (800_000, 50)])

    assert reader.requests == [(0, 100), (200_000, 300), (600_000, 50)]


def test_what_was_used_is_told_and_not_what_was_merely_read() -> None:
    cache = cached(KnowingReader())
    for offset in (20, 0, 10, 500, 9990):
        cache.read(offset, 10)

    assert cache.used == [(0, 30), (500, 510), (9990, 10_000)]


def test_reading_on_never_costs_a_slide_its_limit() -> None:
    reader = CountingReader()
    cache = cached(reader, max_bytes=130)
    cache.read(0, 10)
    cache.read(100, 10)

    assert reader.requests == [(0, 100), (100, 10)]


def test_a_huge_tag_is_refused_before_anything_is_fetched() -> None:
    reader = CountingReader()

    with pytest.raises(UnsupportedFormat, match=r"needs more than 5000 bytes \(WSI_OPEN_MAX_B"):
        cached(reader).read(0, 5001)
    with pytest.raises(UnsupportedFormat):
        cached(reader).read_many([(0, 3000), (5000, 3000)])
    assert reader.requests == []


def test_a_slide_that_reads_on_and_on_is_given_up_with_the_limit_named() -> None:
    reader = CountingReader()
    cache = cached(reader, max_bytes=1000, max_requests=100)

    with pytest.raises(UnsupportedFormat, match=r"more than 1000 bytes \(WSI_OPEN_MAX_BYTES\)"):
        for offset in range(0, 10_000, 100):
            cache.read(offset, 1)
    assert sum(length for _, length in reader.requests) == 1000


def test_a_chain_of_directories_all_over_the_file_is_given_up() -> None:
    reader = CountingReader()
    cache = cached(reader)

    with pytest.raises(UnsupportedFormat, match=r"8 storage requests \(WSI_OPEN_MAX_REQUESTS\)"):
        for offset in range(0, 10_000, 300):
            cache.read(offset, 1)
    assert len(reader.requests) == 8


def test_a_loop_inside_the_cache_ends_with_the_time() -> None:
    clock = Clock()
    cache = cached(CountingReader(), clock=clock)
    cache.read(0, 10)
    clock.now += 3.9
    cache.read(0, 10)
    clock.now += 0.2

    with pytest.raises(UnsupportedFormat, match=r"more than 4 s \(WSI_OPEN_TIMEOUT\)"):
        cache.read(0, 10)


def test_a_slow_storage_is_not_blamed_on_the_slide() -> None:
    clock = Clock()
    reader = CountingReader()
    fast = reader.read

    def slow(offset: int, length: int) -> bytes:
        clock.now += 2.1
        return fast(offset, length)

    reader.read = slow  # type: ignore[method-assign]
    cache = cached(reader, clock=clock)
    cache.read(0, 10)
    cache.read(500, 10)

    with pytest.raises(StorageUnreachable, match="slow"):
        cache.read(900, 10)


def test_limits_are_told_as_people_know_them() -> None:
    reader = CountingReader(bytes(2**21))

    with pytest.raises(UnsupportedFormat, match="more than 1 MiB"):
        cached(reader, max_bytes=2**20).read(0, 2**20 + 1)
    with pytest.raises(UnsupportedFormat, match="more than 3 KiB"):
        cached(reader, max_bytes=3 * 2**10).read(0, 2**20)


def test_closing_the_cache_leaves_the_slide_open() -> None:
    reader = CountingReader()
    cache = cached(reader)
    cache.read(0, 1)
    cache.close()

    assert not reader.closed


def test_threads_get_their_own_bytes() -> None:
    cache = cached(CountingReader(), max_windows=3, max_bytes=10**9, max_requests=10**9)
    wrong: list[int] = []

    def read_some(step: int) -> None:
        for offset in range(0, 9000, step):
            if cache.read(offset, 250) != DATA[offset : offset + 250]:
                wrong.append(offset)

    threads = [threading.Thread(target=read_some, args=(step,)) for step in (31, 37, 41, 43)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 50)), max_size=20),
    st.integers(1, 5),
    st.booleans(),
)
def test_any_sequence_of_reads_gives_the_bytes_of_the_file(
    ranges: list[tuple[int, int]], max_windows: int, knows_some: bool
) -> None:
    reader = KnowingReader() if knows_some else CountingReader()
    cache = cached(reader, max_windows=max_windows, max_bytes=10**6, max_requests=200)

    for offset, length in ranges:
        assert cache.read(offset, length) == DATA[offset : offset + length]
    assert cache.read_many(ranges) == [DATA[offset : offset + n] for offset, n in ranges]
    assert cache.requests == len(reader.requests)
