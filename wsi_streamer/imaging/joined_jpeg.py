"""JPEG tiles as files of their own: shared tables and tile in one stream (TIFF Tech. Note 2).

Decoders of files believe markers, where readers of TIFF believe the photometric tag. So what
could tell of other colours or of another orientation (APPn: JFIF, Exif, ICC, Adobe) is left out,
and an Adobe marker says what the tag says wherever a decoder could guess otherwise.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from wsi_streamer.imaging import jpeg
from wsi_streamer.imaging.jpeg import DHT, DQT, DRI, FRAMES, SOI, SOS, JpegHeader
from wsi_streamer.imaging.jpeg_scan import (
    Codes,
    can_begin,
    can_go_on,
    has_possible_sampling,
    parse_codes,
)
from wsi_streamer.imaging.promise import check_samples, check_size
from wsi_streamer.imaging.quantisation import Steps, parse_tables
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Photometric, PixelLayout

# APP14 (ITU-T T.872, section 6.5.3): its transform is 0 for RGB, 1 for YCbCr.
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
# Without any marker, libjpeg takes these for YCbCr (jdapimin.c); others read b"RGB" as RGB.
USUAL_IDENTIFIERS = b"\x01\x02\x03"
# libjpeg forgets restart intervals and markers of the shared tables when the tile begins.
FROM_TABLES = {DQT, DHT}
FROM_TILE = {DQT, DHT, DRI, SOS, *FRAMES}
# The tiles of a level have the same head, but for those with Huffman tables of their own.
CACHED_HEADS = 256
# All the tables that a frame can have take 3 KB. Longer heads, of previews and the like, are
# read anew for each tile.
LARGEST_CACHED_HEAD = 8192


@dataclass(frozen=True, slots=True)
class Head:
    """All that stands before the coded pixels of a JPEG file.

    `steps` are the quantisation tables of its components; they are empty if a decoder would
    refuse the stream, or could need a table that is missing. `codes` are its Huffman tables.
    `has_more_scans`: the first scan is not all of the pixels.
    """

    data: bytes
    header: JpegHeader
    steps: tuple[Steps, ...]
    codes: Codes
    has_more_scans: bool


@dataclass(frozen=True, slots=True)
class JoinedJpeg:
    """A tile as a JPEG file: its head, and the stored bytes from the first scan to EOI."""

    head: Head
    coded: memoryview

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        return b"".join((self.head.data, self.coded))


def join_tables(data: bytes, layout: PixelLayout, size: Size) -> JoinedJpeg:
    """Return a stored JPEG tile of at most `size` with the tables that it needs.

    Its samples are interleaved. Raises DecodeError as `jpeg.parse_header` and
    `jpeg.check_tables` do, and for a header that does not keep what the file promises.
    """
    start = jpeg.find_scan(data)
    tables = layout.jpeg_tables
    is_short = start + len(tables) <= LARGEST_CACHED_HEAD
    make = _cached_head if is_short else _make_head
    head = make(data[:start], tables, layout.photometric)
    check_size("JPEG", head.header.width, head.header.height, size)
    check_samples(head.header.components, layout, layout.samples)
    end = jpeg.find_end(data, start)
    if head.steps and head.has_more_scans:
        behind = jpeg.end_of_scan(data, start)
        if not can_go_on(data, behind, head.header, head.codes):
            head = replace(head, steps=())
    return JoinedJpeg(head, memoryview(data)[start:end])


def _make_head(head: bytes, tables: bytes, photometric: Photometric) -> Head:
    header = jpeg.parse_head(head)
    kept = [SOI, _adobe_marker(header, photometric)]
    steps: dict[int, Steps] = {}
    codes: dict[int, bool] = {}
    has_more_scans = header.is_progressive
    is_possible = has_possible_sampling(header)
    for marker, segment in _needed_segments(head, tables):
        kept.append(bytes([0xFF, marker]) + (len(segment) + 2).to_bytes(2, "big") + segment)
        if marker == DQT:
            steps.update(parse_tables(segment))
        elif marker == DHT:
            codes.update(parse_codes(segment))
        elif marker == DRI:
            is_possible &= len(segment) == 2
        elif marker == SOS:
            is_possible &= can_begin(segment, header, codes)
            has_more_scans |= segment[:1] != bytes([header.components])
    is_possible &= all(number in steps for number in header.quantisation)
    found = tuple(steps[number] for number in header.quantisation) if is_possible else ()
    return Head(b"".join(kept), header, found, codes, has_more_scans)


_cached_head = lru_cache(CACHED_HEADS)(_make_head)


def _needed_segments(head: bytes, tables: bytes) -> list[tuple[int, bytes]]:
    """Return marker and content of all that decoding needs; raises DecodeError."""
    if tables:
        jpeg.check_tables(tables)
    shared = [it for it in _read_segments(tables) if it[0] in FROM_TABLES]
    return shared + [it for it in _read_segments(head) if it[0] in FROM_TILE]


def _read_segments(stream: bytes) -> list[tuple[int, bytes]]:
    """Return marker and content of each segment of a stream up to its first scan or EOI."""
    found = []
    for marker, start, end in jpeg.segments(stream) if stream else ():
        found.append((marker, stream[start:end]))
        if marker == SOS:
            break
    return found


def _adobe_marker(header: JpegHeader, photometric: Photometric) -> bytes:
    """Return the Adobe marker that makes every decoder see the colours of the tag."""
    if photometric is Photometric.RGB:
        return ADOBE + b"\x00"
    if photometric is Photometric.YCBCR and header.identifiers != USUAL_IDENTIFIERS:
        return ADOBE + b"\x01"
    return b""
