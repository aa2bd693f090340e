"""RunStore: what one worker read ahead is there, and right, for all others."""

import struct
import time

import pytest

from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Codec, EncodedTile, Photometric, PixelLayout, TileAddress
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.run_name import RunName
from wsi_streamer.service.run_store import COUNT, RunStore, pack, unpack
from wsi_streamer.service.tile_store import TileStore

LAYOUT = PixelLayout(Codec.JPEG, Photometric.YCBCR)
TILE = Size(256, 256)
RUN = RunName(level=1, col=2, row=3, max_bytes=200_000)


class FakeSlide:
    """Makes tiles of bytes."""

    def make_tile(self, address, parts):
        return EncodedTile(parts, LAYOUT, TILE, TILE)


@pytest.fixture
def opened():
    keys = SlideKeys("s3://bucket", "a.svs", "1")
    return OpenedSlide("a.svs", FakeSlide(), keys, reads_verify=True, clock=time.monotonic)


def tiles_of(*parts):
    """Return tiles of a row, each of these parts."""
    return {
        TileAddress(1, 16 + number, 3): EncodedTile(it, LAYOUT, TILE, TILE)
        for number, it in enumerate(parts)
    }


# One part, none (left out of the file), one for each sample, an empty one.
TILES = tiles_of((b"first",), (), (b"red", b"green", b"blue"), (b"",), (b"last",))


def test_each_tile_of_a_run_comes_back_in_its_place(opened, store, writer):
    RunStore(store, writer).keep(opened, RUN, TILES, None)
    assert RunStore(store, writer).find(opened, RUN) == TILES


@pytest.mark.parametrize(
    "other",
    [
        RunName(0, 2, 3, 200_000),
        RunName(1, 3, 3, 200_000),
        RunName(1, 2, 4, 200_000),
        RunName(1, 2, 3, 100_000),
    ],
)
def test_another_run_is_never_taken_for_this_one(opened, store, writer, other):
    runs = RunStore(store, writer)
    runs.keep(opened, RUN, TILES, None)
    assert runs.find(opened, other) is None


def test_a_replaced_slide_gets_no_run_of_the_one_before(opened, store, writer):
    runs = RunStore(store, writer)
    runs.keep(opened, RUN, TILES, None)
    opened.keys = SlideKeys("s3://bucket", "a.svs", "2")
    assert runs.find(opened, RUN) is None


@pytest.mark.parametrize("max_bytes", [10_000_000, 1_000, 0])
def test_who_waits_for_a_run_goes_on_whether_it_fits_into_the_store_or_not(
    tmp_path, opened, make_writer, max_bytes
):
    store = TileStore(tmp_path / "other", max_bytes)
    writer, released = make_writer(store), []
    RunStore(store, writer).keep(opened, RUN, tiles_of((bytes(1000),)), lambda: released.append(1))
    assert writer.flush(10)
    assert released == [1]
    store.close()


@pytest.mark.parametrize(("max_bytes", "takes"), [(10_000_000, True), (1_000, False), (0, False)])
def test_it_is_known_what_the_store_has_no_room_for(tmp_path, make_writer, max_bytes, takes):
    store = TileStore(tmp_path / "other", max_bytes)
    assert RunStore(store, make_writer(store)).takes(tiles_of((bytes(1000),))) is takes
    store.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda it: it[:-1],
        lambda it: it + b"?",
        lambda it: it[:10],
        lambda it: b"",
        lambda it: COUNT.pack(2**32 - 1) + it[4:],
        lambda it: it[:12] + b"\xff" + it[13:],
        lambda it: it[:13] + COUNT.pack(2**32 - 1) + it[17:],
    ],
)
def test_an_entry_that_lies_about_itself_is_no_run(opened, store, writer, damage):
    damaged = damage(pack(TILES))
    with pytest.raises((ValueError, struct.error)):
        unpack(damaged, opened, 1)
    runs = RunStore(store, writer)
    store.put(runs.key(opened, RUN), damaged)
    assert runs.find(opened, RUN) is None
