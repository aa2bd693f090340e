"""RunStore: runs of tiles as the file stores them, on the disk for all workers.

A run is one entry, as it was one request: whoever wants one of its tiles will want the others,
and most of what an entry costs does not depend on its size. Its tiles are made into images only
when somebody asks for them.
"""

import struct

from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service.flights import Tiles
from wsi_streamer.service.keys import ImageKey
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.run_name import RunName
from wsi_streamer.service.store_writer import StoreWriter
from wsi_streamer.service.tile_request import Release
from wsi_streamer.service.tile_store import TileStore

# Number of tiles; of each its place, and how many parts it has; of each part its length.
COUNT = struct.Struct(">I")
PLACE = struct.Struct(">IIB")


class RunStore:
    """Keeps runs in the tile store."""

    def __init__(self, store: TileStore, writer: StoreWriter) -> None:
        self._store = store
        self._writer = writer

    def find(self, opened: OpenedSlide, run: RunName) -> Tiles | None:
        """Return the tiles of a run, None if they are not there."""
        packed = self._store.get(self.key(opened, run))
        return None if packed is None else self.unpack(opened, run, packed)

    def key(self, opened: OpenedSlide, run: RunName) -> ImageKey:
        """Return the key that a run lies under."""
        return opened.keys.make("run", run.level, run.col, run.row, str(run.max_bytes))

    def unpack(self, opened: OpenedSlide, run: RunName, packed: bytes) -> Tiles | None:
        """Return the tiles of a run that was found by its key; None if it is none."""
        try:
            return unpack(packed, opened, run.level)
        except (struct.error, ValueError):
            return None

    def takes(self, tiles: Tiles) -> bool:
        """Say whether the store has room for a run of these tiles."""
        return self._store.takes(sum(len(part) for tile in tiles.values() for part in tile.parts))

    def keep(self, opened: OpenedSlide, run: RunName, tiles: Tiles, stored: Release | None) -> None:
        """Have a run written, and call `stored` when other workers can find it; None: write it."""
        entry = self.key(opened, run), pack(tiles)
        if stored is None:
            self._store.put(*entry)
        else:
            self._writer.add([entry], stored)


def pack(tiles: Tiles) -> bytes:
    """Return what `unpack` reads."""
    pieces = [COUNT.pack(len(tiles))]
    for address, tile in tiles.items():
        pieces.append(PLACE.pack(address.col, address.row, len(tile.parts)))
        pieces += [COUNT.pack(len(part)) for part in tile.parts]
    for tile in tiles.values():
        pieces += tile.parts
    return b"".join(pieces)


def unpack(packed: bytes, opened: OpenedSlide, level: int) -> Tiles:
    """Return the tiles that were packed; raises ValueError and struct.error for anything else."""
    (count,) = COUNT.unpack_from(packed)
    at = COUNT.size
    lengths: dict[TileAddress, list[int]] = {}
    for _ in range(count):
        col, row, parts = PLACE.unpack_from(packed, at)
        at += PLACE.size
        lengths[TileAddress(level, col, row)] = list(struct.unpack_from(f">{parts}I", packed, at))
        at += parts * COUNT.size
    if at + sum(map(sum, lengths.values())) != len(packed):
        raise ValueError("a run of another length")
    tiles: Tiles = {}
    for address, some in lengths.items():
        found = []
        for length in some:
            found.append(packed[at : at + length])
            at += length
        tiles[address] = opened.slide.make_tile(address, tuple(found))
    return tiles
