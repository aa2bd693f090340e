"""What a JPEG stream says of itself, read without decoding it (ITU-T T.81, annex B).

The walk takes each marker as libjpeg takes it, and stops where libjpeg would go on guessing: what
is checked here is then what the decoder sees.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wsi_streamer.errors import DecodeError

SOI = b"\xff\xd8"
DHT, EOI, SOS, DQT, DRI, COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE
# Start of frame of the processes that libjpeg decodes in 8 bits: baseline, extended, progressive.
PROGRESSIVE = 0xC2
DECODABLE_FRAMES = {0xC0, 0xC1, PROGRESSIVE}
# Every SOFn marker; 0xC4, 0xC8 and 0xCC are DHT, JPG and DAC.
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
TABLES = frozenset({DHT, DQT, DRI, COM, *range(0xE0, 0xF0)})
# Everything that begins a segment with a length. No tile needs the others (B.1.1.3), and libjpeg
# and others disagree on where some of them end.
SEGMENTS = FRAMES | TABLES | {SOS}
# Entropy-coded data holds no marker but RSTn; FF 00 is a byte of data (B.1.1.5).
END_OF_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
# Each scan is a pass over the whole image. Progressive files have about ten.
MAX_SCANS = 64
# Zeros and fill bytes fill up a tile; some writers put EOI twice.
PADDING = b"\x00\xff\xd9"


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Size in pixels and number of components, as the frame header states them.

    The rest holds a byte for each component: its identifier, its sampling factors (across in the
    upper half, down in the lower) and the number of its quantisation table.
    """

    width: int
    height: int
    components: int
    identifiers: bytes
    sampling: bytes
    quantisation: bytes
    is_progressive: bool


def parse_header(data: bytes) -> JpegHeader:
    """Return the frame header of a JPEG stream; raises DecodeError.

    Refuses what the decoder must never see: other precisions than 8 bits, arithmetic, lossless
    and hierarchical processes, more than one frame, hundreds of scans, and streams whose end
    marker comes early or not at all, as libjpeg would silently paint the missing rows grey.
    """
    start = find_scan(data)
    header = parse_head(data[:start])
    find_end(data, start)
    return header


def find_scan(data: bytes) -> int:
    """Return where the coded pixels of the first scan begin; raises DecodeError.

    What stands before is the head of the stream.
    """
    for marker, _, end in segments(data):
        if marker == SOS:
            return end
    raise DecodeError("a JPEG tile has no scan")


def parse_head(head: bytes) -> JpegHeader:
    """Return the frame header that stands in the head of a stream; raises DecodeError."""
    header = None
    for marker, start, end in segments(head):
        if marker in FRAMES:
            if header:
                raise DecodeError("a JPEG tile has two frames")
            header = _parse_frame(marker, head[start:end])
        elif marker == SOS:
            break
    if not header:
        raise DecodeError("a JPEG tile has no frame header before its first scan")
    return header


def find_end(data: bytes, position: int) -> int:
    """Return where a stream ends whose first scan is coded from `position` on: behind EOI.

    Raises DecodeError for what must not follow a scan.
    """
    scans, end = 1, position
    for marker, _, behind in segments(data, end_of_scan(data, position)):
        end = behind
        if marker in FRAMES:
            raise DecodeError("a JPEG tile has two frames")
        scans += marker == SOS
        if scans > MAX_SCANS:
            raise DecodeError(f"a JPEG tile has more than {MAX_SCANS} scans")
    if end < len(data) and data[end:].strip(PADDING):
        raise DecodeError("a JPEG tile goes on behind EOI: it is damaged")
    return end


def check_tables(tables: bytes) -> None:
    """Raise DecodeError unless a stream is an abbreviated one of tables only (B.5).

    A decoder that finds a frame among the tables takes its size for that of each tile.
    """
    for marker, _, _ in segments(tables):
        if marker != EOI and marker not in TABLES:
            raise DecodeError(f"the JPEG tables hold a marker FF{marker:02X}")


def segments(data: bytes, position: int = 0) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the content of each segment; EOI is the last.

    The first is the one at `position`, which is a marker; 0 stands for the whole stream, SOI left
    out. Raises DecodeError.
    """
    if not position and not data.startswith(SOI):
        raise DecodeError("a JPEG stream does not begin with SOI")
    marker, last = 0, len(data) - 1
    position = position or len(SOI)
    while marker != EOI:
        # Any marker may be preceded by fill bytes FF (B.1.1.2).
        while position < last and data[position] == data[position + 1] == 0xFF:
            position += 1
        if position >= last or data[position] != 0xFF:
            raise DecodeError("a JPEG stream ends without EOI: it is truncated or damaged")
        marker = data[position + 1]
        start = end = position + 2
        if marker != EOI:
            start, end = _content(data, marker, start)
        yield marker, start, end
        position = end_of_scan(data, end) if marker == SOS else end


def _content(data: bytes, marker: int, position: int) -> tuple[int, int]:
    """Return start and end of what follows the length of a segment, which counts itself."""
    if marker not in SEGMENTS:
        raise DecodeError(f"a JPEG stream holds a marker FF{marker:02X}")
    length = int.from_bytes(data[position : position + 2], "big")
    if length < 2 or position + length > len(data):
        raise DecodeError("a JPEG stream is truncated")
    return position + 2, position + length


def end_of_scan(data: bytes, position: int) -> int:
    """Return where a marker ends the pixels coded from `position` on; raises DecodeError."""
    found = END_OF_SCAN.search(data, position)
    if found is None:
        raise DecodeError("a JPEG stream ends without EOI: it is truncated")
    return found.start()


def _parse_frame(marker: int, segment: bytes) -> JpegHeader:
    """Return what a frame header says (B.2.2)."""
    if marker not in DECODABLE_FRAMES:
        raise DecodeError(f"a JPEG tile uses an unsupported process (SOF{marker - 0xC0})")
    if len(segment) < 6:
        raise DecodeError("a JPEG tile has a truncated frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", segment)
    if precision != 8:
        raise DecodeError(f"a JPEG tile has {precision} bits per sample, not 8")
    if not width or not height or len(segment) != 6 + 3 * components:
        raise DecodeError("a JPEG tile has an impossible frame header")
    parts = segment[6:]
    lists = parts[::3], parts[1::3], parts[2::3]
    return JpegHeader(width, height, components, *lists, is_progressive=marker == PROGRESSIVE)
