"""The IFDs of a TIFF file as plain values: checked first, then parsed by tifffile.

tifffile reads what a file claims, however much that is; so our own walk along the chain
(`chain.py`) judges the counts of all tags before it. Tag numbers and meanings are those of
TIFF 6.0 and, for 64-bit offsets, of BigTIFF.
"""

import io
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import tifffile

from wsi_streamer.errors import UnsupportedFormat, WsiError
from wsi_streamer.formats.tiff.chain import Encoding, Entry, read_chain
from wsi_streamer.formats.tiff.range_file import RangeFile
from wsi_streamer.storage.base import RangeReader

Integers = npt.NDArray[np.uint64]

# How many values a tag may have: 20 bytes can claim billions of them, and any number of tags can
# claim the same bytes of the file. One with more is as good as missing, unless tifffile would
# read it unasked: then the file is refused.
MAX_TEXT = 1_000_000
TEXTS = dict.fromkeys((270, 271, 272, 305, 306, 347), MAX_TEXT)
NUMBERS = dict.fromkeys((254, 256, 257, 259, 262, 266, 274, 277, 278, 284, 296, 317, 322, 323), 4)
NUMBERS |= {258: 16, 320: 768, 338: 16, 339: 16}
RATIOS = dict.fromkeys((282, 283), 4)
CAPS = TEXTS | NUMBERS | RATIOS
# Where tiles and strips lie; only levels have theirs read, as many values as they have tiles.
TABLES = frozenset((273, 279, 324, 325))
# What tifffile reads of every IFD besides these (TIFF.TAG_LOAD): SubIFDs, old-style JPEG,
# subsampling, and the metadata of other programs.
EAGER = dict.fromkeys((330, 513, 514, 530), 1024)
EAGER |= dict.fromkeys((33628, 42113, 50838, 50839), MAX_TEXT)
UNASKED = EAGER.keys() | {258, 270, 277, 282, 283, 305, 338, 339, 347}
# All values of a file together, tables not included: an honest slide has some 20 kB of them.
MAX_VALUE_BYTES = 8_000_000

INTEGER_KINDS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8"}
INTEGER_KINDS |= {17: "i8", 18: "u8"}


@dataclass(frozen=True)
class Table:
    """A long list of offsets or byte counts that is still in the file."""

    reader: RangeReader
    encoding: Encoding
    entry: Entry

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.entry.count

    def read(self, count: int) -> Integers:
        """Return the first `count` values.

        Raises UnsupportedFormat if they are no positive integers of the file, and StorageError.
        """
        data = self.entry.read(self.reader, self.encoding, count)
        if data is None:
            raise UnsupportedFormat(
                "The list of the TIFF image's tiles ends behind the file: was it copied completely?"
            )
        values = _integers(self.entry.kind, self.encoding, data)
        if values is None:
            raise UnsupportedFormat("The TIFF image's tiles do not lie at positive integers")
        return values.astype(np.uint64)


@dataclass(frozen=True)
class Ifd:
    """One image file directory: its tags by number."""

    index: int
    values: dict[int, tuple[int, ...]] = field(repr=False)
    texts: dict[int, bytes] = field(repr=False)
    tables: dict[int, Table] = field(repr=False)

    @property
    def is_tiled(self) -> bool:
        """Whether the image is stored in tiles, and not in strips."""
        return 322 in self.values

    def number(self, code: int, default: int = 0) -> int:
        """Return a tag's first value as an integer, `default` if it has none."""
        return self.values.get(code, (default,))[0]

    def numbers(self, code: int) -> tuple[int, ...]:
        """Return all values of a tag; empty if there are none."""
        return self.values.get(code, ())

    def ratio(self, code: int) -> float:
        """Return a RATIONAL tag as a number, 0 if it is missing or senseless."""
        numerator, denominator = self.values.get(code, (0, 0))[:2]
        return numerator / denominator if denominator else 0.0

    def data(self, code: int) -> bytes:
        """Return a tag of bytes, b"" if there is none."""
        return self.texts.get(code, b"")

    def text(self, code: int) -> str:
        """Return a tag of text without padding, "" if there is none."""
        data = self.data(code).strip(b"\0 \r\n\t")
        try:
            return data.decode()
        except UnicodeDecodeError:
            # TIFF 6.0 knows ASCII alone; what else writers of before UTF-8 wrote is Windows'.
            return data.decode("cp1252", "replace")


