"""The bytes of a request: put together once, and completed for each range."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from wsi_streamer.storage.lean_http import NAME

# A request target has no spaces (RFC 9112, section 3.2).
TARGET = re.compile("[!-~]+")
DEFAULT_PORTS = {"http": 80, "https": 443}


def host_of(url: str) -> str:
    """Return the Host header for a URL, the one that botocore signs."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    default = DEFAULT_PORTS.get(parts.scheme)
    return host if parts.port in (None, default) else f"{host}:{parts.port}"


def request_head(target: str, headers: Mapping[str, str]) -> bytes:
    """Return a GET with its headers; raises ValueError for what would be more than that."""
    if not TARGET.fullmatch(target):
        raise ValueError("a request for what is no target")
    lines = [header_line(name, value) for name, value in headers.items()]
    return f"GET {target} HTTP/1.1\r\n".encode("ascii") + b"".join(lines)


def header_line(name: str, value: str) -> bytes:
    """Return one header; raises ValueError for a value that would be more than one."""
    if not NAME.fullmatch(name) or "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"a header {name!r} that cannot be sent")
    return f"{name}: {value}\r\n".encode("latin-1")
