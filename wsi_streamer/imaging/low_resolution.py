"""A JPEG 2000 codestream cut down to one of its lower resolutions (ITU-T T.800, annexes A and B).

A wavelet holds its image at half the size as well, at a quarter, and so on. imagecodecs decodes
faster than Pillow but knows no lower resolutions, so that it is given a codestream whose whole
image is one: main header rewritten, packets of the details left behind the last that is read.
`jpeg2000` checks codestreams before they come here.
"""

import struct

from wsi_streamer.imaging.jpeg2000 import (
    COD,
    COM,
    EOC,
    IN_MAIN_HEADER,
    QCD,
    SIZ,
    SOD,
    SOT,
    segments,
)

SOC = b"\xff\x4f"
# Orders of packets (table A.16).
LRCP, RLCP, RPCL = 0, 1, 2
# How many bytes a subband takes in QCD: without quantisation, and with a step for each (A.6.4).
STEP_BYTES = {0: 1, 2: 2}


def find_low_resolution(codestream: bytes, halvings: int) -> bytes | None:
    """Return a codestream of the image at half its size, so often; None if it must be decoded.

    Cut is what scanners write: one tile in one part, all components alike, and packets in an
    order in which those of a lower resolution come first.
    """
    found: dict[int, bytes] = {}
    end = 2
    for marker, start, end in segments(codestream, 2, len(codestream), IN_MAIN_HEADER):
        if marker not in (SIZ, COD, QCD, COM) or (marker in found and marker != COM):
            return None
        found[marker] = codestream[start:end]
    if not _is_one_part(codestream, end):
        return None
    size = _halve_size(found[SIZ], halvings)
    coding = _leave_out_levels(found[COD], halvings)
    steps = _leave_out_steps(found.get(QCD, b""), found[COD][5], halvings)
    if not (size and coding and steps):
        return None
    header = _segment(SIZ, size) + _segment(COD, coding) + _segment(QCD, steps)
    return SOC + header + codestream[end:]


def _is_one_part(codestream: bytes, position: int) -> bool:
    """Return whether all packets follow in one tile-part without a header of its own (A.4.2)."""
    start = struct.unpack_from(">HHHIBBH", codestream, position)
    marker, _, tile, size, part, parts, behind = start
    whole = (SOT, 0, len(codestream) - position - len(EOC), 0, SOD)
    return (marker, tile, size, part, behind) == whole and parts <= 1


def _halve_size(content: bytes, halvings: int) -> bytes:
    """Return SIZ (A.5.1) of the smaller image; b"" for several tiles or subsampled components."""
    capabilities, width, height, left, top, across, down = struct.unpack_from(">H6I", content)
    subsampling = content[37::3] + content[38::3]
    if left or top or across < width or down < height or subsampling.strip(b"\x01"):
        return b""
    # Equation B-15, for a tile at the origin.
    width, height = -(-width >> halvings), -(-height >> halvings)
    smaller = struct.pack(">H8I", capabilities, width, height, 0, 0, width, height, 0, 0)
    return smaller + content[len(smaller) :]


def _leave_out_levels(content: bytes, halvings: int) -> bytes:
    """Return COD (A.6.1) with fewer levels; b"" where details come between other packets."""
    style, order, layers, _, levels = struct.unpack_from(">BBHBB", content)
    precincts = levels + 1 if style & 1 else 0
    # In each layer its details come last, before the next layer (B.12.1.1).
    is_cut = order in (RLCP, RPCL) or (order == LRCP and layers == 1)
    if not is_cut or halvings > levels or len(content) != 10 + precincts:
        return b""
    # Precincts are listed from the lowest resolution on.
    end = len(content) - (halvings if precincts else 0)
    return content[:5] + bytes([levels - halvings]) + content[6:end]


def _leave_out_steps(content: bytes, levels: int, halvings: int) -> bytes:
    """Return QCD (A.6.4) without the last levels of three subbands; b"" for other quantisations."""
    step = STEP_BYTES.get(content[0] & 31) if content else None
    if not step or len(content) != 1 + step * (1 + 3 * levels):
        return b""
    return content[: len(content) - step * 3 * halvings]


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content
