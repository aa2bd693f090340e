"""A slide that was open before opens again without a request, and nobody can make it lie."""

import json
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import slides
from tests.formats.test_round_trips import LARGE, CountingReader, slide_file
from tests.slides import EVERYWHERE, gradient, make_pyramid, make_svs
from tests.slides.page import PALETTE, RGB
from wsi_streamer.formats import open_slide, restore_slide
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.tiff.slide_index import MAGIC
from wsi_streamer.model.tile import TileAddress
from wsi_streamer.storage.local import LocalStorage

COLORS = gradient(16, 16).reshape(256, 3)
KINDS = {
    "svs": lambda path: make_svs(path),
    "pyramid": lambda path: make_pyramid(path, tile=(64, 48)),
    "bigtiff": lambda path: make_pyramid(path, bigtiff=True, big_endian=True),
    "strips": lambda path: make_pyramid(
        path, compression=slides.NONE, photometric=RGB, tile=None, downsamples=(1,)
    ),
    "planar": lambda path: make_pyramid(
        path, compression=slides.LZW, photometric=RGB, planar=True, predictor=2
    ),
    "sparse": lambda path: make_pyramid(path, sparse=EVERYWHERE),
    "palette": lambda path: make_pyramid(
        path,
        gradient(300, 200)[..., 0],
        compression=slides.LZW,
        photometric=PALETTE,
        palette=COLORS,
    ),
}


class SilentReader:
    """A reader of a known version that must not be asked for anything."""

    def __init__(self, size, version="v1"):
        self.size, self.version, self.is_closed = size, version, False

    def read(self, offset, length):
        raise AssertionError("a request was made")

    def read_many(self, ranges):
        raise AssertionError("a request was made")

    def close(self):
        self.is_closed = True


def every_tile(slide):
    return [
        TileAddress(level.index, col, row)
        for level in slide.info.stored_levels
        for row in range(level.stored_grid.rows)
        for col in range(level.stored_grid.columns)
    ]


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_restored_slide_serves_the_same(tmp_path, open_file, make):
    path = make(tmp_path / "slide.tif").path
    slide = open_file(path)
    reader = LocalStorage(tmp_path).open(path.name)
    restored = restore_slide(reader, slide.to_index(), Limits())
    assert restored.info == slide.info
    # Documents are made in this order, and their ETags of it.
    assert list(restored.info.properties) == list(slide.info.properties)
    # Metadata must not change their order, on which ETags depend.
    assert list(restored.info.properties) == list(slide.info.properties)
    assert restored.version == slide.version
    assert restored.index_revision == slide.index_revision
    tiles = every_tile(slide)
    assert restored.read_tiles(tiles) == slide.read_tiles(tiles)
    for tile in tiles:
        assert restored.run_around(tile, 50_000) == slide.run_around(tile, 50_000)
    assert restored.to_index() == slide.to_index()
    restored.close()


