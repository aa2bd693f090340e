"""What users get while the storage misbehaves: an error that says so, never other bytes."""

import contextlib
import os
import random
import socket
import threading
import time
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faulty_s3 import Fault, FaultyS3
from wsi_streamer.errors import (
    ConfigError,
    SlideChanged,
    SlideNotFound,
    StorageError,
    StorageReadError,
    StorageUnreachable,
)
from wsi_streamer.storage.block_cache import CachedReader
from wsi_streamer.storage.s3 import HEAD_BYTES, S3Storage

KEY = "case 1/slide.svs"
DATA = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(300_000)
# Beyond the bytes that opening brings along.
OFFSET, LENGTH = 100_000, 30_000
TIMEOUT_S = 0.6


@pytest.fixture(scope="module")
def running() -> Iterator[FaultyS3]:
    with FaultyS3({}) as server:
        yield server


@pytest.fixture(scope="module")
def patient_storage(running: FaultyS3) -> S3Storage:
    return make_storage(running.endpoint)


@pytest.fixture(scope="module")
def hasty_storage(running: FaultyS3) -> S3Storage:
    """Return one that gives up soon, for faults that make it wait."""
    return make_storage(running.endpoint, TIMEOUT_S)


@pytest.fixture
def server(running: FaultyS3) -> FaultyS3:
    running.reset({KEY: DATA, "empty.svs": b"", "small.svs": b"II*\0"})
    return running


@pytest.fixture
def storage(server: FaultyS3, patient_storage: S3Storage) -> S3Storage:
    """Return a storage on the faulty server, shared since a client takes 0.1 s to make."""
    return patient_storage


@pytest.fixture
def fresh_storage(server: FaultyS3) -> S3Storage:
    """Return one whose client has not yet used up its quota of retries."""
    return make_storage(server.endpoint, 1.5)


def make_storage(
    endpoint: str, timeout_s: float = 4.0, *, anonymous: bool = True, max_connections: int = 16
) -> S3Storage:
    return S3Storage(
        FaultyS3.bucket,
        "",
        endpoint_url=endpoint,
        region="us-east-1",
        anonymous=anonymous,
        timeout_s=timeout_s,
        max_connections=max_connections,
    )


def test_opening_costs_one_request_and_the_head_of_the_slide_none(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY)

    assert reader.size == len(DATA)
    assert reader.read(0, 16) == DATA[:16]
    assert reader.read(HEAD_BYTES - 4, 4) == DATA[HEAD_BYTES - 4 : HEAD_BYTES]
    assert [request.range for request in server.requests] == [f"bytes=0-{HEAD_BYTES - 1}"]


def test_parsing_a_slide_whose_directory_lies_in_the_head_asks_for_nothing_more(
    server: FaultyS3, storage: S3Storage
) -> None:
    cache = CachedReader(
        storage.open(KEY),
        window=256 * 1024,
        max_windows=4,
        max_bytes=2**24,
        max_requests=4,
        deadline_s=4,
    )

    assert cache.read(0, 16) == DATA[:16]
    assert cache.read(60_000, 5000) == DATA[60_000:65_000]
    assert len(server.requests) == 1
    assert cache.read(200_000, 70_000) == DATA[200_000:270_000]
    assert server.requests[1:] == [server.requests[-1]]
    assert server.requests[-1].range == f"bytes=200000-{len(DATA) - 1}"


def test_a_read_that_begins_in_the_head_asks_only_for_the_rest(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY)

    assert reader.read(HEAD_BYTES - 100, 300) == DATA[HEAD_BYTES - 100 : HEAD_BYTES + 200]
    assert server.requests[-1].range == f"bytes={HEAD_BYTES}-{HEAD_BYTES + 199}"


def test_each_read_names_the_version_that_was_opened(server: FaultyS3, storage: S3Storage) -> None:
    reader = storage.open(KEY)
    reader.read(OFFSET, LENGTH)

    assert server.requests[-1].if_match.strip('"') + f"-{len(DATA)}" == reader.version
    assert storage.stat(KEY) == reader.version


