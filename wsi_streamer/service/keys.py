"""Keys of finished images: everything that their bytes depend on, in 64 digits.

Who may see an image is no part of its key.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageKey:
    """The name of one image: 64 hexadecimal digits that no other has."""

    text: str

    @property
    def etag(self) -> str:
        """A strong HTTP entity tag, without its quotes."""
        return self.text[:32]


class SlideKeys:
    """Makes the keys of one version of a slide; what they share is hashed once."""

    def __init__(self, storage: str, slide_id: str, version: str) -> None:
        self._base = hashlib.blake2b(_joined(storage, slide_id, version), digest_size=32)
        # Names this version of the slide among all others, for whatever else is kept of it.
        self.name = self._base.hexdigest()

    def make(self, kind: str, level: int, col: int, row: int, encoding: str) -> ImageKey:
        """Return the key of an image: a tile, region or thumbnail in one encoding."""
        hashed = self._base.copy()
        hashed.update(_joined(kind, encoding) + f"{level}/{col}/{row}".encode())
        return ImageKey(hashed.hexdigest())


def _joined(*texts: str) -> bytes:
    # With its length before it, no field can pass for the end of the one before.
    # surrogatepass: names of files may hold bytes that are not UTF-8.
    return "".join(f"{len(text)}:{text}" for text in texts).encode("utf-8", "surrogatepass")
