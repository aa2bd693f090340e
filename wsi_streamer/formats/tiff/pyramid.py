"""TiffSlide: what all TIFF slides share once they are open, from tiles' places to their bytes."""

from collections.abc import Sequence

from wsi_streamer.formats.runs import TileRuns, count_per_run
from wsi_streamer.formats.tiff.file_run import find_run
from wsi_streamer.formats.tiff.slide_index import SlideIndex, write_index
from wsi_streamer.formats.tiff.stored_level import StoredLevel
from wsi_streamer.model.slide import SlideInfo
from wsi_streamer.model.tile import Codec, EncodedTile, TileAddress
from wsi_streamer.storage.base import RangeReader

# How much smaller than their pixels tiles are, at a guess: pictures shrink to a tenth.
SHRUNK = {Codec.RAW: 1, Codec.LZW: 2, Codec.DEFLATE: 2, Codec.ZSTD: 2}
SHRUNK_PICTURE = 10


class TiffSlide:
    """An open slide in a TIFF file; immutable but for the places of tiles, read when needed."""

    def __init__(self, reader: RangeReader, info: SlideInfo, levels: Sequence[StoredLevel]) -> None:
        self._reader = reader
        self._info = info
        self._levels = tuple(levels)
        self._runs: dict[tuple[int, int], TileRuns] = {}

    @property
    def info(self) -> SlideInfo:
        """Metadata, known since opening."""
        return self._info

    @property
    def version(self) -> str:
        """The version of the object that was opened."""
        return self._reader.version

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._reader.size

    @property
    def levels(self) -> tuple[StoredLevel, ...]:
        """The levels as the file stores them."""
        return self._levels

    @property
    def index_revision(self) -> int:
        """A number that grows when the index has more to tell."""
        return sum(level.table.loaded for level in self._levels)

    def to_index(self) -> bytes:
        """Return what `formats.restore_slide` needs; see `formats.base.Slide`."""
        return write_index(SlideIndex(self.size, self.version, self._info, self._levels))

    def read_tiles(self, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles of stored levels; see `formats.base.Slide`."""
        for level in {it.level for it in addresses}:
            tiles = [(it.col, it.row) for it in addresses if it.level == level]
            self._levels[level].load(tiles, self._reader)
        places = [self._levels[it.level].ranges(it.col, it.row, self.size) for it in addresses]
        data = iter(self._reader.read_many([place for some in places for place in some]))
        tiles_read = []
        for address, some in zip(addresses, places, strict=True):
            parts = tuple(next(data) for _ in some)
            tiles_read.append(self.make_tile(address, parts))
        return tiles_read

    def make_tile(self, address: TileAddress, parts: tuple[bytes, ...]) -> EncodedTile:
        """Return a stored tile whose bytes `read_tiles` gave before; see `formats.base.Slide`."""
        level = self._levels[address.level]
        visible = level.grid.region(address.col, address.row).size
        return EncodedTile(
            parts, level.layout, level.stored_size(address.col, address.row), visible
        )

    def runs(self, level: int, max_bytes: int) -> TileRuns:
        """Return how a stored level is cut into runs of about `max_bytes`; reads nothing."""
        runs = self._runs.get((level, max_bytes))
        if runs is None:
            stored = self._levels[level]
            factor = SHRUNK.get(stored.layout.codec, SHRUNK_PICTURE)
            expected = stored.raw_bytes(stored.grid.tile) // factor
            # Planes of a tile lie far apart.
            count = 1 if stored.layout.planar else count_per_run(expected, max_bytes)
            runs = self._runs[level, max_bytes] = TileRuns(stored.grid, count)
        return runs

    def run_around(self, address: TileAddress, max_bytes: int) -> tuple[TileAddress, ...]:
        """Return the tiles to read together with one; see `formats.base.Slide`."""
        own, level = (address.col, address.row), self._levels[address.level]
        runs = self.runs(address.level, max_bytes)
        members = runs.members(*runs.index_of(*own))
        if len(members) == 1:
            return (address,)
        level.load(members, self._reader)
        run = find_run(level, own, members, self.size, 2 * max_bytes)
        return tuple(TileAddress(address.level, *tile) for tile in run)

    def close(self) -> None:
        """Free the reader; reads under way may still finish."""
        self._reader.close()
