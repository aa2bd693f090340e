"""What an operator may write as the place of the slides, and what is refused with a reason."""

from pathlib import Path

import pytest

from wsi_streamer.errors import ConfigError
from wsi_streamer.storage import open_storage
from wsi_streamer.storage.base import Storage


def opened(uri: str, endpoint_url: str | None = None) -> Storage:
    return open_storage(
        uri, endpoint_url=endpoint_url, region="us-east-1", anonymous=True, timeout_s=1
    )


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://slides", "s3://slides"),
        ("s3://slides/", "s3://slides"),
        ("S3://slides/lab a/2024", "s3://slides/lab a/2024"),
        ("s3://my.bucket-1/x/", "s3://my.bucket-1/x"),
        ("/data/slides", "/data/slides"),
        ("/data/../slides/", "/slides"),
        ("file:///data/my%20slides", "/data/my slides"),
        ("file://localhost/data", "/data"),
        ("relative", f"{Path.cwd()}/relative"),
        (".", f"{Path.cwd()}"),
    ],
)
def test_places_are_understood(uri: str, name: str) -> None:
    assert opened(uri).name == name


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://example.com/slides",
        "ftp://example.com",
        "gs://bucket",
        "s3://",
        "s3:///prefix",
        "s3://ab",
        "s3://" + "a" * 64,
        "s3://my bucket",
        "s3://_bucket",
        "s3://user@bucket",
        "s3://.bucket",
        "s3://a..b",
        "s3://bucket:9000/x",
        "s3://bucket/../other",
        "s3://bucket//x",
        "s3://bucket/a\nb",
        "file://relative",
        "file://",
        "\0",
    ],
    ids=ascii,
)
def test_places_that_make_no_sense_are_refused_in_one_line(uri: str) -> None:
    with pytest.raises(ConfigError) as raised:
        opened(uri)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "minio:9000",
        "ftp://minio",
        "http://",
        "http://user:hunter2@minio",
        "http://minio?key=hunter2",
        "http://minio:99999",
        "http://[::1",
    ],
)
def test_an_endpoint_that_makes_no_sense_is_refused_without_repeating_secrets(
    endpoint: str,
) -> None:
    with pytest.raises(ConfigError, match="WSI_S3_ENDPOINT must be a URL") as raised:
        opened("s3://slides", endpoint)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("endpoint", [None, "", "http://127.0.0.1:9000", "https://s3.example.com"])
def test_an_endpoint_may_be_given_or_left_out(endpoint: str | None) -> None:
    assert opened("s3://slides", endpoint).name == "s3://slides"