def test_neighbouring_tiles_come_in_one_request_in_the_order_asked_for(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY)
    ranges = [(150_000, 9_000), (100_000, 9_000), (120_000, 9_000), (0, 5), (299_999, 1)]

    parts = reader.read_many(ranges)

    assert parts == [DATA[offset : offset + length] for offset, length in ranges]
    assert len(server.requests) == 3, "the head, 100,000 to 159,000, and the last byte"


def test_connections_are_used_again(server: FaultyS3, fresh_storage: S3Storage) -> None:
    reader = fresh_storage.open(KEY)
    for i in range(20):
        reader.read(OFFSET + i, LENGTH)

    assert len({request.connection for request in server.requests}) == 1


def test_a_connection_that_ended_while_idle_costs_no_try(
    server: FaultyS3, fresh_storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = fresh_storage.open(KEY)
    # It ends after urllib3 has looked whether it did.
    server.plan.append(Fault.RESET)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("this is no try"))

    assert reader.read(OFFSET, LENGTH) == DATA[OFFSET : OFFSET + LENGTH]
    assert len({request.connection for request in server.requests}) == 2


def test_headers_that_drip_end_with_the_deadline(server: FaultyS3) -> None:
    reader = make_storage(server.endpoint, TIMEOUT_S).open(KEY)
    server.always = Fault.DRIPPING_HEAD
    begun = time.monotonic()

    with pytest.raises(StorageUnreachable):
        reader.read(OFFSET, LENGTH)
    assert time.monotonic() - begun < TIMEOUT_S + 0.5


@pytest.mark.parametrize("key", ["empty.svs", "small.svs"])
def test_an_object_smaller_than_the_head_is_opened(
    server: FaultyS3, storage: S3Storage, key: str
) -> None:
    reader = storage.open(key)

    assert reader.size == len(server.objects[key])
    assert reader.read(0, reader.size) == server.objects[key]
    assert reader.version == storage.stat(key)
    with pytest.raises(StorageReadError):
        reader.read(reader.size, 1)


def test_a_small_object_sent_whole_is_accepted_since_all_of_it_was_asked_for(
    server: FaultyS3, storage: S3Storage
) -> None:
    server.plan.append(Fault.WHOLE)

    assert storage.open("small.svs").read(0, 4) == b"II*\0"


# Each fault, however often it comes: what reading raises, or None if retrying helps for a while.
LASTING = {
    Fault.INTERNAL_ERROR: StorageError,
    Fault.SLOW_DOWN: StorageError,
    Fault.RESET: StorageUnreachable,
    Fault.TRUNCATED: StorageReadError,
    Fault.SHORT: StorageReadError,
    Fault.LONG: StorageReadError,
    Fault.WHOLE: StorageReadError,
    Fault.OTHER_RANGE: StorageReadError,
    Fault.NO_RANGE: StorageReadError,
    Fault.OTHER_TOTAL: StorageReadError,
    Fault.OTHER_ETAG: SlideChanged,
    Fault.NO_ETAG: StorageReadError,
    Fault.STALL: StorageUnreachable,
    Fault.SILENT: StorageUnreachable,
    Fault.DRIP: StorageUnreachable,
    Fault.DRIPPING_HEAD: StorageUnreachable,
    Fault.CHANGED: SlideChanged,
    Fault.DENIED: StorageError,
    Fault.MISSING: SlideChanged,
    Fault.NO_BUCKET: StorageError,
    Fault.WRONG_REGION: StorageError,
    Fault.REDIRECT: StorageError,
    Fault.WRONG_KEY: StorageError,
    Fault.WRONG_SECRET: StorageError,
    Fault.HTML: StorageReadError,
    Fault.THROTTLED: StorageError,
    Fault.EXPIRED_TOKEN: StorageError,
    Fault.SKEWED_CLOCK: StorageError,
    Fault.BAD_RANGE: StorageReadError,
    Fault.CHATTY: StorageError,
}


