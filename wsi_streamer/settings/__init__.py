"""Every setting: its name, default, grammar and meaning; the only reader of environment variables.

A setting is a flag of the command (`--cache-tiles`) and a variable (`WSI_CACHE_TILES`); the flag
beats the variable, the variable the default. Empty variables count as unset.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from wsi_streamer.errors import ConfigError
from wsi_streamer.settings.files import read_secrets, shipped
from wsi_streamer.settings.grammar import (
    choice,
    integer,
    parse_bool,
    parse_host,
    parse_origins,
    parse_size,
    seconds,
    size,
)

# The published default: a tile server is meant to be reached. `make run` binds to loopback.
ANY_ADDRESS = str(IPv4Address(0))


def setting(
    default: Any,
    help_text: str,
    parse: Callable[[str], Any] = str,
    *,
    shown: str | None = None,
    secret: bool = False,
) -> Any:
    """Declare a setting; `shown` is its default as people read it.

    `secret` keeps the value out of `repr`.
    """
    what = {"help": help_text, "parse": parse, "shown": shown}
    return field(default=default, metadata=what, repr=not secret)


@dataclass(frozen=True)
class Settings:
    """The configuration of one server."""

    # Where slides lie.
    source: str = setting("", "s3://bucket, s3://bucket/prefix or a folder", shown="—")
    s3_bucket: str = setting("", "S3 bucket, instead of a source", shown="—")
    s3_endpoint: str = setting("", "Endpoint of S3-compatible storage, as a URL", shown="AWS")
    s3_region: str = setting("us-east-1", "AWS region")
    s3_anonymous: bool = setting(False, "Read a public bucket without credentials", parse_bool)
    s3_timeout: float = setting(
        4.0, "Seconds that one storage request may take, retries included", seconds(0.1, 300)
    )
    s3_connections: int = setting(
        16, "Most connections of a worker to the storage", integer(1, 1024)
    )
    coalesce_gap: int = setting(
        65_536,
        "Ranges with at most so many bytes between them are read in one request",
        size(0, 2**26),
        shown="64KiB",
    )
    read_ahead: int = setting(
        196_608,
        "Bytes read at once where a viewer moves through a slide; 0: each tile alone",
        size(0, 2**23),
        shown="192KiB",
    )

    # The web server.
    host: str = setting(ANY_ADDRESS, "Address to listen on", parse_host)
    port: int = setting(3000, "Port to listen on", integer(0, 65535))
    workers: int = setting(0, "Worker processes; 0: one a core", integer(0, 512), shown="0 (cores)")
    threads: int = setting(8, "Threads of a worker", integer(1, 256))
    verbose: bool = setting(False, "Log at debug level", parse_bool)
    no_tracing: bool = setting(False, "Do not log requests", parse_bool)
    cors_origins: tuple[str, ...] = setting(
        ("*",), "Origins allowed by CORS, separated by commas", parse_origins, shown="any"
    )

    # Who may ask.
    auth_enabled: bool = setting(False, "Ask for signed URLs", parse_bool)
    auth_secret: str = setting("", "HMAC secret of at least 32 bytes", shown="—", secret=True)
    auth_secret_file: str = setting(
        "", "File of secrets, one a line: the first signs, all verify", shown="—"
    )
    allow_weak_secret: bool = setting(False, "Accept a secret under 32 bytes", parse_bool)
    view_access: str = setting(
        "public",
        "With authentication on, who may open /view: public (anyone) or signed (signed URLs)",
        choice("public", "signed"),
    )
    viewer_token_ttl: int = setting(
        3600, "Seconds that a token of the viewer lives", integer(10, 7 * 86400)
    )

    # Caches.
    cache_slides: int = setting(100, "Open slides of a worker", integer(1, 100_000))
    cache_tiles: int = setting(
        100_000_000, "Size of the tile store that all workers share", parse_size, shown="100MB"
    )
    cache_memory: int = setting(
        64_000_000, "Memory of a worker for tiles that are ready to go", parse_size, shown="64MB"
    )
    cache_dir: str = setting("", "Folder of the tile store", shown="a folder of the user's cache")
    cache_pixels: int = setting(
        64_000_000, "Memory of a worker for decoded tiles", parse_size, shown="64MB"
    )
    cache_max_age: int = setting(
        3600, "Seconds that browsers may keep tiles (Cache-Control)", integer(0, 31_536_000)
    )
    cache_blocks: int = setting(
        100, "Blocks kept in memory while a slide is being opened", integer(1, 10_000)
    )
    block_size: int = setting(
        786_432,
        "Bytes read at once while a slide is being opened",
        size(4096, 2**30),
        shown="768KiB",
    )
    revalidate_s: float = setting(
        5.0, "Seconds before a worker asks again whether a slide was replaced", seconds(0, 86400)
    )

    # Images.
    tile_encoding: str = setting(
        "source",
        "Stored JPEG tiles: source (they leave as the scanner wrote them) or reencode",
        choice("source", "reencode"),
    )
    jpeg_quality: int | None = setting(
        None,
        "JPEG quality where none is asked for; once set, stored JPEG tiles are encoded anew",
        integer(1, 100),
        shown="80, stored JPEG tiles as they are",
    )
    flat_max_pixels: int = setting(
        100_000_000,
        "Most pixels of a slide's smallest level: of a file without a pyramid, for one",
        integer(1, 10**12),
    )

    # Limits.
    list_pages: int = setting(
        20, "Most listing calls to the storage for one GET /slides", integer(1, 1000)
    )
    open_max_bytes: int = setting(
        16 * 1024 * 1024, "Most bytes read to open a slide", size(65_536), shown="16MiB"
    )
    open_max_requests: int = setting(
        64, "Most storage requests made to open a slide", integer(1, 10_000)
    )
    open_timeout: float = setting(4.0, "Seconds that opening a slide may take", seconds(0.1, 300))
    max_tile_side: int = setting(
        4096, "Largest width and height of a stored tile, in pixels", integer(16, 65_536)
    )
    max_tiles: int = setting(
        1_000_000, "Most stored tiles of a slide, all levels together", integer(1, 10**9)
    )
    jpeg2000: bool = setting(True, "Decode JPEG 2000", parse_bool)

    static_dir: str = setting("", "Folder of the web pages", shown="the one shipped")

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings that environment variables give; raises ConfigError."""
        values: dict[str, Any] = {}
        for item in fields(cls):
            text = environ.get(env_name(item.name), "")
            if not text.strip():
                continue
            # A space at the end of a secret is part of it.
            text = text if item.name == "auth_secret" else text.strip()
            try:
                values[item.name] = item.metadata["parse"](text)
            except ValueError as exc:
                raise ConfigError(
                    f"{flag_name(item.name)} ({env_name(item.name)}) must be {exc}, not {text!r}"
                ) from None
        settings = cls(**values)
        settings.secrets()
        return settings

    @property
    def source_uri(self) -> str:
        """Where slides lie: the source, or what the published bucket option means."""
        if self.source:
            return self.source
        if self.s3_bucket:
            return f"s3://{self.s3_bucket.removeprefix('s3://')}"
        raise ConfigError(
            "say where the slides lie: s3://bucket, s3://bucket/prefix or a folder "
            "(as the argument, or WSI_SOURCE)"
        )

    @property
    def bind(self) -> str:
        """Host and port as servers and URLs write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def worker_count(self) -> int:
        """Number of worker processes."""
        return self.workers or os.cpu_count() or 1

    def secrets(self) -> tuple[bytes, ...]:
        """Return the secrets, the signing one first; empty without authentication.

        Raises ConfigError if authentication is on and a secret is missing or weak.
        """
        if not self.auth_enabled:
            return ()
        secrets = [os.fsencode(self.auth_secret)] if self.auth_secret else []
        if self.auth_secret_file:
            secrets += read_secrets(Path(self.auth_secret_file))
        if not secrets:
            raise ConfigError(f"authentication is on without a secret: {MAKE_ONE}")
        if any(len(secret) < 32 for secret in secrets) and not self.allow_weak_secret:
            raise ConfigError(
                f"a secret has fewer than 32 bytes: {MAKE_ONE} (or set WSI_ALLOW_WEAK_SECRET=true)"
            )
        return tuple(dict.fromkeys(secrets))

    @property
    def cache_path(self) -> Path:
        """Folder of the tile store; by default one for each user and source."""
        if self.cache_dir:
            return Path(self.cache_dir)
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        if not os.path.isabs(base) or not os.access(os.path.expanduser("~"), os.W_OK):
            base = os.path.join(tempfile.gettempdir(), f"wsi-streamer-{os.getuid()}")
        name = hashlib.sha256(os.fsencode(self.source_uri)).hexdigest()[:16]
        return Path(base) / "wsi-streamer" / name

    @property
    def static_path(self) -> Path:
        """Folder of the web pages."""
        return Path(self.static_dir) if self.static_dir else shipped("static")


MAKE_ONE = 'make one with `python3 -c "import secrets; print(secrets.token_hex(32))"`'


def env_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"WSI_{name.upper()}"


def flag_name(name: str) -> str:
    """Return the flag of a setting; the source is the argument itself."""
    return "URI" if name == "source" else "--" + name.replace("_", "-")
