"""What a JPEG 2000 codestream says of itself, read without decoding it (ITU-T T.800, annex A)."""

import struct
from dataclasses import dataclass

from wsi_streamer.errors import DecodeError

# SOC followed by SIZ begins every codestream, raw or inside a JP2 file's boxes.
CODESTREAM = b"\xff\x4f\xff\x51"
# The header boxes of a JP2 file are short; a codestream further in than this is no tile of ours.
MAX_HEADER = 65536


@dataclass(frozen=True, slots=True)
class Jpeg2000Header:
    """Size in pixels, number of components, and whether chroma is stored at lower resolution."""

    width: int
    height: int
    components: int
    subsampled: bool


def parse_header(data: bytes) -> Jpeg2000Header:
    """Return the SIZ segment of a codestream; raises DecodeError.

    Refuses what the decoder must never see: other precisions than 8 bits unsigned and more
    codestream tiles than pixels could need.
    """
    start = data.find(CODESTREAM, 0, MAX_HEADER)
    if start < 0 or len(data) < start + 42:
        raise DecodeError("a JPEG 2000 tile has no codestream header")
    right, bottom, left, top, tile_w, tile_h, _, _, components = struct.unpack_from(
        ">8IH", data, start + 8
    )
    table = data[start + 42 : start + 42 + 3 * components]
    if not 1 <= components <= 4 or len(table) < 3 * components:
        raise DecodeError(f"a JPEG 2000 tile has {components} components")
    if right <= left or bottom <= top or not tile_w or not tile_h:
        raise DecodeError("a JPEG 2000 tile has an impossible size")
    width, height = right - left, bottom - top
    if -(-width // tile_w) * -(-height // tile_h) > 4096:
        raise DecodeError("a JPEG 2000 tile is cut into too many pieces")
    # Ssiz: bit 7 is the sign, the rest the precision less one.
    if any(table[3 * i] != 7 for i in range(components)):
        raise DecodeError("a JPEG 2000 tile does not have 8 bits per sample")
    steps = [(table[3 * i + 1], table[3 * i + 2]) for i in range(components)]
    if any(not 1 <= step <= 4 for pair in steps for step in pair):
        raise DecodeError("a JPEG 2000 tile has an impossible subsampling")
    return Jpeg2000Header(width, height, components, any(pair != (1, 1) for pair in steps))
