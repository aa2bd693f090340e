"""The storage fails or a slide is damaged: the answer says so, soon, and nothing wrong is shown."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faulty_s3 import Fault, FaultyS3
from tests.live.bucket import Bucket
from tests.live.client import Answer, difference
from tests.live.servers import Server, free_port, start_server
from tests.slides import Painted, gradient, make_svs

NAME = "slide.svs"
PATHS = (
    f"/slides/{NAME}",
    f"/slides/{NAME}/dzi",
    f"/slides/{NAME}/thumbnail",
    f"/tiles/{NAME}/0/1/1.jpg",
)
# The storage may take 4 seconds (WSI_S3_TIMEOUT); nobody should wait much longer.
SLOWEST_S = 5.0


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Painted:
    # Larger than what opening brings along, so that tiles have to be asked for.
    return make_svs(tmp_path_factory.mktemp("faulty") / NAME, gradient(2600, 2100))


@pytest.fixture(scope="module")
def faulty(painted: Painted) -> Iterator[FaultyS3]:
    with FaultyS3({NAME: painted.path.read_bytes()}) as storage:
        yield storage


@pytest.fixture(scope="module")
def server(faulty: FaultyS3) -> Iterator[Server]:
    env = {"WSI_S3_ENDPOINT": faulty.endpoint, "WSI_S3_ANONYMOUS": "true", "WSI_REVALIDATE_S": "0"}
    # A tile that was read ahead would not meet the fault that is meant for it.
    env |= {"WSI_READ_AHEAD": "0"}
    with start_server(f"s3://{faulty.bucket}", env) as server:
        yield server


@pytest.fixture
def storage(faulty: FaultyS3) -> Iterator[FaultyS3]:
    """The storage, well again afterwards."""
    yield faulty
    faulty.plan.clear()
    faulty.always = Fault.NONE


def ask_soon(server: Server, path: str) -> Answer:
    started = time.monotonic()
    answer = server.ask(path)
    took = time.monotonic() - started
    assert took < SLOWEST_S, f"{path} took {took:.1f} s"
    return answer


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.DENIED, (500, "storage_error")),
        (Fault.INTERNAL_ERROR, (500, "storage_error")),
        (Fault.RESET, (502, "connection_error")),
    ],
)
def test_a_storage_that_refuses_is_told_from_one_that_is_not_there(
    server: Server, storage: FaultyS3, fault: Fault, error: tuple[int, str]
) -> None:
    storage.always = fault
    for path in PATHS:
        answer = ask_soon(server, path)
        assert answer.error() == error, answer
        assert answer.headers["Cache-Control"] == "no-store"
    assert server.ask("/health").status == 200
    storage.always = Fault.NONE
    assert {server.ask(path).status for path in PATHS} == {200}


@pytest.mark.parametrize(
    ("row", "fault", "errors"),
    [
        (2, Fault.SILENT, {(502, "connection_error")}),
        # A lost connection and an answer that was cut off look alike from here.
        (3, Fault.TRUNCATED, {(500, "io_error"), (502, "connection_error")}),
        (4, Fault.SHORT, {(500, "io_error")}),
        (5, Fault.WHOLE, {(500, "io_error")}),
        (6, Fault.OTHER_RANGE, {(500, "io_error")}),
        (7, Fault.HTML, {(500, "io_error")}),
    ],
)
def test_wrong_bytes_are_never_shown_nor_kept(
    server: Server,
    storage: FaultyS3,
    painted: Painted,
    row: int,
    fault: Fault,
    errors: set[tuple[int, str]],
) -> None:
    path = f"/tiles/{NAME}/0/3/{row}.jpg?quality=95"
    assert server.ask(f"/slides/{NAME}").status == 200
    storage.always = fault
    assert ask_soon(server, path).error() in errors
    storage.always = Fault.NONE
    answer = server.ask(path)
    assert difference(answer.pixels(), painted.tile(0, 3, row)) < 2
    assert answer.headers["X-Tile-Cache-Hit"] == "false"


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.INTERNAL_ERROR, Fault.SHORT, Fault.TRUNCATED])
def test_one_failed_request_to_the_storage_is_not_noticed(
    server: Server, storage: FaultyS3, painted: Painted, fault: Fault
) -> None:
    for quality, path in enumerate(PATHS * 2, start=90):
        storage.plan.append(fault)
        answer = server.ask(f"{path}?quality={quality}")
        assert answer.status == 200, answer


def test_without_storage_everything_but_health_says_that_it_is_unreachable() -> None:
    env = {"WSI_S3_ENDPOINT": f"http://127.0.0.1:{free_port()}", "WSI_S3_ANONYMOUS": "true"}
    with start_server("s3://slides", env) as server:
        for path in (*PATHS, "/slides", f"/view/{NAME}"):
            assert ask_soon(server, path).error() == (502, "connection_error")
        assert server.ask("/health").status == 200


def test_a_wrong_key_of_the_storage_is_told_without_the_key(s3, bucket: Bucket) -> None:
    env = {**s3.environ(), "AWS_SECRET_ACCESS_KEY": "not-the-right-secret"}
    with start_server("s3://slides/lab", env) as server:
        for path in ("/slides", "/slides/plain.svs"):
            answer = server.ask(path)
            assert answer.error() == (500, "storage_error")
            assert "not-the-right-secret" not in answer.message + server.log


def test_a_damaged_tile_spoils_no_other(live_server: Server, bucket: Bucket) -> None:
    path = "/tiles/broken/one-bad-tile.svs/0"
    for place in ("1/0", "1/1"):
        assert live_server.ask(f"{path}/{place}.jpg").error() == (500, "decode_error")
    for place in ("0/0", "0/1", "2/0"):
        assert live_server.ask(f"{path}/{place}.jpg").status == 200


def test_a_folder_whose_file_is_overwritten_shows_the_new_one(
    slide_folder: Path, folder_server: Server
) -> None:
    path = slide_folder / "overwritten.svs"
    make_svs(path, gradient(600, 500), downsamples=(1,))
    assert folder_server.ask("/slides/overwritten.svs").json()["width"] == 600
    make_svs(path, gradient(900, 500), downsamples=(1,))
    deadline = time.monotonic() + 6.5
    while folder_server.ask("/slides/overwritten.svs").json()["width"] != 900:
        assert time.monotonic() < deadline, "the old slide is still served"
        time.sleep(0.1)
    path.unlink()
