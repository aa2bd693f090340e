"""What a JPEG stream says of itself, read without decoding it (ITU-T T.81, annex B)."""

import struct
from dataclasses import dataclass

from wsi_streamer.errors import DecodeError

SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
# Start of frame of the processes that libjpeg decodes in 8 bits: baseline, extended, progressive.
DECODABLE_FRAMES = {0xC0, 0xC1, 0xC2}
# Every SOFn marker; 0xC4, 0xC8 and 0xCC are DHT, JPG and DAC.
FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """Size in pixels and number of components, as the frame header states them."""

    width: int
    height: int
    components: int


def parse_header(data: bytes) -> JpegHeader:
    """Return the frame header of a JPEG stream; raises DecodeError.

    Refuses what the decoder must never see: other precisions than 8 bits, arithmetic, lossless
    and hierarchical processes, and streams cut off before their end marker, whose missing rows
    libjpeg would silently paint grey.
    """
    if not data.startswith(b"\xff\xd8"):
        raise DecodeError("a JPEG tile does not begin with SOI")
    if data.rfind(b"\xff\xd9") < 0:
        raise DecodeError("a JPEG tile ends without EOI: it is truncated")
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            break
        marker = data[position + 1]
        if marker in (0xFF, TEM):
            position += 1 if marker == 0xFF else 2
            continue
        if marker in (SOS, EOI):
            break
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in FRAMES:
            return _parse_frame(marker, data[position + 4 : position + 2 + length])
        position += 2 + length
    raise DecodeError("a JPEG tile has no frame header")


def _parse_frame(marker: int, segment: bytes) -> JpegHeader:
    if marker not in DECODABLE_FRAMES:
        raise DecodeError(f"a JPEG tile uses an unsupported process (SOF{marker - 0xC0})")
    if len(segment) < 6:
        raise DecodeError("a JPEG tile has a truncated frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", segment)
    if precision != 8:
        raise DecodeError(f"a JPEG tile has {precision} bits per sample, not 8")
    if not width or not height or len(segment) < 6 + 3 * components:
        raise DecodeError("a JPEG tile has an impossible frame header")
    return JpegHeader(width, height, components)
