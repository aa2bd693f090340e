"""WSIStreamer, a server in Rust; WSI_PEER_WSISTREAMER names its program."""

import os
import subprocess
from dataclasses import dataclass

from bench.peers.base import Site
from bench.places import TILE, Place, SlideShape
from bench.processes import Command

VARIABLE = "WSI_PEER_WSISTREAMER"


@dataclass(frozen=True)
class WsiStreamerRust:
    """WSIStreamer with its defaults."""

    name: str = "wsistreamer"
    title: str = "WSIStreamer (Rust), S3"
    from_s3: bool = True

    def missing(self) -> str:
        """Say how to name the program."""
        return "" if os.environ.get(VARIABLE) else f"{VARIABLE} names its program"

    def command(self, site: Site, port: int) -> Command:
        """Return its command line."""
        arguments = [os.environ[VARIABLE], f"s3://{site.bucket}", "--host", "127.0.0.1"]
        arguments += ["--port", str(port), "--s3-endpoint", site.endpoint]
        return Command(arguments, site.environ, "/health")

    def path(self, shape: SlideShape, place: Place) -> str | None:
        """Return the path of a stored tile."""
        level = shape.level_of(place.downsample)
        col, row = place.tile(TILE)
        return None if level is None else f"/tiles/{shape.name}/{level}/{col}/{row}.jpg"

    def versions(self) -> dict[str, str]:
        """Return what the program says."""
        done = subprocess.run(
            [os.environ[VARIABLE], "--version"], capture_output=True, text=True, check=False
        )
        return {"wsi-streamer (Rust)": done.stdout.strip() or "unknown"}
