"""Slides that are replaced, removed and added while the server runs."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.live.bucket import Bucket
from tests.live.client import Answer, Pixels
from tests.live.servers import Server
from tests.slides import flat, make_svs

RED, BLUE = (200, 40, 30), (30, 60, 210)
# The default of WSI_REVALIDATE_S, and time for the answer itself.
FRESH_AFTER_S = 5 + 1.5


def painted(folder: Path, color: tuple[int, int, int], size: tuple[int, int]) -> bytes:
    path = folder / "painted.svs"
    make_svs(path, flat(*size, color), downsamples=(1, 2), tile=(256, 256))
    return path.read_bytes()


def color_of(pixels: Pixels) -> str:
    """Name the colour of a picture that must have just one."""
    mean = pixels.reshape(-1, 3).mean(axis=0)
    names = [name for name, color in (("red", RED), ("blue", BLUE)) if abs(mean - color).max() < 4]
    assert names, f"neither the old slide nor the new one: {mean}"
    assert pixels.reshape(-1, 3).std(axis=0).max() < 4, "two slides in one picture"
    return names[0]


@pytest.fixture
def replaced(bucket: Bucket, tmp_path: Path) -> Iterator[str]:
    name = "changing/replaced.svs"
    bucket.put(name, painted(tmp_path, RED, (1000, 700)))
    yield name
    bucket.delete(name)


def everywhere(server: Server, targets: list[str], count: int = 4) -> list[Answer]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(server.ask, targets * count))


def test_a_replaced_slide_is_shown_everywhere_soon_and_never_mixed(
    live_server: Server, bucket: Bucket, replaced: str, tmp_path: Path
) -> None:
    # 2000 x 1400 and 1000 x 700: every address below exists in both, other bytes lie there.
    targets = [
        *(f"/tiles/{replaced}/0/{col}/{row}.jpg" for col in (0, 3) for row in (0, 1)),
        f"/tiles/{replaced}/1/0/0.jpg?quality=90",
        f"/slides/{replaced}/dzi_files/8/0_0.jpg",
        f"/slides/{replaced}/thumbnail?max_size=200",
    ]
    before = everywhere(live_server, targets)
    assert {color_of(answer.pixels()) for answer in before} == {"red"}
    version = live_server.ask(f"/slides/{replaced}").json()["version"]

    bucket.put(replaced, painted(tmp_path, BLUE, (2000, 1400)))
    replaced_at = time.monotonic()
    while time.monotonic() < replaced_at + FRESH_AFTER_S:
        for answer in everywhere(live_server, targets, 1):
            color_of(answer.pixels())
    after = everywhere(live_server, targets)
    assert {color_of(answer.pixels()) for answer in after} == {"blue"}
    assert not {it.headers["ETag"] for it in before} & {it.headers["ETag"] for it in after}
    assert {answer.headers["ETag"] for answer in after} >= {after[0].headers["ETag"]}
    for document in (live_server.ask(f"/slides/{replaced}").json() for _ in range(8)):
        assert document["width"] == 2000
        assert document["version"] != version


def test_a_removed_slide_is_gone_soon_and_a_new_one_is_there_at_once(
    live_server: Server, bucket: Bucket, tmp_path: Path
) -> None:
    name = "changing/removed.svs"
    assert live_server.ask(f"/slides/{name}").status == 404
    bucket.put(name, painted(tmp_path, RED, (300, 200)))
    try:
        targets = [f"/slides/{name}", f"/tiles/{name}/0/0/0.jpg"]
        assert {answer.status for answer in everywhere(live_server, targets)} == {200}
        assert name in live_server.ask("/slides?prefix=changing/").json()["slides"]
    finally:
        bucket.delete(name)
    deadline = time.monotonic() + FRESH_AFTER_S
    while {answer.status for answer in everywhere(live_server, targets)} != {404}:
        assert time.monotonic() < deadline, "a removed slide is still served"
        time.sleep(0.1)
