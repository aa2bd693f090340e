"""TileTable: where the tiles of a level lie, read from the file chunk by chunk when needed.

The lists of offsets and byte counts of a large level take a megabyte in the file; a viewer that
looks at a part of it needs a few kilobytes of them. Chunks that were read are kept.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsi_streamer.errors import DecodeError, UnsupportedFormat
from wsi_streamer.storage.base import RangeReader
from wsi_streamer.storage.block_cache import CachedReader

Integers = npt.NDArray[np.unsignedinteger]
# Offsets and byte counts of tiles, one a tile.
Places = tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]

# A range of 32 KB is answered as fast as one of 4 bytes, and holds 20 rows of a large slide.
CHUNK_TILES = 8192
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Column:
    """A list of offsets or byte counts in the file: where it begins, and its values' type.

    `kind` is as numpy writes it: "<u4".
    """

    kind: str
    offset: int

    def range(self, first: int, count: int) -> tuple[int, int]:
        """Return (offset, length) of some values."""
        size = int(self.kind[2:])
        return self.offset + first * size, count * size

    def parse(self, data: bytes) -> npt.NDArray[np.uint64]:
        """Return values; raises DecodeError if one of them is negative."""
        values = np.frombuffer(data, np.dtype(self.kind))
        if self.kind[1] == "i" and values.min() < 0:
            raise DecodeError("The TIFF image's tiles do not lie at positive integers")
        return values.astype(np.uint64)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Places of neighbouring tiles: offsets less `base`, and byte counts, in small types."""

    base: int
    offsets: Integers
    counts: Integers

    def place(self, index: int) -> tuple[int, int]:
        """Return (offset, length) of a tile."""
        return self.base + int(self.offsets[index]), int(self.counts[index])

    @property
    def nbytes(self) -> int:
        """Bytes of memory of the arrays."""
        return self.offsets.nbytes + self.counts.nbytes


def pack_chunk(offsets: npt.NDArray[np.uint64], counts: npt.NDArray[np.uint64]) -> Chunk:
    """Return the places of tiles in as few bytes as hold them; there is at least one."""
    # Tiles that are left out lie at 0, far from the others.
    there = offsets[counts > 0]
    base, end = (int(there.min()), int(there.max())) if len(there) else (0, 0)
    if end - base < 2**32:
        small: Integers = np.where(counts > 0, offsets - np.uint64(base), 0).astype(np.uint32)
    else:
        base, small = 0, offsets
    most = int(counts.max())
    kind = next(it for it in (np.uint16, np.uint32, np.uint64) if most <= np.iinfo(it).max)
    return Chunk(base, small, counts.astype(kind))


class TileTable:
    """Offset and byte count of `count` tiles; safe to share between threads.

    `columns` say where the two lists lie in the file; they are None where all chunks are given.
    """

    def __init__(
        self,
        count: int,
        columns: tuple[Column, Column] | None,
        chunks: Mapping[int, Chunk] | None = None,
    ) -> None:
        self.count = count
        self.columns = columns
        self._chunks: list[Chunk | None] = [None] * -(-count // CHUNK_TILES)
        for index, chunk in (chunks or {}).items():
            self._chunks[index] = chunk
        # How many of them were read.
        self.loaded = len(chunks or {})
        self._lock = threading.Lock()

    @property
    def chunks(self) -> dict[int, Chunk]:
        """The chunks that were read, by their place in the table."""
        return {index: chunk for index, chunk in enumerate(self._chunks) if chunk}

    @property
    def nbytes(self) -> int:
        """Bytes of memory of the chunks."""
        return sum(chunk.nbytes for chunk in self.chunks.values())

    def load_held(self, cached: CachedReader) -> None:
        """Read the chunks whose bytes `cached` holds already; raises DecodeError."""
        for index in range(len(self._chunks)):
            if all(cached.holds(*it) for it in self._ranges(index)):
                self._read([index], cached)

    def load(self, tiles: Iterable[int], reader: RangeReader) -> None:
        """Read the chunks of some tiles that are not here yet, all of them in one round trip.

        Raises DecodeError if a tile lies at no positive integer, and StorageErrors.
        """
        wanted = {tile // CHUNK_TILES for tile in tiles}
        if any(self._chunks[index] is None for index in wanted):
            # Others that need the same chunk wait for it; if it takes long, they try themselves.
            is_held = self._lock.acquire(timeout=PATIENCE_S)
            try:
                self._read([it for it in sorted(wanted) if self._chunks[it] is None], reader)
            finally:
                if is_held:
                    self._lock.release()

    def place(self, tile: int) -> tuple[int, int]:
        """Return (offset, length) of a tile whose chunk was loaded."""
        chunk = self._chunks[tile // CHUNK_TILES]
        if chunk is None:
            raise ValueError(f"the place of tile {tile} was not loaded")
        return chunk.place(tile % CHUNK_TILES)

    def _read(self, indexes: Sequence[int], reader: RangeReader) -> None:
        if not indexes or self.columns is None:
            return
        offsets, counts = self.columns
        data = reader.read_many([it for index in indexes for it in self._ranges(index)])
        for index, first, second in zip(indexes, data[::2], data[1::2], strict=True):
            self._chunks[index] = pack_chunk(offsets.parse(first), counts.parse(second))
        self.loaded = len(self.chunks)

    def _ranges(self, index: int) -> list[tuple[int, int]]:
        first = index * CHUNK_TILES
        count = min(CHUNK_TILES, self.count - first)
        return [column.range(first, count) for column in self.columns or ()]


def open_table(count: int, columns: tuple[Column, Column], cached: CachedReader) -> TileTable:
    """Return a table with the chunks that cost no request; raises UnsupportedFormat."""
    table = TileTable(count, columns)
    try:
        table.load_held(cached)
    except DecodeError as exc:
        raise UnsupportedFormat(str(exc)) from exc
    return table


def read_table(count: int, columns: tuple[Column, Column], reader: RangeReader) -> Places:
    """Return the places of all tiles; raises UnsupportedFormat and StorageErrors."""
    first, second = columns
    data = reader.read_many([first.range(0, count), second.range(0, count)])
    try:
        return first.parse(data[0]), second.parse(data[1])
    except DecodeError as exc:
        raise UnsupportedFormat(str(exc)) from exc


def make_table(offsets: npt.NDArray[np.uint64], counts: npt.NDArray[np.uint64]) -> TileTable:
    """Return a table of places that are known already."""
    starts = range(0, len(offsets), CHUNK_TILES)
    chunks = {
        index: pack_chunk(offsets[it : it + CHUNK_TILES], counts[it : it + CHUNK_TILES])
        for index, it in enumerate(starts)
    }
    return TileTable(len(offsets), None, chunks)
