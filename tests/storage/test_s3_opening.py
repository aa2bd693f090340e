"""Round trips: what opening, resuming and reading ahead may cost, and that no version is mixed."""

import random
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faulty_s3 import Fault, FaultyS3
from wsi_streamer.errors import (
    SlideChanged,
    SlideNotFound,
    StorageError,
    StorageReadError,
    StorageUnreachable,
)
from wsi_streamer.storage.base import Extent, HoldsBytes
from wsi_streamer.storage.s3 import S3Storage

KEY = "case 1/slide.svs"
DATA = random.Random(7).randbytes(1_000_000)
OTHER = random.Random(8).randbytes(1_000_000)
FAR_APART = [(100_000, 500), (400_000, 500), (700_000, 500)]


@pytest.fixture(scope="module")
def running() -> Iterator[FaultyS3]:
    with FaultyS3({}) as server:
        yield server


@pytest.fixture(scope="module")
def shared_storage(running: FaultyS3) -> S3Storage:
    return make_storage(running)


@pytest.fixture
def server(running: FaultyS3) -> FaultyS3:
    running.reset({KEY: DATA, "empty.svs": b"", "small.svs": b"II*\0" * 50})
    return running


@pytest.fixture
def storage(server: FaultyS3, shared_storage: S3Storage) -> S3Storage:
    return shared_storage


def make_storage(server: FaultyS3, max_connections: int = 16, timeout_s: float = 4.0) -> S3Storage:
    return S3Storage(
        FaultyS3.bucket,
        "",
        endpoint_url=server.endpoint,
        region="us-east-1",
        anonymous=True,
        timeout_s=timeout_s,
        max_connections=max_connections,
    )


def test_head_and_tail_come_in_one_round_trip(server: FaultyS3, storage: S3Storage) -> None:
    server.answer_only_together(2)

    reader = storage.open(KEY, head_bytes=1000, tail_bytes=2000)

    assert isinstance(reader, HoldsBytes)
    assert reader.known == (Extent(0, DATA[:1000]), Extent(998_000, DATA[-2000:]))
    assert sorted(request.range for request in server.requests) == ["bytes=-2000", "bytes=0-999"]


def test_what_came_with_opening_is_read_without_a_request(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY, head_bytes=1000, tail_bytes=2000)
    server.requests.clear()

    assert reader.read_many([(998_000, 2000), (0, 1000), (999_990, 10), (5, 0)]) == [
        DATA[-2000:],
        DATA[:1000],
        DATA[-10:],
        b"",
    ]
    assert server.requests == []


def test_a_read_between_head_and_tail_asks_only_for_what_is_missing(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY, head_bytes=1000, tail_bytes=2000)
    server.requests.clear()

    assert reader.read(0, len(DATA)) == DATA
    assert reader.read(997_000, 2500) == DATA[997_000:999_500]
    assert [request.range for request in server.requests] == [
        "bytes=1000-997999",
        "bytes=997000-997999",
    ]


def test_the_memory_of_an_opened_slide_is_given_back(server: FaultyS3, storage: S3Storage) -> None:
    reader = storage.open(KEY, head_bytes=1000, tail_bytes=2000)
    server.requests.clear()

    reader.forget_known()

    assert reader.known == ()
    assert reader.read(0, 10) == DATA[:10]
    assert len(server.requests) == 1


@pytest.mark.parametrize("key", ["empty.svs", "small.svs"])
@pytest.mark.parametrize("ends", [(150, 100), (10, 300), (500, 500), (199, 1), (100, 100)])
def test_a_small_slide_is_known_as_a_whole(
    server: FaultyS3, storage: S3Storage, key: str, ends: tuple[int, int]
) -> None:
    data = server.objects[key]

    reader = storage.open(key, head_bytes=ends[0], tail_bytes=ends[1])

    assert reader.size == len(data)
    assert reader.known == ((Extent(0, data),) if data else ())
    assert reader.version == storage.stat(key)


@pytest.mark.parametrize("fault", [Fault.WHOLE, Fault.BAD_RANGE, Fault.TRUNCATED], ids=str)
def test_a_storage_that_cannot_count_from_the_end_opens_slides_as_well(
    server: FaultyS3, storage: S3Storage, fault: Fault
) -> None:
    server.tail_plan += [fault] * 3

    reader = storage.open(KEY, head_bytes=1000, tail_bytes=2000)

    assert reader.known == (Extent(0, DATA[:1000]),)
    assert reader.read(998_000, 2000) == DATA[-2000:]


@pytest.mark.parametrize(
    "fault", [Fault.OTHER_RANGE, Fault.SHORT, Fault.NO_RANGE, Fault.NO_ETAG], ids=str
)
def test_wrong_last_bytes_are_never_taken_for_right_ones(
    server: FaultyS3, storage: S3Storage, fault: Fault
) -> None:
    server.tail_plan.append(fault)

    assert storage.open(KEY, head_bytes=1000, tail_bytes=2000).known == (Extent(0, DATA[:1000]),)


def test_a_slide_replaced_while_it_is_opened_is_read_anew(
    server: FaultyS3, storage: S3Storage
) -> None:
    server.tail_plan.append(Fault.OTHER_ETAG)

    reader = storage.open(KEY, head_bytes=1000, tail_bytes=2000)

    assert reader.known[1].data == DATA[-2000:]
    assert reader.version == storage.stat(KEY)


