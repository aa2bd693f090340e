"""The slide formats, one module each; a new one is its module and its line in FORMATS."""

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.base import Limits, Probe, Slide
from wsi_streamer.formats.tiff.generic import GenericTiff
from wsi_streamer.formats.tiff.svs import AperioSvs
from wsi_streamer.storage.base import RangeReader

# Most specific first: the first whose detect() says yes opens the slide.
FORMATS = (AperioSvs, GenericTiff)

# What an object must be called to be taken for a slide, in any case.
EXTENSIONS = (".svs", ".tif", ".tiff")


def open_slide(reader: RangeReader, limits: Limits) -> Slide:
    """Return the slide that an object holds.

    The slide owns the reader from then on. Raises UnsupportedFormat with the reason if no format
    takes it, and StorageError; the reader is then closed.
    """
    try:
        probe = Probe(reader, limits)
        for candidate in FORMATS:
            if candidate.detect(probe):
                return candidate(probe)
        raise UnsupportedFormat("Not a slide format that is supported")
    except BaseException:
        reader.close()
        raise
