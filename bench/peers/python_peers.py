"""Peers that are libraries: OpenSlide and large_image on local files, tiffslide on S3."""

from dataclasses import dataclass, field

from bench.peers.base import Site, gunicorn, no_environment
from bench.peers.packages import peer_versions
from bench.places import TILE, Place, SlideShape
from bench.processes import Command


@dataclass(frozen=True)
class PythonPeer:
    """A library with a small Flask app around it, on the gunicorn that runs ours."""

    name: str
    title: str
    app: str
    packages: tuple[str, ...]
    from_s3: bool = False
    tile: int = TILE
    environ: dict[str, str] = field(default_factory=dict)

    def missing(self) -> str:
        """Say whether the environment of the peers is there."""
        return no_environment()

    def command(self, site: Site, port: int) -> Command:
        """Return gunicorn with the app."""
        where = {
            "BENCH_SLIDES": str(site.folder),
            "BENCH_BUCKET": site.bucket,
            "BENCH_ENDPOINT": site.endpoint,
        }
        environ = {**site.environ, **where, **self.environ}
        return gunicorn(self.app, port, environ, site.workers)

    def path(self, shape: SlideShape, place: Place) -> str:
        """Return the path of a tile of bench.apps."""
        col, row = place.tile(self.tile)
        return f"/{shape.name}/{place.downsample}/{col}/{row}"

    def versions(self) -> dict[str, str]:
        """Return the versions of the library and of what runs it."""
        return peer_versions((*self.packages, "flask", "gunicorn", "pillow"))


OPENSLIDE = ("openslide-python", "openslide-bin")
PYTHON_PEERS = (
    PythonPeer(
        "openslide",
        "OpenSlide DeepZoom 256/0, local",
        "openslide_app",
        OPENSLIDE,
        environ={"BENCH_TILE": "256/0"},
    ),
    PythonPeer(
        "openslide-254",
        "OpenSlide DeepZoom 254/1 (its default), local",
        "openslide_app",
        OPENSLIDE,
        tile=254,
        environ={"BENCH_TILE": "254/1"},
    ),
    PythonPeer(
        "large-image-tiff",
        "large_image, source tiff, local",
        "large_image_app",
        ("large-image", "large-image-source-tiff", "pylibtiff"),
        environ={"BENCH_SOURCE": "tiff"},
    ),
    PythonPeer(
        "large-image-openslide",
        "large_image, source openslide, local",
        "large_image_app",
        ("large-image", "large-image-source-openslide"),
        environ={"BENCH_SOURCE": "openslide"},
    ),
    PythonPeer(
        "tiffslide",
        "tiffslide + s3fs, S3",
        "tiffslide_app",
        ("tiffslide", "s3fs", "tifffile", "zarr", "imagecodecs"),
        from_s3=True,
    ),
)
