"""The same storage on a real S3 server: what the faulty one cannot vouch for."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.s3_server import S3Server
from wsi_streamer.errors import ConfigError, SlideChanged, SlideNotFound, StorageError
from wsi_streamer.storage import open_storage
from wsi_streamer.storage.s3 import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NAMES = [
    "a b/slide one.svs",
    "a+b=c&d.svs",
    "case:1#2?x=y.svs",
    "quotes'\"<>.svs",
    "Größe/Übersicht – ß.tiff",
    "日本/スライド.ndpi",
    "percent%2F%20%.svs",
    "semi;colon,comma@at!*().svs",
    "tilde~dot..dot/...svs",
]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture(scope="module")
def client(s3: S3Server) -> Iterator["S3Client"]:
    client = s3.client()
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _credentials(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environ().items():
        monkeypatch.setenv(name, value)


def make_storage(s3: S3Server, bucket: str = "slides", prefix: str = "") -> S3Storage:
    return S3Storage(
        bucket,
        prefix,
        endpoint_url=s3.endpoint,
        region="us-east-1",
        anonymous=False,
        timeout_s=4.0,
    )


def list_all(storage: S3Storage, prefix: str = "", limit: int = 1000) -> list[str]:
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        page = storage.list(prefix, after, limit)
        assert len(page.names) <= limit
        names += page.names
        after = page.last
    return names


def test_slides_are_found_and_read_whatever_their_names(s3: S3Server, client: "S3Client") -> None:
    storage = make_storage(s3, prefix="names/")
    for name in NAMES:
        client.put_object(Bucket="slides", Key=f"names/{name}", Body=name.encode() * 10_000)

    assert list_all(storage) == sorted(NAMES, key=str.encode)
    assert list_all(storage, limit=2) == sorted(NAMES, key=str.encode)
    for name in NAMES:
        data = name.encode() * 10_000
        reader = storage.open(name)
        assert reader.size == len(data)
        assert reader.read(90_000, 5000) == data[90_000:95_000]
        assert reader.version == storage.stat(name)
        assert storage.list(name, "", 10).names == (name,)


def test_paging_gives_each_slide_once_and_ends(s3: S3Server, client: "S3Client") -> None:
    names = [f"{i:03}.svs" for i in range(25)] + ["b/1.svs", "b/2.svs", "c.svs"]
    for name in names:
        client.put_object(Bucket="slides", Key=f"paging/{name}", Body=b"x")
    storage = make_storage(s3, prefix="paging/")

    for limit in (1, 7, 28, 1000):
        assert list_all(storage, limit=limit) == names
    assert storage.list("", "", 28).last is None
    assert storage.list("", "023.svs", 2).names == ("024.svs", "b/1.svs")
    assert list_all(storage, "b/") == ["b/1.svs", "b/2.svs"]
    assert list_all(storage, "nothing") == []


def test_a_prefix_hides_the_rest_of_the_bucket(s3: S3Server, client: "S3Client") -> None:
    client.put_object(Bucket="slides", Key="inside/a.svs", Body=b"mine")
    client.put_object(Bucket="slides", Key="outside/b.svs", Body=b"not mine")
    storage = make_storage(s3, prefix="inside/")

    assert list_all(storage) == ["a.svs"]
    assert storage.open("a.svs").read(0, 4) == b"mine"
    for key in ("../outside/b.svs", "outside/b.svs", "b.svs", "/outside/b.svs"):
        with pytest.raises(SlideNotFound):
            storage.open(key)
        with pytest.raises(SlideNotFound):
            storage.stat(key)


def test_an_overwritten_slide_is_noticed(s3: S3Server, client: "S3Client") -> None:
    storage = make_storage(s3)
    client.put_object(Bucket="slides", Key="changing.svs", Body=b"1" * 200_000)
    reader = storage.open("changing.svs")
    assert reader.read(100_000, 3) == b"111"

    client.put_object(Bucket="slides", Key="changing.svs", Body=b"2" * 200_000)

    with pytest.raises(SlideChanged):
        reader.read(100_000, 3)
    assert storage.stat("changing.svs") != reader.version
    assert storage.open("changing.svs").read(100_000, 3) == b"222"


def test_a_removed_slide_is_noticed(s3: S3Server, client: "S3Client") -> None:
    storage = make_storage(s3)
    client.put_object(Bucket="slides", Key="going.svs", Body=b"1" * 200_000)
    reader = storage.open("going.svs")
    client.delete_object(Bucket="slides", Key="going.svs")

    with pytest.raises(SlideChanged):
        reader.read(100_000, 3)
    with pytest.raises(SlideNotFound):
        storage.open("going.svs")


def test_an_empty_object_can_be_opened(s3: S3Server, client: "S3Client") -> None:
    client.put_object(Bucket="slides", Key="empty.svs", Body=b"")
    storage = make_storage(s3)

    reader = storage.open("empty.svs")

    assert (reader.size, reader.read(0, 0)) == (0, b"")
    assert reader.version == storage.stat("empty.svs")


def test_a_slide_is_opened_at_both_ends_and_resumed(s3: S3Server, client: "S3Client") -> None:
    data = bytes(range(250)) * 4000
    client.put_object(Bucket="slides", Key="both ends.svs", Body=data)
    reader = make_storage(s3).open("both ends.svs", head_bytes=1000, tail_bytes=5000)

    assert [(extent.offset, extent.end) for extent in reader.known] == [
        (0, 1000),
        (995_000, 1_000_000),
    ]
    assert reader.read(0, len(data)) == data
    resumed = make_storage(s3).resume("both ends.svs", reader.version)
    ranges = [(900_000, 70), (100, 70), (500_000, 70)]
    assert resumed.read_many(ranges) == [data[at : at + n] for at, n in ranges]

    client.put_object(Bucket="slides", Key="both ends.svs", Body=data[::-1])
    with pytest.raises(SlideChanged):
        resumed.read(100, 70)


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101])
def test_small_slides_are_known_as_a_whole(s3: S3Server, client: "S3Client", size: int) -> None:
    client.put_object(Bucket="slides", Key="small.svs", Body=b"x" * size)

    reader = make_storage(s3).open("small.svs", head_bytes=100, tail_bytes=100)

    assert b"".join(extent.data for extent in reader.known) == b"x" * size
    assert reader.read(0, size) == b"x" * size


def test_a_slide_uploaded_in_parts_is_read_across_their_borders(
    s3: S3Server, client: "S3Client"
) -> None:
    parts = [bytes([i]) * (5 * 1024 * 1024) for i in range(3)]
    upload = client.create_multipart_upload(Bucket="slides", Key="parts.svs")["UploadId"]
    done = [
        client.upload_part(
            Bucket="slides", Key="parts.svs", UploadId=upload, PartNumber=i + 1, Body=part
        )["ETag"]
        for i, part in enumerate(parts)
    ]
    client.complete_multipart_upload(
        Bucket="slides",
        Key="parts.svs",
        UploadId=upload,
        MultipartUpload={
            "Parts": [{"ETag": tag, "PartNumber": i + 1} for i, tag in enumerate(done)]
        },
    )
    reader = make_storage(s3).open("parts.svs")
    border = len(parts[0])

    assert reader.read(border - 50_000, 100_000) == bytes(50_000) + b"\1" * 50_000
    assert reader.read_many([(2 * border, 2), (border - 1, 2)]) == [b"\2\2", b"\0\1"]


def test_the_operator_is_told_that_the_bucket_is_missing(s3: S3Server) -> None:
    storage = make_storage(s3, bucket="no-such-bucket")

    with pytest.raises(ConfigError, match="has no bucket no-such-bucket"):
        storage.check()
    with pytest.raises(StorageError) as raised:
        storage.open("a.svs")
    assert not isinstance(raised.value, SlideNotFound)


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_the_operator_is_told_that_the_credentials_are_wrong(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "wrong")
    storage = make_storage(s3)

    with pytest.raises(ConfigError, match="does not accept the credentials"):
        storage.check()
    with pytest.raises(StorageError, match="does not accept the server's credentials"):
        storage.open("a.svs")


def test_a_private_bucket_denies_anonymous_readers_in_clear_words(s3: S3Server) -> None:
    storage = open_storage(
        "s3://slides", endpoint_url=s3.endpoint, region="us-east-1", anonymous=True, timeout_s=4
    )

    with pytest.raises(ConfigError, match="denies access to bucket slides"):
        storage.check()


def test_a_bucket_that_works_passes_the_check(s3: S3Server) -> None:
    storage = open_storage(
        "s3://slides/not/yet/there/",
        endpoint_url=s3.endpoint,
        region="us-east-1",
        anonymous=False,
        timeout_s=4,
    )
    storage.check()
    assert storage.name == "s3://slides/not/yet/there"
    assert storage.list("", "", 10).names == ()