# Those that make botocore or us wait.
SLOW_FAULTS = {
    Fault.STALL,
    Fault.SILENT,
    Fault.DRIP,
    Fault.DRIPPING_HEAD,
    Fault.SLOW_DOWN,
}


def test_every_fault_of_the_server_is_tried() -> None:
    assert set(LASTING) | {Fault.NONE} == set(Fault)


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.name)
def test_a_lasting_fault_gives_its_error_in_time_and_never_other_bytes(
    server: FaultyS3, storage: S3Storage, hasty_storage: S3Storage, fault: Fault
) -> None:
    reader = (hasty_storage if fault in SLOW_FAULTS else storage).open(KEY)
    server.always = fault
    begun = time.monotonic()

    with pytest.raises(LASTING[fault]) as raised:
        reader.read(OFFSET, LENGTH)

    # The deadline, the share of the last attempt, and a pause of botocore.
    assert time.monotonic() - begun < TIMEOUT_S + TIMEOUT_S / 3 + 1.5
    assert raised.value.__cause__ is not None or fault in ANSWERS_REFUSED_BY_US
    assert_fit_for_users(str(raised.value))


@pytest.mark.parametrize(
    "fault",
    [Fault.TRUNCATED, Fault.SHORT, Fault.LONG, Fault.WHOLE, Fault.OTHER_RANGE, Fault.DRIP],
    ids=lambda fault: fault.name,
)
def test_of_many_bytes_at_once_no_wrong_one_is_served_either(
    server: FaultyS3, hasty_storage: S3Storage, fault: Fault
) -> None:
    reader = hasty_storage.open(KEY, head_bytes=10)
    server.always = fault

    with pytest.raises(LASTING[fault]):
        reader.read(20, 250_000)
    server.always = Fault.NONE
    assert reader.read(20, 250_000) == DATA[20:250_020]


ANSWERS_REFUSED_BY_US = {
    Fault.SHORT,
    Fault.LONG,
    Fault.WHOLE,
    Fault.OTHER_RANGE,
    Fault.NO_RANGE,
    Fault.OTHER_TOTAL,
    Fault.OTHER_ETAG,
    Fault.NO_ETAG,
    Fault.STALL,
    Fault.DRIP,
    Fault.DRIPPING_HEAD,
    Fault.SLOW_DOWN,
    Fault.SILENT,
    Fault.HTML,
}


def assert_fit_for_users(text: str) -> None:
    assert 10 < len(text) < 120
    assert not any(word in text for word in ("http", "SECRET", "127.0.0.1", "boto", "\n"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault.INTERNAL_ERROR,
        Fault.SLOW_DOWN,
        Fault.THROTTLED,
        Fault.RESET,
        Fault.TRUNCATED,
        Fault.STALL,
    ],
    ids=lambda fault: fault.name,
)
def test_a_passing_fault_is_not_seen_by_users(
    server: FaultyS3, fresh_storage: S3Storage, fault: Fault
) -> None:
    reader = fresh_storage.open(KEY)
    server.plan += [fault, fault]

    assert reader.read(OFFSET, LENGTH) == DATA[OFFSET : OFFSET + LENGTH]


def test_a_torn_answer_is_asked_for_three_times_and_no_more(
    server: FaultyS3, fresh_storage: S3Storage
) -> None:
    reader = fresh_storage.open(KEY)
    server.always = Fault.TRUNCATED

    with pytest.raises(StorageReadError, match="broke off"):
        reader.read(OFFSET, LENGTH)
    assert len(server.requests) == 1 + 3


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        (Fault.INTERNAL_ERROR, 3),
        (Fault.SLOW_DOWN, 3),
        (Fault.DENIED, 1),
        (Fault.WRONG_SECRET, 1),
        (Fault.CHANGED, 1),
        (Fault.CHATTY, 1),
        (Fault.EXPIRED_TOKEN, 2),
        (Fault.SKEWED_CLOCK, 2),
    ],
    ids=str,
)
def test_only_what_may_pass_is_asked_for_again(
    server: FaultyS3, storage: S3Storage, fault: Fault, requests: int
) -> None:
    reader = storage.open(KEY)
    server.requests.clear()
    server.always = fault

    with pytest.raises(LASTING[fault]):
        reader.read(OFFSET, LENGTH)
    assert len(server.requests) == requests


