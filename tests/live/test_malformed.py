"""Broken and hostile files: each is answered, quickly, and no worker dies of it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.live.bucket import BUCKET
from tests.live.servers import Server, start_server
from tests.s3_server import S3Server

PREFIX = "malformed"
PATHS = ("/slides/{}", "/tiles/{}/0/0/0.jpg", "/slides/{}/thumbnail", "/slides/{}/dzi")
SLOWEST_S = 5.0


@pytest.fixture(scope="module")
def names(s3: S3Server, malformed: Path) -> list[str]:
    """Put each file into the bucket as two slides; return their ids."""
    files = [
        path for path in sorted(malformed.rglob("*")) if path.is_file() and path.suffix != ".csv"
    ]
    objects: dict[str, bytes] = {}
    for number, path in enumerate(files):
        data = path.read_bytes()
        objects |= {f"{number}-{path.name}{end}": data for end in (".svs", ".tiff")}
    client = s3.client()

    def put(item: tuple[str, bytes]) -> None:
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{item[0]}", Body=item[1])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, objects.items()))
    return list(objects)


@pytest.fixture(scope="module")
def server(s3: S3Server, names: list[str]) -> Iterator[Server]:
    with start_server(f"s3://{BUCKET}/{PREFIX}", s3.environ()) as server:
        yield server


def test_no_broken_file_costs_a_worker_or_a_bare_error(server: Server, names: list[str]) -> None:
    assert len(names) > 600
    before = server.worker_pids

    def check(target: str) -> str:
        started = time.monotonic()
        answer = server.ask(target)
        took = time.monotonic() - started
        if took > SLOWEST_S:
            return f"{target}: took {took:.1f} s"
        if answer.status == 200:
            return ""
        allowed = {(500, "decode_error"), (415, "unsupported_format")}
        if answer.error() not in allowed:
            return f"{target}: {answer.status} {answer.json()}"
        return ""

    targets = [path.format(quote(name, safe="")) for name in names for path in PATHS]
    with ThreadPoolExecutor(4) as pool:
        failures = [failure for failure in pool.map(check, targets) if failure]
    assert failures == []
    assert server.worker_pids == before


def test_the_server_is_as_good_as_new_afterwards(server: Server, names: list[str], s3: Any) -> None:
    assert server.ask("/health").status == 200
    assert len(server.ask("/slides?limit=1000").json()["slides"]) == len(names)