@dataclass(frozen=True)
class Directory:
    """The IFDs of a file in the order of their chain; there is at least one."""

    ifds: tuple[Ifd, ...]
    is_big_endian: bool


def read_directory(reader: RangeReader, *, max_ifds: int, max_tiles: int) -> Directory:
    """Parse the chain of IFDs: at most `max_ifds`, with tables for at most `max_tiles` tiles.

    Raises UnsupportedFormat if this is no TIFF file, or one that nobody could read, and
    StorageError.
    """
    encoding, chain = read_chain(reader, max_ifds, CAPS.keys() | TABLES | EAGER.keys())
    _check_claims(chain, max_tiles)
    try:
        with tifffile.TiffFile(io.BufferedReader(RangeFile(reader))) as tif:
            ifds = [
                _read_ifd(index, tif.pages[index], reader, encoding, entries)
                for index, entries in enumerate(chain)
            ]
    except WsiError:
        raise
    except Exception as exc:
        # tifffile lets struct.error, TypeError, IndexError and others out on broken files.
        raise UnsupportedFormat(f"Not a readable TIFF file: {exc}") from exc
    return Directory(tuple(ifds), encoding.order == ">")


def _check_claims(chain: list[dict[int, Entry]], max_tiles: int) -> None:
    """Raise UnsupportedFormat if reading the tags would take more than its share."""
    caps = CAPS | EAGER
    entries = [(code, entry) for ifd in chain for code, entry in ifd.items()]
    for code, entry in entries:
        if code in UNASKED and entry.count > caps[code]:
            raise UnsupportedFormat(f"TIFF tag {code} claims {entry.count} values")
    values = sum(it.length for code, it in entries if code in caps and it.count <= caps[code])
    if values > MAX_VALUE_BYTES:
        raise UnsupportedFormat(
            f"The tags of the TIFF file hold more than {MAX_VALUE_BYTES} bytes of text"
        )
    # An offset and a byte count for each tile.
    tiles = sum(entry.count for code, entry in entries if code in TABLES) // 2
    if tiles > max_tiles:
        raise UnsupportedFormat(
            f"The TIFF file has {tiles} tiles, more than {max_tiles} (WSI_MAX_TILES)"
        )


def _read_ifd(
    index: int,
    page: tifffile.TiffPage | tifffile.TiffFrame,
    reader: RangeReader,
    encoding: Encoding,
    entries: dict[int, Entry],
) -> Ifd:
    tables = {code: Table(reader, encoding, entries[code]) for code in TABLES & entries.keys()}
    ifd = Ifd(index, {}, {}, tables)
    if not isinstance(page, tifffile.TiffPage):
        raise UnsupportedFormat(f"Not a readable TIFF file: image {index} is broken")
    for code, entry in entries.items():
        tag = page.tags.get(code)
        if tag is None or code not in CAPS or entry.count > CAPS[code]:
            continue
        if code in TEXTS:
            ifd.texts[code] = _as_bytes(tag.value)
        else:
            ifd.values[code] = _as_integers(tag.value)
    return Ifd(index, {code: it for code, it in ifd.values.items() if it}, ifd.texts, tables)


def _as_bytes(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, bytes | bytearray) else b""


def _as_integers(value: object) -> tuple[int, ...]:
    """Return what a tag holds as integers that are not negative; empty if it holds others."""
    # tifffile gives a colour map as an array of three rows.
    if isinstance(value, np.ndarray):
        value = tuple(value.ravel().tolist())
    found = value if isinstance(value, tuple) else (value,)
    return found if all(isinstance(it, int) and it >= 0 for it in found) else ()


def _integers(kind: int, encoding: Encoding, data: bytes) -> npt.NDArray[np.integer] | None:
    """Return values of a type; None if it is none of integers, or one of them is negative."""
    if kind not in INTEGER_KINDS:
        return None
    values = np.frombuffer(data, np.dtype(encoding.order + INTEGER_KINDS[kind]))
    return None if values.min() < 0 else values
