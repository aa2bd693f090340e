"""Passthrough: JPEG tiles leave as the scanner wrote them, without a decode and a second loss."""

from dataclasses import dataclass

from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.encode import encode_like
from wsi_streamer.imaging.joined_jpeg import Head, join_tables
from wsi_streamer.imaging.quantisation import estimate_quality
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout

# Photometric and samples whose decoded pixels need no change to be what is shown.
SHOWN_AS_STORED = {
    (Photometric.YCBCR, 3),
    (Photometric.RGB, 3),
    (Photometric.BLACK_IS_ZERO, 1),
}


@dataclass(frozen=True, slots=True)
class SourceJpeg:
    """A JPEG file of the visible part of a tile.

    `quality` is that of libjpeg which comes nearest to the tile's quantisation tables.
    `is_source`: the coded pixels are the stored ones, byte for byte. Otherwise the tile was
    cropped, and coded again with its own tables.
    """

    data: bytes
    quality: int
    is_source: bool


def find_source_jpeg(tile: EncodedTile) -> SourceJpeg | None:
    """Return a tile as it is stored, None if what is shown of it has to be made of its pixels.

    Raises DecodeError for what `decode_tile` refuses by its headers.
    """
    layout = tile.layout
    if not is_shown_as_stored(layout) or len(tile.parts) != 1:
        return None
    joined = join_tables(tile.parts[0], layout, tile.size)
    head = joined.head
    width, height = head.header.width, head.header.height
    if width < tile.visible.width or height < tile.visible.height:
        raise DecodeError("a tile holds fewer pixels than the file promises")
    if not head.steps:
        return None
    quality = estimate_quality(head.steps[0])
    if width == tile.visible.width and height == tile.visible.height:
        return SourceJpeg(joined.data, quality, is_source=True)
    return SourceJpeg(_crop(tile, head), quality, is_source=False)


def is_shown_as_stored(layout: PixelLayout) -> bool:
    """Say whether the decoded pixels of tiles are what is shown of them."""
    shown = (layout.photometric, layout.samples)
    return layout.codec is Codec.JPEG and shown in SHOWN_AS_STORED


def _crop(tile: EncodedTile, head: Head) -> bytes:
    """Return the visible part as a JPEG file.

    With its own tables and subsampling, the blocks that are wholly visible lose next to nothing.
    """
    pixels = decode_tile(tile)
    if tile.layout.samples == 1:
        pixels = pixels[:, :, 0]
    is_rgb = tile.layout.photometric is Photometric.RGB
    return encode_like(pixels, head.steps, head.header.sampling, is_rgb=is_rgb)