def test_what_resets_a_connection_in_use_before_may_be_its_age_and_is_no_try(
    server: FaultyS3,
) -> None:
    reader = make_storage(server.endpoint, max_connections=1).open(KEY)
    server.requests.clear()
    server.always = Fault.RESET

    with pytest.raises(StorageUnreachable):
        reader.read(OFFSET, LENGTH)
    assert len(server.requests) == 4


def test_a_busy_storage_is_asked_again_when_it_wants_to_be(
    server: FaultyS3, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = storage.open(KEY)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.refuse_until("2")
    server.plan.append(Fault.SLOW_DOWN)

    assert reader.read(OFFSET, LENGTH) == DATA[OFFSET : OFFSET + LENGTH]
    assert pauses == [2.0]


def test_a_storage_that_is_busy_for_longer_than_users_wait_is_left_alone(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY)
    server.refuse_until("3600")
    server.always = Fault.SLOW_DOWN
    begun = time.monotonic()

    with pytest.raises(StorageError, match="SlowDown"):
        reader.read(OFFSET, LENGTH)
    assert len(server.requests) == 2
    assert time.monotonic() - begun < 2


# What opening says where reading on says something else.
OPENING = {
    Fault.MISSING: SlideNotFound,
    Fault.OTHER_TOTAL: None,
    Fault.OTHER_ETAG: None,
    Fault.CHANGED: StorageReadError,
}


@pytest.mark.parametrize(
    "fault", [fault for fault in LASTING if OPENING.get(fault, 1)], ids=lambda fault: fault.name
)
def test_a_slide_cannot_be_opened_on_wrong_bytes(
    server: FaultyS3, storage: S3Storage, hasty_storage: S3Storage, fault: Fault
) -> None:
    server.always = fault

    with pytest.raises(OPENING.get(fault) or LASTING[fault]) as raised:
        (hasty_storage if fault in SLOW_FAULTS else storage).open(KEY)
    assert_fit_for_users(str(raised.value))


@given(
    faults=st.lists(
        st.sampled_from(
            [fault for fault in Fault if fault not in SLOW_FAULTS | {Fault.INTERNAL_ERROR}]
        ),
        max_size=4,
    ),
    offset=st.integers(0, len(DATA) - 40_000),
    length=st.integers(0, 40_000),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_goes_wrong_in_whatever_order_no_wrong_byte_is_served(
    server: FaultyS3, storage: S3Storage, faults: list[Fault], offset: int, length: int
) -> None:
    server.plan.clear()
    reader = storage.open(KEY)
    server.plan += faults
    for _ in range(3):
        with contextlib.suppress(StorageError):
            assert reader.read(offset, length) == DATA[offset : offset + length]


def test_a_replaced_slide_is_noticed_by_the_next_read(server: FaultyS3, storage: S3Storage) -> None:
    reader = storage.open(KEY)
    server.objects[KEY] = OTHER

    with pytest.raises(SlideChanged):
        reader.read(OFFSET, LENGTH)
    assert storage.open(KEY).read(OFFSET, LENGTH) == OTHER[OFFSET : OFFSET + LENGTH]


@pytest.mark.parametrize(
    "key", ["", "../x", "a//b", "a\nb", "a\\b", "/etc/passwd", "a" * 901, "\ud800"], ids=ascii
)
def test_a_hostile_name_never_reaches_the_storage(
    server: FaultyS3, storage: S3Storage, key: str
) -> None:
    for ask in (storage.open, storage.stat):
        with pytest.raises(SlideNotFound):
            ask(key)
    assert server.requests == []


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1), (300_000, 1), (299_999, 2)])
def test_a_range_outside_the_slide_is_refused_before_asking(
    server: FaultyS3, storage: S3Storage, offset: int, length: int
) -> None:
    reader = storage.open(KEY)

    with pytest.raises(StorageReadError):
        reader.read(offset, length)
    with pytest.raises(StorageReadError):
        reader.read_many([(0, 1), (offset, length)])
    assert len(server.requests) == 1


