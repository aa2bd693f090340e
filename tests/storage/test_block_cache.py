"""Opening a slide costs few requests, and a hostile one cannot make it cost many."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_streamer.errors import StorageReadError, StorageUnreachable, UnsupportedFormat
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


class HeadReader(CountingReader):
    """One that has the first 150 bytes already, as that of S3 has after opening."""

    head = DATA[:150]


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def cached(
    reader: CountingReader,
    max_blocks: int = 10,
    max_bytes: int = 5000,
    max_requests: int = 8,
    clock: Clock | None = None,
) -> CachedReader:
    return CachedReader(
        reader,
        block_size=100,
        max_blocks=max_blocks,
        max_bytes=max_bytes,
        max_requests=max_requests,
        deadline_s=4.0,
        clock=clock or Clock(),
    )


def test_many_small_reads_in_one_block_cost_one_request() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert [cache.read(i, 2) for i in range(310, 390, 2)] == [
        DATA[i : i + 2] for i in range(310, 390, 2)
    ]
    assert reader.requests == [(300, 100)]


def test_neighbouring_blocks_of_one_read_come_in_one_request() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert cache.read(150, 500) == DATA[150:650]
    assert reader.requests == [(100, 600)]


def test_only_the_missing_blocks_of_a_read_are_fetched() -> None:
    reader = CountingReader()
    cache = cached(reader)
    cache.read(300, 100)

    assert cache.read(150, 500) == DATA[150:650]
    assert reader.requests == [(300, 100), (100, 200), (400, 300)]


def test_several_ranges_share_their_requests() -> None:
    reader = CountingReader()

    assert cached(reader).read_many([(250, 10), (120, 10), (0, 0), (900, 5)]) == [
        DATA[250:260],
        DATA[120:130],
        b"",
        DATA[900:905],
    ]
    assert reader.requests == [(100, 200), (900, 100)]


def test_the_last_block_ends_with_the_file() -> None:
    reader = CountingReader()
    cache = cached(reader)

    assert cache.read(10_049, 1) == DATA[-1:]
    assert reader.requests == [(10_000, 50)]
    assert (cache.size, cache.version) == (10_050, "v1")
    with pytest.raises(StorageReadError):
        cache.read(10_049, 2)


def test_blocks_used_last_are_kept_and_memory_stays_bounded() -> None:
    reader = CountingReader()
    cache = cached(reader, max_blocks=2)
    for offset in (0, 100, 0, 200):
        cache.read(offset, 1)
    reader.requests.clear()

    cache.read(0, 1)
    assert reader.requests == []
    cache.read(100, 1)
    assert reader.requests == [(100, 100)]


def test_a_read_of_more_blocks_than_are_kept_is_complete() -> None:
    assert cached(CountingReader(), max_blocks=2).read(50, 900) == DATA[50:950]


def test_the_head_that_came_with_opening_costs_nothing() -> None:
    reader = HeadReader()
    cache = cached(reader, max_bytes=60, max_requests=1)

    assert cache.read(0, 16) == DATA[:16]
    assert cache.read(140, 10) == DATA[140:150]
    assert (reader.requests, cache.requests, cache.bytes_read) == ([], 0, 0)
    assert cache.read(149, 2) == DATA[149:151]
    assert (cache.requests, cache.bytes_read) == (1, 50)


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
    cache = cached(CountingReader(), max_blocks=3, max_bytes=10**9, max_requests=10**9)
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
    ranges: list[tuple[int, int]], max_blocks: int, with_head: bool
) -> None:
    reader = HeadReader() if with_head else CountingReader()
    cache = cached(reader, max_blocks=max_blocks, max_bytes=10**6, max_requests=100)

    for offset, length in ranges:
        assert cache.read(offset, length) == DATA[offset : offset + length]
    assert cache.read_many(ranges) == [DATA[offset : offset + n] for offset, n in ranges]
    assert cache.requests == len(reader.requests)
