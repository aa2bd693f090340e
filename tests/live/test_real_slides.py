"""Real slides: what we show is what OpenSlide, or where it cannot read them tifffile, shows."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.live.bucket import BUCKET
from tests.live.client import difference
from tests.live.reference import Reference, open_reference
from tests.live.servers import Server, start_server
from tests.s3_server import S3Server
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.model.slide import Level
from wsi_streamer.model.tile import Codec, TileAddress
from wsi_streamer.storage.local import LocalStorage

PREFIX = "real"
FOLDERS = ("svs", "generic-tiff")
# Why these are refused, as their answers begin.
REFUSED = {
    "generic-tiff/rgb.tiled.jpegxr.u1.tif": "Unsupported compression: JPEG XR",
    "generic-tiff/gray.tiled.f4.tif": "Unsupported pixels:",
}
LOSSY = (Codec.JPEG, Codec.JPEG2000)


@pytest.fixture(scope="module")
def names(s3: S3Server, real_slides: Path) -> list[str]:
    """Put the slides into the bucket; return their ids."""
    files = [path for folder in FOLDERS for path in sorted((real_slides / folder).iterdir())]
    client = s3.client()

    def put(path: Path) -> str:
        name = path.relative_to(real_slides).as_posix()
        client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{name}", Body=path.read_bytes())
        return name

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(put, files))


@pytest.fixture(scope="module")
def server(s3: S3Server, names: list[str]) -> Iterator[Server]:
    with start_server(f"s3://{BUCKET}/{PREFIX}", s3.environ()) as server:
        yield server


def some_tiles(columns: int, rows: int) -> list[tuple[int, int]]:
    """Return the corners, the middles of the edges and the middle of a grid."""
    cols = {0, columns // 2, columns - 1}
    return sorted((col, row) for col in cols for row in {0, rows // 2, rows - 1})


def compare(server: Server, name: str, reference: Reference) -> list[str]:
    """Return the tiles of stored levels that are not what the reference shows."""
    answer = server.ask(f"/slides/{quote(name)}")
    assert answer.status == 200, answer
    wrong = []
    levels = answer.json()["levels"]
    assert (levels[0]["width"], levels[0]["height"]) == reference.size
    for level in levels:
        size = (level["width"], level["height"])
        if not reference.has(size):
            continue
        tile = (level["tile_width"], level["tile_height"])
        for col, row in some_tiles(level["tiles_x"], level["tiles_y"]):
            target = f"/tiles/{quote(name)}/{level['level']}/{col}/{row}.jpg?quality=95"
            seen = server.ask(target).pixels()
            wanted = reference.tile(size, tile, (col, row))
            apart = difference(seen, wanted)
            if apart > 2.0:
                wrong.append(f"{target}: {apart:.2f} from {reference.name}")
    return wrong


def test_tiles_look_as_in_the_reference(
    server: Server, names: list[str], real_slides: Path
) -> None:
    wrong = []
    for name in names:
        if name not in REFUSED:
            with open_reference(real_slides / name) as reference:
                wrong += compare(server, name, reference)
    assert wrong == []


def test_slides_that_are_refused_say_why(server: Server, names: list[str]) -> None:
    seen = {name: server.ask(f"/slides/{quote(name)}") for name in names}
    refused = {name: answer for name, answer in seen.items() if answer.status != 200}
    assert sorted(refused) == sorted(REFUSED)
    for name, answer in refused.items():
        assert answer.error() == (415, "unsupported_format")
        assert answer.message.startswith(REFUSED[name])


def test_every_level_of_the_reference_is_offered(
    server: Server, names: list[str], real_slides: Path
) -> None:
    missing = []
    for name in names:
        if name in REFUSED:
            continue
        levels = server.ask(f"/slides/{quote(name)}").json()["levels"]
        offered = {(level["width"], level["height"]) for level in levels}
        with open_reference(real_slides / name) as reference:
            missing += [f"{name}: {it}" for it in reference.openslide_sizes if it not in offered]
    assert missing == []


def test_thumbnails_and_deepzoom_never_fail(server: Server, names: list[str]) -> None:
    wanted = [name for name in names if name not in REFUSED]
    targets = [f"/slides/{quote(name)}/{what}" for name in wanted for what in ("thumbnail", "dzi")]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(server.ask, targets))
    assert [answer for answer in answers if answer.status != 200] == []


def stored_tiles(level: Level) -> list[TileAddress]:
    grid = level.stored_grid
    if grid is None:
        return []
    return [TileAddress(level.index, *it) for it in some_tiles(grid.columns, grid.rows)]


def test_decoded_pixels_equal_the_reference(real_slides: Path) -> None:
    storage = LocalStorage(real_slides)
    wrong = []
    for folder in FOLDERS:
        for path in sorted((real_slides / folder).iterdir()):
            name = f"{folder}/{path.name}"
            if name in REFUSED:
                continue
            slide = open_slide(storage.open(name), Limits())
            with open_reference(path) as reference:
                for level in slide.info.stored_levels:
                    size = (level.size.width, level.size.height)
                    tile_size = level.stored_tile_size
                    if tile_size is None or not reference.has(size):
                        continue
                    for address in stored_tiles(level):
                        tile = slide.read_tiles([address])[0]
                        wanted = reference.tile(
                            size, (tile_size.width, tile_size.height), (address.col, address.row)
                        )
                        apart = difference(decode_tile(tile), wanted)
                        if apart > (1.0 if tile.layout.codec in LOSSY else 0.0):
                            wrong.append(f"{name} {address}: {apart:.3f} from {reference.name}")
            slide.close()
    assert wrong == []
