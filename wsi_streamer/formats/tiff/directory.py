"""The IFDs of a TIFF file as plain values: what tifffile parsed, checked and made our own.

Tag numbers and meanings are those of TIFF 6.0 and, for 64-bit offsets, of BigTIFF.
"""

import io
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tifffile

from wsi_streamer.errors import UnsupportedFormat, WsiError
from wsi_streamer.formats.tiff.range_file import RangeFile
from wsi_streamer.storage.base import RangeReader

Integers = npt.NDArray[np.uint64]

# The tags that we use; tifffile reads long values only when they are asked for.
USED_TAGS = frozenset(
    (254, 256, 257, 258, 259, 262, 266, 270, 271, 272, 273, 274, 277, 278, 279, 282, 283, 284)
    + (296, 305, 306, 317, 320, 322, 323, 324, 325, 338, 339, 347, 530)
)
MAX_TEXT = 1_000_000


@dataclass(frozen=True)
class Ifd:
    """One image file directory: its tags by number, as tifffile read them."""

    index: int
    tags: dict[int, object] = field(repr=False)

    def number(self, code: int, default: int = 0) -> int:
        """Return a tag's first value as an integer, `default` if it has none."""
        value = self.tags.get(code, default)
        if isinstance(value, tuple | list | np.ndarray):
            value = value[0] if len(value) else default
        return int(value) if isinstance(value, int | np.integer) else default

    def numbers(self, code: int) -> Integers:
        """Return all values of a tag as unsigned integers; empty if there are none."""
        value = self.tags.get(code)
        if isinstance(value, int | np.integer):
            value = (value,)
        if not isinstance(value, tuple | list | np.ndarray):
            return np.empty(0, np.uint64)
        try:
            return np.asarray(value, dtype=np.uint64).ravel()
        except (OverflowError, TypeError, ValueError) as exc:
            raise UnsupportedFormat(f"TIFF tag {code} holds no positive integers") from exc

    def ratio(self, code: int) -> float:
        """Return a RATIONAL tag as a number, 0 if it is missing or senseless."""
        value = self.tags.get(code)
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int) and value[1]:
            return float(value[0]) / float(value[1])
        return 0.0

    def data(self, code: int) -> bytes:
        """Return a tag of bytes, b"" if there is none."""
        value = self.tags.get(code, b"")
        return bytes(value) if isinstance(value, bytes | bytearray) else b""

    def text(self, code: int) -> str:
        """Return a tag of text without padding, "" if there is none."""
        value = self.tags.get(code, "")
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return value.strip("\0 \r\n\t") if isinstance(value, str) else ""


@dataclass(frozen=True)
class Directory:
    """The IFDs of a file in the order of their chain."""

    ifds: tuple[Ifd, ...]
    is_big_endian: bool


def read_directory(reader: RangeReader, max_ifds: int) -> Directory:
    """Parse the chain of IFDs, at most `max_ifds` of them.

    Raises UnsupportedFormat if this is no TIFF file, or one that nobody could read, and
    StorageError.
    """
    head = reader.read(0, min(reader.size, 16))
    if len(head) < 8:
        raise UnsupportedFormat("File is too small to be a valid TIFF")
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise UnsupportedFormat("Not a valid TIFF file (invalid magic bytes)")
    try:
        with tifffile.TiffFile(io.BufferedReader(RangeFile(reader))) as tif:
            ifds = tuple(_read_ifds(tif, max_ifds))
            directory = Directory(ifds, tif.byteorder == ">")
    except WsiError:
        raise
    except Exception as exc:
        # tifffile lets struct.error, TypeError, IndexError and others out on broken files.
        raise UnsupportedFormat(f"Not a readable TIFF file: {exc}") from exc
    if not directory.ifds:
        raise UnsupportedFormat("Not a readable TIFF file: no images found")
    return directory


def _read_ifds(tif: tifffile.TiffFile, max_ifds: int) -> list[Ifd]:
    ifds: list[Ifd] = []
    seen: set[int] = set()
    for index in range(max_ifds + 1):
        try:
            page = tif.pages[index]
        except IndexError:
            break
        if index == max_ifds:
            raise UnsupportedFormat(f"The TIFF file has more than {max_ifds} images")
        # A chain that comes back to an earlier IFD has no end; what came before it stands.
        if page.offset in seen or not isinstance(page, tifffile.TiffPage):
            break
        seen.add(page.offset)
        ifds.append(Ifd(index, {tag.code: tag.value for tag in page.tags if _is_used(tag)}))
    return ifds


def _is_used(tag: tifffile.TiffTag) -> bool:
    return tag.code in USED_TAGS and (tag.dtype not in (1, 2, 7) or tag.count <= MAX_TEXT)
