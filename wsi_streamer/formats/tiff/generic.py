"""Any other TIFF file: pyramids of libvips, QuPath, GDAL and ImageMagick, and flat images."""

from wsi_streamer.formats.base import Probe
from wsi_streamer.formats.tiff.choice import find_base, find_marked
from wsi_streamer.formats.tiff.directory import Directory, Ifd
from wsi_streamer.formats.tiff.vendor import TiffFormat, Vendor


class GenericTiff(TiffFormat):
    """TIFF files of no vendor that we know."""

    @classmethod
    def detect(cls, probe: Probe) -> bool:
        """Say whether this is a TIFF file at all; raises UnsupportedFormat if it is none."""
        return bool(probe.directory.ifds)

    @staticmethod
    def find_candidates(directory: Directory) -> tuple[Ifd, ...]:
        """Return the IFD of level 0 and those that are marked as its lower levels."""
        base = find_base(directory.ifds)
        return base, *find_marked(directory.ifds, base)

    @staticmethod
    def read_vendor(directory: Directory) -> Vendor:
        """Return nothing but the name of the format."""
        return Vendor(format="Generic Pyramidal TIFF")
