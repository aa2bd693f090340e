"""This server, from S3 and from a folder."""

from dataclasses import dataclass

from bench.peers.base import THREADS, Site, program
from bench.peers.packages import own_versions
from bench.places import TILE, Place, SlideShape
from bench.processes import Command

PACKAGES = ("wsi-streamer", "flask", "gunicorn", "boto3", "urllib3", "imagecodecs", "pillow")


@dataclass(frozen=True)
class Ours:
    """This server with its defaults, but for the number of workers and the log of requests."""

    from_s3: bool

    @property
    def name(self) -> str:
        """The name for --peers."""
        return "ours-s3" if self.from_s3 else "ours-folder"

    @property
    def title(self) -> str:
        """The name in the report."""
        return "**WSI Streamer, S3**" if self.from_s3 else "WSI Streamer, folder"

    def missing(self) -> str:
        """It is always here."""
        return ""

    def command(self, site: Site, port: int) -> Command:
        """Return the command that users start; its tile store lies in the site's folder."""
        source = f"s3://{site.bucket}" if self.from_s3 else str(site.folder)
        own = {"WSI_S3_ENDPOINT": site.endpoint} if self.from_s3 else {}
        arguments = [program("wsi-streamer") or "wsi-streamer", "serve", source]
        arguments += ["--host", "127.0.0.1", "--port", str(port), "--no-tracing"]
        arguments += ["--workers", str(site.workers), "--threads", str(THREADS)]
        cache = {"WSI_CACHE_DIR": str(site.state / "cache")}
        return Command(arguments, {**site.environ, **own, **cache}, "/health")

    def path(self, shape: SlideShape, place: Place) -> str:
        """Return the path of a stored tile, or that of a DeepZoom tile of a made level."""
        col, row = place.tile(TILE)
        level = shape.level_of(place.downsample)
        if level is not None:
            return f"/tiles/{shape.name}/{level}/{col}/{row}.jpg"
        deepzoom = shape.deepzoom_level(place.downsample)
        return f"/slides/{shape.name}_files/{deepzoom}/{col}_{row}.jpg"

    def versions(self) -> dict[str, str]:
        """Return the versions of what a tile passes through."""
        return own_versions(PACKAGES)