def test_a_known_slide_is_ready_without_a_request_and_its_tile_takes_one():
    file = slide_file(LARGE, "aperio", "ifd_first", bigtiff=False)
    slide = open_slide(CountingReader(file), Limits())
    address = TileAddress(0, 200, 150)
    before = slide.to_index()
    slide.read_tiles([address])
    after = slide.to_index()
    restore_slide(SilentReader(file.size), before, Limits())
    assert len(after) > len(before)

    reader = CountingReader(file, head=0, tail=0)
    reader.rounds.clear()
    restored = restore_slide(reader, after, Limits())
    assert restored.read_tiles([address]) == slide.read_tiles([address])
    assert len(reader.rounds) == 1
    restored.read_tiles([TileAddress(0, 0, 0)])
    assert restored.index_revision == slide.index_revision + 1


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Bytes of an index, and the size of its file."""
    path = make_svs(tmp_path_factory.mktemp("index") / "slide.svs").path
    slide = open_slide(LocalStorage(path.parent).open(path.name), Limits())
    slide.close()
    header, arrays = split(slide.to_index())
    return join(header | {"version": "v1"}, arrays), header["size"]


def split(data):
    payload = zlib.decompress(data[len(MAGIC) :])
    end = 4 + struct.unpack_from("<I", payload)[0]
    return json.loads(payload[4:end]), payload[end:]


def join(header, arrays):
    text = json.dumps(header, sort_keys=True).encode()
    return MAGIC + zlib.compress(struct.pack("<I", len(text)) + text + arrays, 1)


def restore(data, size, **limits):
    return restore_slide(SilentReader(size), data, Limits(**limits))


@pytest.mark.parametrize("reader", [SilentReader(1), SilentReader(0)])
def test_an_index_of_another_version_is_refused(index, reader):
    data, size = index
    restore(data, size)
    with pytest.raises(ValueError, match="version"):
        restore_slide(reader, data, Limits())
    with pytest.raises(ValueError, match="version"):
        restore_slide(SilentReader(size, "v2"), data, Limits())


@pytest.mark.parametrize(
    "limits",
    [{"max_tiles": 31}, {"max_tile_side": 255}, {"flat_max_pixels": 1000}],
    ids=lambda limits: next(iter(limits)),
)
def test_an_index_counts_only_within_the_limits_of_now(index, limits):
    with pytest.raises(ValueError, match="WSI_"):
        restore(*index, **limits)


def change(header, path, value):
    *parents, last = path
    for step in parents:
        header = header[step]
    header[last] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["levels"], []),
        (["levels"], None),
        (["levels", 0], [1]),
        (["levels", 0, "width"], 10**12),
        (["levels", 0, "width"], 1500.0),
        (["levels", 0, "width"], True),
        (["levels", 0, "tile_width"], 0),
        (["levels", 0, "tile_width"], 1),
        (["levels", 1, "width"], 300),
        (["levels", 0, "is_stripped"], True),
        (["levels", 0, "layout", "codec"], "pickle"),
        (["levels", 0, "layout", "photometric"], 5),
        (["levels", 0, "layout", "samples"], 1),
        (["levels", 0, "layout", "bits"], 12),
        (["levels", 0, "layout", "jpeg_tables"], "xy"),
        (["levels", 0, "layout", "palette"], "00"),
        (["levels", 0, "columns"], [{"kind": "<u4", "offset": 8}]),
        (["levels", 0, "columns", 0, "offset"], 10**9),
        (["levels", 0, "columns", 0, "offset"], -1),
        (["levels", 0, "columns", 0, "kind"], "|O8"),
        (["levels", 0, "chunks"], []),
        (["levels", 0, "chunks", 0, 0], 1),
        (["levels", 0, "chunks", 0, 1], -1),
        (["levels", 0, "chunks", 0, 2], "<u8"),
        (["levels", 0, "chunks", 0, 3], "O"),
        (["properties"], {"a": 1}),
        (["properties"], {"a": "\ud800"}),
        (["associated_images"], [1]),
        (["associated_images"], "label"),
        (["mpp_x"], float("nan")),
        (["mpp_x"], 10**400),
        (["mpp_y"], -1),
        (["objective_power"], "20"),
        (["format"], None),
        (["vendor"], 3),
    ],
)
def test_what_makes_no_sense_is_refused(index, path, value):
    data, size = index
    header, arrays = split(data)
    change(header, path, value)
    with pytest.raises(ValueError, match="not an index"):
        restore(join(header, arrays), size)


def test_an_index_that_does_not_tell_where_tiles_lie_is_refused(index):
    data, size = index
    header, arrays = split(data)
    for level in header["levels"]:
        level["chunks"] = []
    assert restore(join(header, b""), size).index_revision == 0
    header["levels"][1]["columns"] = []
    with pytest.raises(ValueError, match="nothing tells"):
        restore(join(header, b""), size)
    with pytest.raises(ValueError, match="too many"):
        restore(join(header | {"levels": header["levels"][:1]}, arrays), size)


def test_a_bomb_is_not_unpacked(index):
    _, size = index
    bomb = MAGIC + zlib.compress(bytes(30_000_000), 1)
    with pytest.raises(ValueError, match="too long"):
        restore(bomb, size, max_tiles=1000)
    nested = b"[" * 500_000
    with pytest.raises(ValueError, match="not an index"):
        restore(MAGIC + zlib.compress(struct.pack("<I", len(nested)) + nested), size)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_bytes_are_refused_or_harmless(index, data):
    good, size = index
    payload = bytearray(zlib.decompress(good[len(MAGIC) :]))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    payload = payload[:cut] if data.draw(st.booleans()) else payload
    try:
        slide = restore(MAGIC + zlib.compress(bytes(payload), 1), size)
    except ValueError:
        return
    assert slide.info.levels


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data):
    for it in (data, MAGIC + data, MAGIC + zlib.compress(data)):
        with pytest.raises(ValueError, match="not an index"):
            restore(it, 1000)
