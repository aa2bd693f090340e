"""Where the bytes of slides lie; whatever stores them is invisible above this part."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from wsi_streamer.errors import ConfigError
from wsi_streamer.storage import local, s3
from wsi_streamer.storage.base import Storage
from wsi_streamer.storage.keys import is_key
from wsi_streamer.storage.local import LocalStorage
from wsi_streamer.storage.s3 import S3Storage


def open_storage(
    uri: str,
    *,
    endpoint_url: str | None,
    region: str,
    anonymous: bool,
    timeout_s: float,
    coalesce_gap: int = s3.COALESCE_GAP,
    max_connections: int = s3.MAX_CONNECTIONS,
) -> Storage:
    """Return the storage that a URI names: s3://bucket, s3://bucket/prefix, file:// or a folder.

    Nothing is asked of it yet; raises ConfigError for a URI or endpoint that makes no sense.
    """
    local_gap = min(coalesce_gap, local.COALESCE_GAP)
    scheme, found, rest = uri.partition("://")
    if not found:
        return LocalStorage(parse_folder(uri), local_gap)
    if scheme.lower() == "file":
        return LocalStorage(parse_file_uri(rest), local_gap)
    if scheme.lower() != "s3":
        raise ConfigError(f"slides cannot lie at {scheme}://: give s3://bucket/prefix or a folder")
    bucket, prefix = parse_s3(rest)
    return S3Storage(
        bucket,
        prefix,
        endpoint_url=parse_endpoint(endpoint_url) if endpoint_url else None,
        region=region,
        anonymous=anonymous,
        timeout_s=timeout_s,
        max_connections=max_connections,
        coalesce_gap=coalesce_gap,
    )


def parse_folder(text: str) -> Path:
    """Return the folder that a text names; raises ConfigError for one that names none."""
    if not text or "\0" in text:
        raise ConfigError("say where the slides lie: s3://bucket/prefix or a folder")
    return Path(text)


def parse_file_uri(text: str) -> Path:
    """Return the folder of what follows "file://", an absolute path; raises ConfigError."""
    path = text.removeprefix("localhost")
    if not path.startswith("/"):
        raise ConfigError("a file URI has an absolute path: file:///data/slides")
    return parse_folder(unquote(path))


def parse_s3(text: str) -> tuple[str, str]:
    """Return bucket and prefix, which is "" or ends with a slash; raises ConfigError."""
    bucket, _, path = text.partition("/")
    # Capitals and "_" are of old times at AWS, and still allowed elsewhere.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]", bucket) or ".." in bucket:
        raise ConfigError(
            f"{bucket!r} is not the name of a bucket: 3 to 63 letters, digits, '.', '-' and '_'"
        )
    prefix = path.removesuffix("/")
    if prefix and not is_key(prefix):
        raise ConfigError(f"{path!r} is not a prefix of keys: give folder names joined by '/'")
    return bucket, f"{prefix}/" if prefix else ""


def parse_endpoint(text: str) -> str:
    """Return the URL of a storage; raises ConfigError, and keeps secrets in it out of the text."""
    try:
        url = urlsplit(text)
        usable = url.scheme in {"http", "https"} and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable or url.username is not None or url.query or url.fragment:
        raise ConfigError(
            "WSI_S3_ENDPOINT must be a URL such as https://minio.example.com:9000, "
            "without user name or query"
        )
    return text
