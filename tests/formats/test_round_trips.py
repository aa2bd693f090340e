"""A slide that nobody has seen before shows its first tile after three round trips."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from tests.slides.sparse import SparseFile, aperio_pages, halved_pages, make_sparse
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits, Slide
from wsi_streamer.formats.tiff.tile_table import CHUNK_TILES
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.storage.base import Extent
from wsi_streamer.storage.reach import Reach

HEAD, TAIL = 256 * 1024, 2 * 1024 * 1024
SMALL, MEDIUM, LARGE = (40_000, 30_000), (60_000, 45_000), (100_000, 80_000)


class CountingReader:
    """Reads a sparse file, and writes down what one round trip after the other asked for.

    The first brought the first and last bytes along.
    """

    version = "v1"

    def __init__(self, file: SparseFile, head: int = HEAD, tail: int = TAIL) -> None:
        self.file = file
        self.size = file.size
        head, tail = min(head, self.size), min(tail, max(self.size - head, 0))
        known = [Extent(0, file.read(0, head))]
        if tail:
            known.append(Extent(self.size - tail, file.read(self.size - tail, tail)))
        self.known = tuple(known)
        self.rounds: list[list[tuple[int, int]]] = [[(it.offset, len(it.data)) for it in known]]

    def forget_known(self) -> None:
        self.known = ()

    def read(self, offset: int, length: int) -> bytes:
        return self.read_many([(offset, length)])[0]

    def read_many(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        self.rounds.append(list(ranges))
        return [self.file.read(offset, length) for offset, length in ranges]

    def close(self) -> None:
        pass

    @property
    def bytes_read(self) -> int:
        return sum(length for some in self.rounds for _, length in some)


@cache
def slide_file(size: tuple[int, int], kind: str, layout: str, bigtiff: bool) -> SparseFile:
    factors = (4, 16) if size == SMALL else (4, 16, 64)
    pages = aperio_pages(*size, factors) if kind == "aperio" else halved_pages(*size)
    return make_sparse(pages, bigtiff=bigtiff, layout=layout)  # type: ignore[arg-type]


def open_file(file: SparseFile) -> tuple[CountingReader, Slide]:
    reader = CountingReader(file)
    return reader, open_slide(reader, Limits())


def read_middle(slide: Slide, level: int = 0) -> None:
    grid = slide.info.levels[level].grid
    slide.read_tiles([TileAddress(level, grid.columns // 2, grid.rows // 2)])


@pytest.mark.parametrize("level", [0, -1])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", ["libtiff", "tifffile", "ifd_first"])
def test_the_first_tile_of_an_svs_takes_three_round_trips(layout, bigtiff, level):
    reader, slide = open_file(slide_file(SMALL, "aperio", layout, bigtiff))
    read_middle(slide, slide.info.stored_levels[level].index)
    assert len(reader.rounds) <= 3
    assert reader.bytes_read < (4_300_000 if layout == "tifffile" else 3_600_000)
    assert len(slide.info.stored_levels) == 3
    assert slide.info.associated_images == ("label", "macro", "thumbnail")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_huge_svs_as_scanners_write_it_takes_three_round_trips(bigtiff):
    reader, slide = open_file(slide_file(LARGE, "aperio", "libtiff", bigtiff))
    read_middle(slide)
    assert len(reader.rounds) == 3
    assert len(slide.info.stored_levels) == 4


@pytest.mark.parametrize(
    ("size", "kind", "layout", "expected"),
    [
        # The IFD before those at the file's end is looked for along with the second.
        (MEDIUM, "aperio", "tifffile", 3),
        # Of level 0 the place of the tile takes one more where its list is long and not at hand.
        (LARGE, "aperio", "tifffile", 5),
        (LARGE, "aperio", "ifd_first", 4),
        # Levels too large for the tail: the chain is walked from both ends.
        (SMALL, "halved", "libtiff", 4),
        (LARGE, "halved", "libtiff", 5),
        # Here only the IFD before tells where the next one lies.
        (SMALL, "halved", "tifffile", 5),
        (LARGE, "halved", "tifffile", 7),
        (SMALL, "halved", "ifd_first", 2),
    ],
)
def test_other_layouts_take_no_more_round_trips_than_they_must(size, kind, layout, expected):
    reader, slide = open_file(slide_file(size, kind, layout, bigtiff=False))
    read_middle(slide)
    assert len(reader.rounds) == expected
    assert reader.bytes_read < 8_000_000


@pytest.mark.parametrize("layout", ["libtiff", "tifffile"])
def test_what_is_learned_from_slides_saves_bytes_and_costs_no_round_trip(layout):
    file, reach = slide_file(SMALL, "aperio", layout, bigtiff=False), Reach()
    for _ in range(9):
        reader = CountingReader(file, reach.head_bytes, reach.tail_bytes)
        read_middle(open_slide(reader, Limits(), reach))
        assert len(reader.rounds) == 3
    assert sum(length for _, length in reader.rounds[0]) < 2_000_000


def test_of_slides_with_everything_in_front_no_end_is_read():
    file, reach = slide_file(SMALL, "aperio", "ifd_first", bigtiff=True), Reach()
    for _ in range(9):
        reader = CountingReader(file, reach.head_bytes, reach.tail_bytes)
        read_middle(open_slide(reader, Limits(), reach))
    assert reach.tail_bytes == 0
    assert len(reader.rounds) == 2


def test_an_open_slide_holds_no_bytes_of_the_file():
    reader, _ = open_file(slide_file(SMALL, "aperio", "libtiff", bigtiff=False))
    assert reader.known == ()


@pytest.mark.parametrize("layout", ["libtiff", "ifd_first"])
def test_a_hundred_open_slides_fit_into_memory(layout):
    _, slide = open_file(slide_file(LARGE, "aperio", layout, bigtiff=True))
    for level in slide.info.stored_levels:
        for row in range(level.grid.rows):
            slide.read_tiles([TileAddress(level.index, 0, row)])
    assert sum(level.table.nbytes for level in slide.levels) < 900_000


def test_of_a_long_list_of_tiles_only_the_part_is_read_that_is_needed():
    reader, slide = open_file(slide_file(LARGE, "aperio", "ifd_first", bigtiff=False))
    revision = slide.index_revision
    reader.rounds.clear()
    slide.read_tiles([TileAddress(0, 200, 150), TileAddress(0, 201, 150)])
    places, tiles = reader.rounds
    assert [length for _, length in places] == [4 * CHUNK_TILES] * 2
    assert slide.index_revision == revision + 1
    slide.read_tiles([TileAddress(0, 210, 150)])
    assert len(reader.rounds) == 3


def test_chunks_of_many_tiles_come_in_one_round_trip():
    reader, slide = open_file(slide_file(LARGE, "aperio", "ifd_first", bigtiff=False))
    reader.rounds.clear()
    slide.read_tiles([TileAddress(0, 0, row) for row in range(0, 300, 50)])
    assert len(reader.rounds) == 2


def test_threads_that_need_the_same_part_read_it_once():
    reader, slide = open_file(slide_file(LARGE, "aperio", "ifd_first", bigtiff=False))
    reader.rounds.clear()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda col: slide.read_tiles([TileAddress(0, col, 7)]), range(64)))
    assert sum(length == 4 * CHUNK_TILES for some in reader.rounds for _, length in some) == 2
    assert len(reader.rounds) == 65


def test_pixels_that_look_like_a_directory_do_no_harm():
    file = slide_file(SMALL, "halved", "libtiff", bigtiff=False)
    fake = bytes.fromhex("02000001030001000000000100001101040001000000fffffffe00000000")
    place = file.size - TAIL + 5000
    assert not any(start <= place < start + len(it) for start, it in file.pieces)
    reader, slide = open_file(SparseFile(file.size, (*file.pieces, (place, fake))))
    assert len(slide.info.stored_levels) == 9
    # As many as it takes from the front alone.
    assert len(reader.rounds) == 4
