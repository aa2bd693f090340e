"""FinishedImage: an encoded image with what its headers say, and how both are stored."""

import struct
from dataclasses import dataclass

# Before the image: quality, and whether its compressed pixels are those of the file.
HEADER = struct.Struct(">B?")


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """A JPEG image as it leaves; `is_source`: its compressed pixels are those of the file."""

    data: bytes
    quality: int
    is_source: bool

    def pack(self) -> bytes:
        """Return what `unpack_image` reads."""
        return HEADER.pack(self.quality, self.is_source) + self.data


def unpack_image(packed: bytes) -> FinishedImage:
    """Return the image that was packed; what the store gives is whole and ours."""
    quality, is_source = HEADER.unpack_from(packed)
    return FinishedImage(packed[HEADER.size :], quality, is_source)
