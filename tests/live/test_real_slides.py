"""Real slides: what we show is what OpenSlide, or where it cannot read them tifffile, shows."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from tests.live.bucket import BUCKET
from tests.live.client import difference
from tests.live.reference import Reference, open_reference
from tests.live.servers import Server, start_server
from tests.s3_server import S3Server
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.resample import reduce_by, resize
from wsi_streamer.imaging.source_jpeg import find_source_jpeg
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.slide import Level
from wsi_streamer.model.tile import Codec, EncodedTile, TileAddress
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


def tiles_of(real_slides: Path) -> Iterator[tuple[str, TileAddress, Size, EncodedTile]]:
    """Give some tiles of each level of each slide, with the size of their level."""
    storage = LocalStorage(real_slides)
    for path in (it for folder in FOLDERS for it in sorted((real_slides / folder).iterdir())):
        name = path.relative_to(real_slides).as_posix()
        if name in REFUSED:
            continue
        slide = open_slide(storage.open(name), Limits())
        for level in slide.info.stored_levels:
            addresses = stored_tiles(level)
            for address, tile in zip(addresses, slide.read_tiles(addresses), strict=True):
                yield name, address, level.size, tile
        slide.close()


def is_icon(tile: EncodedTile) -> bool:
    """Say whether a tile shows few pixels: sharp edges alone, which halved chroma smears."""
    return min(tile.visible.width, tile.visible.height) < 60 or tile.visible.pixels < 10_000


def test_what_the_scanner_wrote_is_what_the_reference_shows(real_slides: Path) -> None:
    seen, wrong = set(), []
    for name, address, size, tile in tiles_of(real_slides):
        source = find_source_jpeg(tile)
        if source is None:
            # small_la.tiff has grey with alpha.
            is_jpeg = tile.parts and tile.layout.codec is Codec.JPEG
            assert not is_jpeg or tile.layout.samples == 2, name
            continue
        with Image.open(io.BytesIO(source.data)) as image:
            shown = np.asarray(image.convert("RGB"))
        stored = tile.parts[0]
        scan = stored[stored.rindex(b"\xff\xda") : stored.rindex(b"\xff\xd9")]
        assert (scan in source.data) == source.is_source, f"{name} {address}"
        if is_icon(tile) and not source.is_source:
            continue
        with open_reference(real_slides / name) as reference:
            if not reference.has((size.width, size.height)):
                continue
            place = (tile.size.width, tile.size.height)
            wanted = reference.tile((size.width, size.height), place, (address.col, address.row))
        seen.add(name)
        apart = difference(shown, wanted)
        if apart > (0.0 if source.is_source else 1.0):
            wrong.append(f"{name} {address}: {apart:.3f} from {reference.name}")
    assert wrong == []
    assert len(seen) >= 8, seen


@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_smaller_scales_look_as_if_all_pixels_were_averaged(real_slides: Path, reduce: int) -> None:
    wrong = []
    for name, address, _, tile in tiles_of(real_slides):
        if is_icon(tile):
            continue
        pixels, size = decode_tile(tile), tile.visible
        averages = reduce_by(pixels, (1 << reduce, 1 << reduce))
        limit = 1.5
        if tile.layout.codec is Codec.JPEG2000:
            # A resolution of a wavelet is sharper than averages, as Lanczos is.
            small = Size(averages.shape[1], averages.shape[0])
            limit += difference(resize(pixels, small, sharp=True), averages)
        apart = difference(decode_tile(tile, reduce), averages)
        if apart > limit:
            wrong.append(f"{name} {address} of {size}: {apart:.3f}, more than {limit:.3f}")
    assert wrong == []