def test_threads_share_a_reader_without_mixing_up_tiles(
    server: FaultyS3, storage: S3Storage
) -> None:
    reader = storage.open(KEY)
    wrong: list[int] = []

    def read_some(first: int) -> None:
        for offset in range(first, first + 20_000, 1000):
            if reader.read(offset, 500) != DATA[offset : offset + 500]:
                wrong.append(offset)

    threads = [threading.Thread(target=read_some, args=(100_000 + i * 7,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_forked_worker_does_not_use_its_parents_connection(
    server: FaultyS3, fresh_storage: S3Storage
) -> None:
    parts = fresh_storage.open(KEY).read_many([(OFFSET, 5), (OFFSET + 100_000, 5)])
    assert parts[0] == DATA[OFFSET : OFFSET + 5]
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads; here only the server has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        ok = False
        try:
            parts = fresh_storage.open(KEY).read_many([(OFFSET, 5), (OFFSET + 100_000, 5)])
            ok = parts == [DATA[OFFSET : OFFSET + 5], DATA[OFFSET + 100_000 : OFFSET + 100_005]]
        finally:
            os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0

    connections = [request.connection for request in server.requests]
    assert set(connections[:3]).isdisjoint(connections[3:])
    assert len(connections) == 6


def test_nothing_listening_is_reported_as_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        storage = make_storage(f"http://127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(StorageUnreachable):
            storage.open(KEY)
        with pytest.raises(StorageUnreachable):
            storage.list("", "", 10)
        with pytest.raises(ConfigError, match="cannot be reached: check WSI_S3_ENDPOINT"):
            storage.check()


def test_missing_credentials_are_reported_as_such(server: FaultyS3) -> None:
    storage = make_storage(server.endpoint, anonymous=False)

    with pytest.raises(StorageError, match="no valid credentials"):
        storage.open(KEY)
    with pytest.raises(ConfigError, match="set AWS_ACCESS_KEY_ID .*WSI_S3_ANONYMOUS"):
        storage.check()
    assert server.requests == []


ADVICE = {
    Fault.NO_BUCKET: "has no bucket slides: check WSI_SOURCE",
    Fault.DENIED: "allow s3:ListBucket and s3:GetObject",
    Fault.WRONG_KEY: "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    Fault.WRONG_SECRET: "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    Fault.WRONG_REGION: "set WSI_S3_REGION",
    Fault.REDIRECT: "set WSI_S3_REGION",
    Fault.INTERNAL_ERROR: "fails to list bucket slides",
    Fault.RESET: "cannot be reached",
    Fault.SILENT: "cannot be reached",
    Fault.HTML: "does not answer as S3 does",
}


@pytest.mark.parametrize("fault", ADVICE, ids=lambda fault: fault.name)
def test_the_operator_is_told_in_one_line_what_to_change(
    server: FaultyS3, storage: S3Storage, hasty_storage: S3Storage, fault: Fault
) -> None:
    server.always = fault

    with pytest.raises(ConfigError, match=ADVICE[fault]) as raised:
        (hasty_storage if fault in SLOW_FAULTS else storage).check()
    assert "\n" not in str(raised.value)
    assert "key=SECRET" not in str(raised.value)


def test_a_wrong_region_does_not_make_the_sdk_ask_for_ever(
    server: FaultyS3, storage: S3Storage
) -> None:
    server.always = Fault.REDIRECT

    for ask in (storage.open, storage.stat):
        with pytest.raises(StorageError, match="another region"):
            ask(KEY)
    assert len(server.requests) <= 4
