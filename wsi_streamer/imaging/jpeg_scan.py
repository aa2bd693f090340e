"""Whether a decoder would begin the scans of a JPEG stream (ITU-T T.81, annexes B, C and G).

What libjpeg refuses before it decodes a pixel, and browsers with it; damage among the coded
pixels is not looked for.
"""

import struct
from collections.abc import Iterable, Mapping

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.jpeg import DHT, DQT, DRI, SOS, JpegHeader, segments
from wsi_streamer.imaging.quantisation import parse_tables

# Class in the upper half, number in the lower (Tc and Th in B.2.4.2), and whether a scan can use
# the table.
Codes = Mapping[int, bool]

AC = 0x10
LENGTHS = struct.Struct("16B")
MAX_NUMBER = 3
MAX_CODES = 256
# Of differences between DC coefficients of 8-bit samples, the categories go up to 11 (F.1.2.1),
# and those that libjpeg takes to 15.
MAX_DC_CATEGORY = 15
# B.2.3, and B.2.2 for the factors.
MAX_BLOCKS_IN_MCU = 10
MAX_FACTOR = 4
LAST_COEFFICIENT = 63
MAX_SHIFT = 13


def parse_codes(segment: bytes) -> dict[int, bool]:
    """Return the tables of a DHT segment (B.2.4.2); raises DecodeError."""
    codes: dict[int, bool] = {}
    position = 0
    while position < len(segment):
        start = position + 1 + LENGTHS.size
        if start > len(segment):
            raise DecodeError("a JPEG stream has a truncated Huffman table")
        table = segment[position]
        lengths = LENGTHS.unpack_from(segment, position + 1)
        position = start + sum(lengths)
        if table & ~AC > MAX_NUMBER or sum(lengths) > MAX_CODES or position > len(segment):
            raise DecodeError("a JPEG stream has a damaged Huffman table")
        symbols = segment[start:position]
        is_small = table & AC or max(symbols, default=0) <= MAX_DC_CATEGORY
        codes[table] = _is_prefix_code(lengths) and bool(is_small)
    return codes


def _is_prefix_code(lengths: Iterable[int]) -> bool:
    """Return whether there are codes of these lengths, none of them all ones (annex C)."""
    code = 0
    for length, count in enumerate(lengths, 1):
        code += count
        if count and code >= 1 << length:
            return False
        code <<= 1
    return True


def has_possible_sampling(header: JpegHeader) -> bool:
    """Return whether each component has a whole fraction of the pixels that others have."""
    for factors in (
        [both >> 4 for both in header.sampling],
        [both & 15 for both in header.sampling],
    ):
        if not all(1 <= factor <= MAX_FACTOR for factor in factors):
            return False
        if any(max(factors) % factor for factor in factors):
            return False
    return True


def can_begin(scan: bytes, header: JpegHeader, codes: Codes) -> bool:
    """Return whether a scan names what its frame has, and tables that are there (B.2.3)."""
    count = scan[0] if scan else 0
    if not 1 <= count <= 4 or len(scan) != 4 + 2 * count:
        return False
    places = _find_components(scan[1:-3:2], header.identifiers)
    if places is None:
        return False
    blocks = sum((both >> 4) * (both & 15) for both in (header.sampling[at] for at in places))
    if count > 1 and blocks > MAX_BLOCKS_IN_MCU:
        return False
    tables = scan[2:-3:2]
    dc, ac = [both >> 4 for both in tables], [AC | both & 15 for both in tables]
    if header.is_progressive:
        return _can_begin_pass(scan, dc, ac, codes)
    return all(codes.get(table) for table in (*dc, *ac))


def _can_begin_pass(scan: bytes, dc: list[int], ac: list[int], codes: Codes) -> bool:
    """Return whether a scan of a progressive frame is possible (G.1.1.1)."""
    first, last, shifts = scan[-3:]
    before, shift = shifts >> 4, shifts & 15
    if shift > MAX_SHIFT or (before and shift != before - 1):
        return False
    if first:
        return len(ac) == 1 and first <= last <= LAST_COEFFICIENT and bool(codes.get(ac[0]))
    # Later passes over DC coefficients are bits without codes.
    return last == 0 and (before > 0 or all(codes.get(table) for table in dc))


def _find_components(identifiers: bytes, of_frame: bytes) -> list[int] | None:
    """Return which components of the frame are meant, None if it lacks one; in its order."""
    places: list[int] = []
    for identifier in identifiers:
        at = of_frame.find(identifier, places[-1] + 1 if places else 0)
        if at < 0:
            return None
        places.append(at)
    return places


def can_go_on(data: bytes, position: int, header: JpegHeader, codes: Codes) -> bool:
    """Return whether all scans can begin behind the one that ends at `position`.

    `codes` are the tables that it could use. Raises DecodeError.
    """
    known = dict(codes)
    for marker, start, end in segments(data, position):
        content = data[start:end]
        if marker == DHT:
            known.update(parse_codes(content))
        elif marker == DQT:
            parse_tables(content)
        elif (marker == SOS and not can_begin(content, header, known)) or (
            marker == DRI and len(content) != 2
        ):
            return False
    return True
