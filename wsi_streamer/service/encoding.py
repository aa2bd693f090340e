"""Encoding: how images leave, stored JPEG tiles as they are and all others in a quality."""

from dataclasses import dataclass

from wsi_streamer.imaging.color import Pixels
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.encode import encode_jpeg
from wsi_streamer.imaging.source_jpeg import find_source_jpeg, is_shown_as_stored
from wsi_streamer.model.tile import EncodedTile
from wsi_streamer.service.finished_image import FinishedImage


@dataclass(frozen=True, slots=True)
class Encoding:
    """How images leave where no quality is asked for.

    `passes_source`: stored JPEG tiles as the file has them. `quality` is that of all others.
    """

    quality: int = 80
    passes_source: bool = True

    def passes(self, quality: int | None) -> bool:
        """Say whether stored JPEG tiles leave as they are where `quality` is asked for."""
        return quality is None and self.passes_source

    def is_spliced(self, tile: EncodedTile, quality: int | None) -> bool:
        """Say whether a stored tile leaves as it is, which takes no decoding."""
        return (
            self.passes(quality) and tile.size == tile.visible and is_shown_as_stored(tile.layout)
        )

    def encode(self, pixels: Pixels, quality: int | None) -> FinishedImage:
        """Return an image of pixels; raises EncodeError."""
        used = quality or self.quality
        return FinishedImage(encode_jpeg(pixels, used), used, is_source=False)

    def image_of(self, tile: EncodedTile, quality: int | None) -> FinishedImage:
        """Return a stored tile as it leaves; raises DecodeError and EncodeError."""
        source = find_source_jpeg(tile) if self.passes(quality) else None
        if source is None:
            return self.encode(decode_tile(tile), quality)
        return FinishedImage(source.data, source.quality, source.is_source)

    def tile_name(self, quality: int | None) -> str:
        """Return what tells images of stored tiles apart: "source", or as `name` does."""
        return "source" if self.passes(quality) else self.name(quality)

    def name(self, quality: int | None) -> str:
        """Return what tells images of the same pixels apart."""
        return f"jpeg-{quality or self.quality}"
