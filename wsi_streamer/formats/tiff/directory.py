"""The IFDs of a TIFF file as plain values: what they claim is checked first, then parsed.

`chain.py` finds the tags and has their values come in few requests; then tifffile parses them.
It sees no tag but those that are wanted here: lists of tiles, which may be long, are read when
they are needed (`tile_table.py`). Tag numbers and meanings are those of TIFF 6.0 and, for 64-bit
offsets, of BigTIFF.
"""

import io
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import tifffile

from wsi_streamer.errors import UnsupportedFormat, WsiError
from wsi_streamer.formats.tiff.chain import IfdTags, read_chain
from wsi_streamer.formats.tiff.encoding import VALUE_SIZES, Encoding, Entry
from wsi_streamer.formats.tiff.range_file import RangeFile
from wsi_streamer.formats.tiff.tile_table import Column
from wsi_streamer.storage.block_cache import CachedReader

# How many values a tag may have: 20 bytes can claim billions of them, and any number of tags can
# claim the same bytes of the file. One with more is as good as missing, unless no slide could be
# shown rightly without it: then the file is refused.
MAX_TEXT = 1_000_000
TEXTS = dict.fromkeys((270, 271, 272, 305, 306, 347), MAX_TEXT)
NUMBERS = dict.fromkeys((254, 256, 257, 259, 262, 266, 274, 277, 278, 284, 296, 317, 322, 323), 4)
NUMBERS |= {258: 16, 320: 768, 338: 16, 339: 16}
RATIOS = dict.fromkeys((282, 283), 4)
CAPS = TEXTS | NUMBERS | RATIOS
# Where tiles and strips lie; only levels have theirs read, as many values as they have tiles.
TABLES = frozenset((273, 279, 324, 325))
# Tags that are not read here, but are by others: SubIFDs, old-style JPEG, subsampling, and the
# metadata of other programs. What claims more of them than this is no slide but a trap.
UNREAD = dict.fromkeys((330, 513, 514, 530), 1024)
UNREAD |= dict.fromkeys((33628, 42113, 50838, 50839), MAX_TEXT)
REFUSED = UNREAD.keys() | {258, 270, 277, 282, 283, 305, 338, 339, 347}
# All values of a file together, tables not included: an honest slide has some 20 kB of them.
MAX_VALUE_BYTES = 8_000_000

INTEGER_KINDS = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8"}
INTEGER_KINDS |= {17: "i8", 18: "u8"}


@dataclass(frozen=True)
class Table:
    """A long list of offsets or byte counts that is still in the file."""

    reader: CachedReader
    encoding: Encoding
    entry: Entry

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.entry.count

    def column(self, count: int) -> Column:
        """Return where the first `count` values lie.

        Raises UnsupportedFormat if they are no integers, or do not lie in the file.
        """
        if self.entry.offset + VALUE_SIZES[self.entry.kind] * count > self.reader.size:
            raise UnsupportedFormat(
                "The list of the TIFF image's tiles ends behind the file: was it copied completely?"
            )
        if self.entry.kind not in INTEGER_KINDS:
            raise UnsupportedFormat("The TIFF image's tiles do not lie at positive integers")
        kind = self.encoding.order + INTEGER_KINDS[self.entry.kind]
        return Column(kind, self.entry.offset)


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


def read_directory(reader: CachedReader, *, max_ifds: int, max_tiles: int) -> Directory:
    """Parse the chain of IFDs: at most `max_ifds`, with tables for at most `max_tiles` tiles.

    Raises UnsupportedFormat if this is no TIFF file, or one that nobody could read, and
    StorageError.
    """
    encoding, chain = read_chain(reader, max_ifds, CAPS.keys() | TABLES | UNREAD.keys())
    _check_claims(chain, max_tiles)
    _check_places(chain, encoding)
    wanted = [_wanted(tags.entries, CAPS, reader.size) for tags in chain]
    # Those that did not come along while the chain was read: all at once.
    reader.load([(it.offset, it.length) for entries in wanted for it in entries.values()])
    shown = {it.tag for entries in wanted for it in entries.values()}
    hidden = [tag for tags in chain for tag in tags.places if tag not in shown]
    try:
        # A buffer would read on, into what is not here: each read is exactly what tifffile asks.
        with tifffile.TiffFile(io.BufferedReader(RangeFile(reader, hidden), 1)) as tif:
            ifds = [
                _read_ifd(
                    index, tif.pages[index], wanted[index].keys(), _tables(reader, encoding, tags)
                )
                for index, tags in enumerate(chain)
            ]
    except WsiError:
        raise
    except Exception as exc:
        # tifffile lets struct.error, TypeError, IndexError and others out on broken files.
        raise UnsupportedFormat(f"Not a readable TIFF file: {exc}") from exc
    return Directory(tuple(ifds), encoding.order == ">")


def _tables(reader: CachedReader, encoding: Encoding, tags: IfdTags) -> dict[int, Table]:
    return {
        code: Table(reader, encoding, tags.entries[code]) for code in TABLES & tags.entries.keys()
    }


def _check_claims(chain: list[IfdTags], max_tiles: int) -> None:
    """Raise UnsupportedFormat if reading the tags would take more than its share."""
    caps = CAPS | UNREAD
    entries = [(code, entry) for tags in chain for code, entry in tags.entries.items()]
    for code, entry in entries:
        if code in REFUSED and entry.count > caps[code]:
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


def _check_places(chain: list[IfdTags], encoding: Encoding) -> None:
    """Raise UnsupportedFormat if IFDs overlap.

    A tag that is hidden from tifffile in one of them could be a count or an offset in another,
    and lead it where nothing was judged.
    """
    extents = sorted(
        (tags.places.start - encoding.count_size, tags.places.stop + encoding.offset_size)
        for tags in chain
    )
    for (_, end), (start, _) in zip(extents, extents[1:], strict=False):
        if start < end:
            raise UnsupportedFormat("Not a readable TIFF file: its images overlap")


def _wanted(entries: dict[int, Entry], caps: dict[int, int], size: int) -> dict[int, Entry]:
    """Return the tags in `caps` that have no more values than they may, all of them in the file."""
    return {
        code: entry
        for code, entry in entries.items()
        if code in caps and entry.count <= caps[code] and entry.offset + entry.length <= size
    }


def _read_ifd(
    index: int,
    page: tifffile.TiffPage | tifffile.TiffFrame,
    codes: Collection[int],
    tables: dict[int, Table],
) -> Ifd:
    if not isinstance(page, tifffile.TiffPage):
        raise UnsupportedFormat(f"Not a readable TIFF file: image {index} is broken")
    found = {code: tag.value for code in codes if (tag := page.tags.get(code)) is not None}
    texts = {code: _as_bytes(value) for code, value in found.items() if code in TEXTS}
    values = {code: _as_integers(value) for code, value in found.items() if code not in TEXTS}
    return Ifd(index, {code: it for code, it in values.items() if it}, texts, tables)


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
