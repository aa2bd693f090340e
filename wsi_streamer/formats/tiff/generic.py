"""Any other TIFF file: pyramids of libvips, QuPath, GDAL and ImageMagick, and flat images."""

from wsi_streamer.formats.base import Probe
from wsi_streamer.formats.tiff.directory import Directory
from wsi_streamer.formats.tiff.pyramid import TiffSlide, Vendor


class GenericTiff(TiffSlide):
    """A TIFF file of no vendor that we know."""

    @classmethod
    def detect(cls, probe: Probe) -> bool:
        """Say whether this is a TIFF file at all; raises UnsupportedFormat if it is none."""
        return bool(probe.directory.ifds)

    @staticmethod
    def read_vendor(directory: Directory) -> Vendor:
        """Return nothing but the name of the format."""
        return Vendor(format="Generic Pyramidal TIFF")
