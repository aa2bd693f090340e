"""What a JPEG 2000 codestream says of itself, read without decoding it (ITU-T T.800, annex A).

Markers that this module does not know, and those that could change behind the main header what
was checked in it, are refused: no scanner is known to write them.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.jp2 import find_codestream

# SOC followed by SIZ begins every codestream.
START = b"\xff\x4f\xff\x51"
EOC = b"\xff\xd9"
SIZ, COD, TLM, PLM, PLT = 0xFF51, 0xFF52, 0xFF55, 0xFF57, 0xFF58
QCD, QCC, RGN, CRG, COM = 0xFF5C, 0xFF5D, 0xFF5E, 0xFF63, 0xFF64
SOT, SOD = 0xFF90, 0xFF93
# Not COC and POC, which would be checked like COD, and not the packed headers PPM and PPT.
IN_MAIN_HEADER = {SIZ, COD, TLM, PLM, QCD, QCC, RGN, CRG, COM}
IN_TILE_PART = {PLT, QCD, QCC, RGN, COM}
MAX_TILE_PARTS = 4096
MAX_LAYERS = 64
MAX_LEVELS = 32
# Decoders keep records of each precinct and code-block. Blocks of 16 x 16 are the smallest that
# anybody writes; precincts that OpenJPEG halves with each resolution make more of them.
MIN_BLOCK = 4
MIN_PIXELS_PER_BLOCK = 128
SPARE_BLOCKS = 256


@dataclass(frozen=True, slots=True)
class _Image:
    """What SIZ says; `tile_width` and `tile_height` are those of the largest tile."""

    width: int
    height: int
    components: int
    subsampled: bool
    starts_at_origin: bool
    tile_width: int
    tile_height: int
    tiles: int


@dataclass(frozen=True, slots=True)
class Jpeg2000Header:
    """Size in pixels, number of components, and whether chroma is stored at lower resolution.

    `resolutions` is how often a decoder can halve the pixels by leaving out their details.
    `codestream` is what was checked, and the only bytes to hand to a decoder.
    """

    width: int
    height: int
    components: int
    subsampled: bool
    resolutions: int
    codestream: bytes


def parse_header(data: bytes) -> Jpeg2000Header:
    """Return what a codestream, raw or in a JP2 file, says of itself; raises DecodeError.

    Refuses what the decoder must never see: other precisions than 8 bits unsigned, and more
    tiles, tile-parts, precincts, code-blocks or layers than pixels could need.
    """
    stream = find_codestream(data) or data
    if not stream.startswith(START):
        raise DecodeError("a JPEG 2000 tile has no codestream header")
    found: dict[int, bytes] = {}
    indexes: list[int] = []
    end = 2
    for marker, start, end in segments(stream, 2, len(stream), IN_MAIN_HEADER):
        if marker in found and marker in (SIZ, COD):
            raise DecodeError(f"a JPEG 2000 tile has two segments {marker:04X}")
        if marker == TLM:
            indexes.append(start - 4)
        found[marker] = stream[start:end]
    image = _parse_size(found[SIZ])
    levels = _parse_coding(found.get(COD, b""), image)
    end = _find_end(stream, end, image.tiles)
    codestream = _without(indexes, stream[:end])
    # Elsewhere than at the origin, the pixels of lower resolutions lie between ours (B.5).
    resolutions = levels if image.starts_at_origin else 0
    return Jpeg2000Header(
        image.width, image.height, image.components, image.subsampled, resolutions, codestream
    )


def _without(indexes: list[int], stream: bytes) -> bytes:
    """Return a codestream with the segments at `indexes` turned into comments.

    A list of tile-parts (TLM, A.7.1) may send a decoder elsewhere than where they were checked.
    """
    if not indexes:
        return stream
    changed = bytearray(stream)
    for position in indexes:
        changed[position : position + 2] = COM.to_bytes(2, "big")
    return bytes(changed)


def segments(
    stream: bytes, position: int, limit: int, allowed: set[int]
) -> Iterator[tuple[int, int, int]]:
    """Yield marker, start and end of the content of each segment before SOT or SOD."""
    last = SOT if SIZ in allowed else SOD
    while position + 2 <= limit:
        marker = int.from_bytes(stream[position : position + 2], "big")
        if marker == last:
            return
        length = int.from_bytes(stream[position + 2 : position + 4], "big")
        end = position + 2 + length
        if marker not in allowed or length < 2 or end > limit:
            raise DecodeError(f"a JPEG 2000 tile has a marker {marker:04X} of {length} bytes")
        yield marker, position + 4, end
        position = end
    raise DecodeError("a JPEG 2000 tile is truncated in a header")


def _parse_size(content: bytes) -> _Image:
    """Return the size of an image and of the tiles that it is cut into (SIZ, A.5.1)."""
    if len(content) < 36:
        raise DecodeError("a JPEG 2000 tile has no codestream header")
    numbers = struct.unpack_from(">8IH", content, 2)
    right, bottom, left, top, tile_w, tile_h, tile_x, tile_y, components = numbers
    table = content[36:]
    if not 1 <= components <= 4 or len(table) != 3 * components:
        raise DecodeError(f"a JPEG 2000 tile has {components} components")
    # The first tile must hold the upper left pixel (equations B-3 and B-4).
    if not (tile_x <= left < min(right, tile_x + tile_w)):
        raise DecodeError("a JPEG 2000 tile has an impossible width")
    if not (tile_y <= top < min(bottom, tile_y + tile_h)):
        raise DecodeError("a JPEG 2000 tile has an impossible height")
    # Equation B-5.
    tiles = -(-(right - tile_x) // tile_w) * -(-(bottom - tile_y) // tile_h)
    if tiles > MAX_TILE_PARTS:
        raise DecodeError("a JPEG 2000 tile is cut into too many pieces")
    width, height = right - left, bottom - top
    subsampled = _parse_components(table)
    largest = min(width, tile_w), min(height, tile_h)
    return _Image(width, height, components, subsampled, left == top == 0, *largest, tiles)


def _parse_components(table: bytes) -> bool:
    """Return whether a component is stored at lower resolution than the pixels."""
    # Ssiz: bit 7 is the sign, the rest the precision less one.
    if any(depth != 7 for depth in table[::3]):
        raise DecodeError("a JPEG 2000 tile does not have 8 bits per sample")
    steps = table[1::3] + table[2::3]
    if any(not 1 <= step <= 4 for step in steps):
        raise DecodeError("a JPEG 2000 tile has an impossible subsampling")
    return any(step != 1 for step in steps)


def _parse_coding(content: bytes, image: _Image) -> int:
    """Return the number of decomposition levels (COD, A.6.1).

    Refuses impossible coding styles, and those with needlessly many pieces.
    """
    if len(content) < 10:
        raise DecodeError("a JPEG 2000 tile has no coding style")
    style, order, layers, _, levels, across, down = struct.unpack_from(">BBHBBBB", content)
    precincts = content[10:] if style & 1 else b"\xff" * (levels + 1)
    if style > 7 or order > 4 or levels > MAX_LEVELS or not 1 <= layers <= MAX_LAYERS:
        raise DecodeError(f"a JPEG 2000 tile has {layers} layers and {levels} decompositions")
    # Exponents less two; a block has at most 4096 samples (table A.18).
    if min(across, down) + 2 < MIN_BLOCK or across + down > 8:
        raise DecodeError("a JPEG 2000 tile has code-blocks of an impossible size")
    if len(precincts) != levels + 1:
        raise DecodeError("a JPEG 2000 tile has a damaged coding style")
    blocks = _count_blocks(image, precincts, across + 2, down + 2)
    if blocks > image.tile_width * image.tile_height / MIN_PIXELS_PER_BLOCK + SPARE_BLOCKS:
        raise DecodeError(f"a JPEG 2000 tile is cut into {blocks} code-blocks")
    return int(levels)


def _count_blocks(image: _Image, precincts: bytes, across: int, down: int) -> int:
    """Return about how many code-blocks a component of a tile has, from their exponents.

    A code-block ends where its precinct does (B.7), so that there are never fewer of them.
    """
    blocks = 0
    for resolution, precinct in enumerate(precincts):
        # From the second on, a resolution is three bands of half its size (B.5).
        bands, half = (3, 1) if resolution else (1, 0)
        level = len(precincts) - 1 - resolution
        # PPx is the lower, PPy the upper half (table A.21).
        columns = -(-image.tile_width >> level + min(across + half, precinct & 15))
        rows = -(-image.tile_height >> level + min(down + half, precinct >> 4))
        blocks += bands * columns * rows
    return blocks


def _find_end(stream: bytes, position: int, tiles: int) -> int:
    """Walk the tile-parts (A.4.2), and return the end of the codestream, which EOC marks."""
    for _ in range(MAX_TILE_PARTS + 1):
        if stream[position : position + 2] == EOC:
            return position + 2
        if position + 12 > len(stream):
            raise DecodeError("a JPEG 2000 tile ends without EOC: it is truncated")
        marker, length, tile, size = struct.unpack_from(">HHHI", stream, position)
        # Without a size, a tile-part is the last and goes on up to EOC.
        end = position + size if size else stream.rfind(EOC)
        if (marker, length) != (SOT, 10) or tile >= tiles or not position + 14 <= end < len(stream):
            raise DecodeError("a JPEG 2000 tile has a truncated or damaged tile-part")
        for _ in segments(stream, position + 12, end, IN_TILE_PART):
            pass
        position = end
    raise DecodeError("a JPEG 2000 tile has too many tile-parts")