def test_a_slide_replaced_over_and_over_is_not_opened_on_two_versions(
    server: FaultyS3, storage: S3Storage
) -> None:
    server.tail_plan += [Fault.OTHER_ETAG] * 9

    with pytest.raises(SlideChanged, match="replaced over and over"):
        storage.open(KEY, head_bytes=1000, tail_bytes=2000)
    assert len(server.requests) == 4


def test_no_slide_has_no_tail_either(server: FaultyS3, storage: S3Storage) -> None:
    server.answer_only_together(2)

    with pytest.raises(SlideNotFound):
        storage.open("missing.svs", tail_bytes=2000)


def test_tiles_far_apart_are_fetched_at_the_same_time(server: FaultyS3, storage: S3Storage) -> None:
    reader = storage.open(KEY)
    server.requests.clear()
    server.answer_only_together(3)

    parts = reader.read_many([*FAR_APART, (400_600, 100)])

    assert parts == [DATA[at : at + n] for at, n in [*FAR_APART, (400_600, 100)]]
    assert len(server.requests) == 3


def test_more_tiles_than_connections_come_as_well(server: FaultyS3) -> None:
    reader = make_storage(server, max_connections=2).open(KEY, head_bytes=10)
    ranges = [(at, 100) for at in range(0, 1_000_000, 80_000)]

    assert reader.read_many(ranges) == [DATA[at : at + n] for at, n in ranges]
    assert len({request.connection for request in server.requests}) <= 2


def test_many_readers_of_few_connections_wait_for_each_other(server: FaultyS3) -> None:
    reader = make_storage(server, max_connections=2).open(KEY, head_bytes=10)
    results: list[list[bytes]] = []
    threads = [
        threading.Thread(target=lambda: results.append(reader.read_many(FAR_APART)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [[DATA[at : at + n] for at, n in FAR_APART]] * 8


def test_connections_are_not_lost_with_broken_answers(server: FaultyS3) -> None:
    storage = make_storage(server, max_connections=1)
    for fault in [Fault.CHATTY, Fault.WHOLE, Fault.LONG, Fault.TRUNCATED, Fault.RESET] * 2:
        reader = storage.open(KEY, head_bytes=10)
        server.always = fault
        with pytest.raises(StorageError):
            reader.read(*FAR_APART[0])
        server.always = Fault.NONE

    assert storage.open(KEY).read(0, 10) == DATA[:10]


def test_one_tile_that_fails_fails_the_read(server: FaultyS3, storage: S3Storage) -> None:
    reader = storage.open(KEY)
    server.plan.append(Fault.DENIED)
    # So that no request is left over for the next test.
    server.answer_only_together(3)

    with pytest.raises(StorageError, match="denies access"):
        reader.read_many(FAR_APART)


def test_a_slide_known_from_before_is_resumed_without_a_request(
    server: FaultyS3, storage: S3Storage
) -> None:
    version = storage.open(KEY).version
    server.requests.clear()

    reader = storage.resume(KEY, version)

    assert server.requests == []
    assert (reader.size, reader.version, reader.known) == (len(DATA), version, ())
    assert reader.read(500, 1000) == DATA[500:1500]
    assert [request.if_match for request in server.requests] == [f'"{version.split("-")[0]}"']


@pytest.mark.parametrize("replaced", [OTHER, OTHER[:-1], b"", None])
def test_a_resumed_slide_that_was_replaced_is_noticed_by_the_first_read(
    server: FaultyS3, storage: S3Storage, replaced: bytes | None
) -> None:
    reader = storage.resume(KEY, storage.stat(KEY))
    del server.objects[KEY]
    if replaced is not None:
        server.objects[KEY] = replaced

    with pytest.raises(SlideChanged):
        reader.read(*FAR_APART[0])


@pytest.mark.parametrize("version", ["", "x", "-1", "abc-", "abc-x", 'a"b-5', "a\r\nX: y-5", "="])
def test_a_version_that_no_storage_gave_is_taken_for_an_old_one(
    server: FaultyS3, storage: S3Storage, version: str
) -> None:
    with pytest.raises(SlideChanged):
        storage.resume(KEY, version)
    assert server.requests == []


def test_a_hostile_name_is_not_resumed(server: FaultyS3, storage: S3Storage) -> None:
    with pytest.raises(SlideNotFound):
        storage.resume("../x", "abc-5")


def test_a_closed_reader_of_a_bucket_still_knows_its_bounds(storage: S3Storage) -> None:
    reader = storage.open(KEY)
    reader.close()

    with pytest.raises(StorageReadError):
        reader.read(len(DATA), 1)


@pytest.mark.parametrize("max_connections", [1, 16])
@pytest.mark.parametrize("fault", [Fault.STALL, Fault.SILENT, Fault.DRIP], ids=str)
def test_all_tries_together_end_with_the_deadline(fault: Fault, max_connections: int) -> None:
    with FaultyS3({KEY: DATA}) as server:
        reader = make_storage(server, max_connections, timeout_s=0.6).open(KEY)
        server.always = fault
        begun = time.monotonic()

        with pytest.raises(StorageUnreachable):
            reader.read_many(FAR_APART)
        # The rest is for slow machines.
        assert time.monotonic() - begun < 0.6 + 0.4
