"""What the live tests share: an S3 server, a bucket of slides, servers of it, and a browser."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live import signing
from tests.live.bucket import BUCKET, PREFIX, Bucket, fill
from tests.live.servers import ALLOWED_ORIGINS, COMMAND, Server, SignedServer, start_server
from tests.s3_server import S3Server, find_weed
from tests.slides import make_svs

SOURCE = f"s3://{BUCKET}/{PREFIX}"


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    try:
        find_weed()
    except RuntimeError as exc:
        pytest.skip(f"no S3 server: {exc}")
    with S3Server(BUCKET) as server:
        yield server


@pytest.fixture(scope="session")
def bucket(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    return fill(s3.client(), tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="session")
def live_server(s3: S3Server, bucket: Bucket) -> Iterator[Server]:
    """gunicorn with two workers, as a deployment runs it, with nothing but defaults."""
    with start_server(SOURCE, s3.environ()) as server:
        yield server


@pytest.fixture(scope="session")
def configured_server(s3: S3Server, bucket: Bucket) -> Iterator[Server]:
    """A server whose operator changed what can be changed."""
    env = {
        "WSI_FLAT_MAX_PIXELS": "200000",
        "WSI_JPEG_QUALITY": "71",
        "WSI_CACHE_MAX_AGE": "60",
        "WSI_CORS_ORIGINS": ", ".join(ALLOWED_ORIGINS),
        "WSI_JPEG2000": "false",
    }
    with start_server(f"{SOURCE}/", {**s3.environ(), **env}) as server:
        yield server


@pytest.fixture(scope="session")
def signed_server(s3: S3Server, bucket: Bucket) -> Iterator[SignedServer]:
    """A server with authentication, its viewer open to all, as is published."""
    with _start_signed(s3, {}) as server:
        yield server


@pytest.fixture(scope="session")
def closed_server(s3: S3Server, bucket: Bucket) -> Iterator[SignedServer]:
    """A server with authentication that asks for a signature for the viewer, too."""
    with _start_signed(s3, {"WSI_VIEW_ACCESS": "signed"}) as server:
        yield server


def _start_signed(s3: S3Server, env: dict[str, str]) -> SignedServer:
    auth = {"WSI_AUTH_ENABLED": "true", "WSI_AUTH_SECRET": signing.SECRET}
    server = start_server(SOURCE, {**s3.environ(), **auth, **env})
    return SignedServer(server.process, server.port, server.log_path)


@pytest.fixture(scope="session")
def slide_folder(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of slides with a slide beside it that must stay out of reach."""
    folder = tmp_path_factory.mktemp("local") / "slides"
    (folder / "case 1").mkdir(parents=True)
    for name in ("plain.svs", "pyramid.tif"):
        shutil.copy(bucket.painted[name].path, folder / name)
    shutil.copy(bucket.painted["tiny.tif"].path, folder / "case 1" / "tiny.tif")
    shutil.copy(bucket.painted["tiny.tif"].path, folder.parent / "secret.svs")
    (folder / "link-out.svs").symlink_to(folder.parent / "secret.svs")
    (folder / "notes.txt").write_text("no slide")
    return folder


@pytest.fixture(scope="session")
def folder_server(slide_folder: Path) -> Iterator[Server]:
    """The `wsi-streamer` command with a folder, as somebody tries it for the first time."""
    with start_server("", {}, command=(*COMMAND, str(slide_folder))) as server:
        yield server


@pytest.fixture(scope="session")
def small_and_large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.svs and large.svs, whose only tile has 3 MB."""
    folder = tmp_path_factory.mktemp("slides")
    noise = np.random.default_rng(1).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    make_svs(folder / "small.svs")
    make_svs(folder / "large.svs", noise, tile=(1024, 1024), downsamples=(1,))
    return folder


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What is opened in it is closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
    program = os.environ.get("WSI_TEST_CHROMIUM", "/usr/bin/chromium")
    if not Path(program).exists():
        pytest.skip(f"no Chromium at {program} (WSI_TEST_CHROMIUM)")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def real_slides() -> Path:
    """The folder of real slides."""
    return _folder("WSI_TEST_SLIDES")


@pytest.fixture(scope="session")
def malformed() -> Path:
    """The folder of broken files."""
    return _folder("WSI_TEST_MALFORMED")


def _folder(name: str) -> Path:
    text = os.environ.get(name, "")
    if not text:
        pytest.skip(f"{name} names no folder")
    return Path(text)
