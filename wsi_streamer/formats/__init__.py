"""The slide formats, one module each; a new one is its module and its line in FORMATS."""

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.base import Limits, Probe, Slide
from wsi_streamer.formats.tiff.generic import GenericTiff
from wsi_streamer.formats.tiff.pyramid import TiffSlide
from wsi_streamer.formats.tiff.slide_index import read_index
from wsi_streamer.formats.tiff.svs import AperioSvs
from wsi_streamer.storage.base import RangeReader
from wsi_streamer.storage.reach import Reach

# Most specific first: the first whose detect() says yes opens the slide.
FORMATS = (AperioSvs, GenericTiff)

# What an object must be called to be taken for a slide, in any case.
EXTENSIONS = (".svs", ".tif", ".tiff")


def open_slide(reader: RangeReader, limits: Limits, reach: Reach | None = None) -> Slide:
    """Return the slide that an object holds; `reach` learns which parts of it were needed.

    The slide owns the reader from then on. Raises UnsupportedFormat with the reason if no format
    takes it, and StorageError; the reader is then closed.
    """
    try:
        probe = Probe(reader, limits)
        for candidate in FORMATS:
            if candidate.detect(probe):
                slide = candidate.open(probe)
                break
        else:
            raise UnsupportedFormat("Not a slide format that is supported")
        if reach:
            reach.learn(reader.size, probe.cached.used)
        probe.cached.close()
        return slide
    except BaseException:
        reader.close()
        raise


def restore_slide(reader: RangeReader, data: bytes, limits: Limits) -> Slide:
    """Return the slide of which `Slide.to_index` gave `data`, without reading anything.

    The slide owns the reader from then on. Raises ValueError for anything but an index of the
    reader's version that keeps the limits; the reader stays open.
    """
    index = read_index(data, reader, limits)
    return TiffSlide(reader, index.info, index.levels)
