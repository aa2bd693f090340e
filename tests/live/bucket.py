"""What lies in the bucket of the live tests: painted slides under plain and odd names, and more."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.slides import (
    DEFLATE,
    EVERYWHERE,
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    LZW,
    NONE,
    WEBP,
    ZSTD,
    Jpeg,
    Page,
    Painted,
    Tag,
    flat,
    gradient,
    make_pyramid,
    make_svs,
    shown,
    write_tiff,
)
from tests.slides.page import BLACK_IS_ZERO, RGB, SHORT, STRAIGHT, YCBCR

BUCKET = "slides"
# The slides of the server lie below this; what lies beside it must stay out of reach.
PREFIX = "lab"
OUTSIDE = ("outside.svs", "lab-2/secret.svs", "labsecret.svs", "lab.svs", "LAB/secret.svs")

# Colour names of odd keys begin with a different colour each, so that mix-ups show.
ODD_KEYS = (
    "with space.svs",
    " leading.svs",
    "plus+sign.svs",
    "colon:1:2.svs",
    "hash#1.svs",
    "question?.svs",
    "question?quality=0.svs",
    "quote'and\".svs",
    "umläut-Größe.svs",
    "100%.svs",
    "percent%2Fslash.svs",
    "percent%20space.svs",
    "amp&equals=.svs",
    "semi;colon.svs",
    "comma,at@.svs",
    "<b>tag</b>.svs",
    "[brackets].svs",
    "tilde~.svs",
    "dots..inside.svs",
    ".hidden.svs",
    "emoji-\U0001f52c.svs",
    "漢字/スライド.tif",
    "UPPER.SVS",
    "Mixed.TiFF",
    "folder/sub folder/deep.tif",
    "looks/0/0/like-a-tile.svs",
    "slides/tiles/view.svs",
    "folder.svs/inside.svs",
    "a.svs/dzi.svs",
    "x_files.svs",
)
NOT_SLIDES = (
    "notes.txt",
    "README",
    "scan.svs.bak",
    "photo.jpg",
    "page.html",
    "svs",
    "scan.svs/notes.txt",
    "archive.tif.gz",
)
NEEDLES = 55


@dataclass(frozen=True)
class Bucket:
    """The slides of the server by their id: those with known pictures, and all ids."""

    client: Any
    painted: Mapping[str, Painted]
    odd_colors: Mapping[str, tuple[int, int, int]]
    ids: tuple[str, ...]

    def put(self, slide_id: str, data: bytes) -> None:
        """Store an object below the server's prefix."""
        self.client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{slide_id}", Body=data)

    def delete(self, slide_id: str) -> None:
        """Remove an object below the server's prefix."""
        self.client.delete_object(Bucket=BUCKET, Key=f"{PREFIX}/{slide_id}")


COLOR = gradient(900, 700)
ALPHA = np.dstack([COLOR, np.linspace(0, 255, 900).astype(np.uint8)[None].repeat(700, 0)])
GREY_16 = (COLOR[..., 0].astype(np.uint16) * 257)[:512, :768]
SLIDES: dict[str, Callable[[Path], Painted]] = {
    "plain.svs": lambda path: make_svs(path, downsamples=(1, 4, 16), photometric=YCBCR),
    "rgb.svs": lambda path: make_svs(path, downsamples=(1, 4), photometric=RGB),
    "rgb-420.svs": lambda path: make_svs(
        path, photometric=RGB, jpeg=Jpeg(subsampling="420"), layout="ifd_first"
    ),
    "tiles-of-240.svs": lambda path: make_svs(path, tile=(240, 240), photometric=YCBCR),
    "jpeg2000-33003.svs": lambda path: make_svs(
        path, COLOR, compression=JPEG2000_YCBCR, jpeg2000_subsampled=True, photometric=YCBCR
    ),
    "jpeg2000-33005.svs": lambda path: make_svs(path, COLOR, compression=JPEG2000_RGB),
    "pyramid.tif": lambda path: make_pyramid(
        path,
        gradient(1100, 801),
        downsamples=(1, 2, 4, 8),
        resolution=((40_000, 1), 3),
        description="painted",
    ),
    "big.tiff": lambda path: make_pyramid(path, COLOR, bigtiff=True, layout="ifd_first"),
    "motorola.tif": lambda path: make_pyramid(path, COLOR, big_endian=True),
    "sparse.tif": lambda path: make_pyramid(path, COLOR, sparse={(1, 0), (3, 2)}),
    "webp.tif": lambda path: make_pyramid(path, COLOR, compression=WEBP, photometric=RGB),
    "zstd.tif": lambda path: make_pyramid(
        path, COLOR, compression=ZSTD, predictor=2, photometric=RGB, tile=(128, 128)
    ),
    "planar.tif": lambda path: make_pyramid(
        path, COLOR, compression=LZW, planar=True, photometric=RGB
    ),
    "alpha.tif": lambda path: make_pyramid(
        path, ALPHA, compression=DEFLATE, extra_samples=(STRAIGHT,), photometric=RGB
    ),
    "grey16.tif": lambda path: make_pyramid(
        path, GREY_16, compression=DEFLATE, photometric=BLACK_IS_ZERO
    ),
    "flat.tif": lambda path: make_pyramid(
        path, COLOR, downsamples=(1,), compression=DEFLATE, photometric=RGB
    ),
    "strips.tif": lambda path: _write_strips(path),
    "tiny.tif": lambda path: make_pyramid(path, gradient(40, 30), downsamples=(1,)),
}


def _write_strips(path: Path) -> Painted:
    page = Page(COLOR, tile=None, rows_per_strip=8, compression=LZW, predictor=2)
    write_tiff(path, [page])
    return Painted(path, (shown(page),), (256, 256))


def _write_broken(folder: Path) -> dict[str, bytes]:
    """Return objects that are named like slides, and why each cannot be served."""
    huge = Page(flat(20_000, 6_000, (0, 0, 0)), tile=(4096, 4096), sparse=EVERYWHERE)
    write_tiff(folder / "huge", [huge])
    lies = {259: Tag(SHORT, (34925,))}
    write_tiff(folder / "lzma", [Page(COLOR, compression=NONE, overrides=lies)])
    # Not JPEG at all, and JPEG that ends in the middle.
    bad = {(1, 0): b"no JPEG" * 50, (1, 1): b"\xff\xd8\xff\xdb"}
    make_svs(folder / "bad", COLOR, tile_data=bad, downsamples=(1,))
    return {
        "broken/one-bad-tile.svs": (folder / "bad").read_bytes(),
        "broken/huge-and-flat.tif": (folder / "huge").read_bytes(),
        "broken/lzma.tif": (folder / "lzma").read_bytes(),
        "broken/text.svs": b"This is no slide, whatever its name says.\n" * 3,
        "broken/empty.svs": b"",
        "broken/cut-off.svs": b"II*\0",
    }


def fill(client: Any, folder: Path) -> Bucket:
    """Write the slides into `folder`, put them into the bucket and say what is where."""
    painted = {name: make(folder / name) for name, make in SLIDES.items()}
    colors = {name: (10 + 8 * i, 245 - 7 * i, 30 + i) for i, name in enumerate(ODD_KEYS)}
    objects = {name: slide.path.read_bytes() for name, slide in painted.items()}
    for name, color in colors.items():
        make_svs(folder / "odd.svs", flat(96, 64, color), downsamples=(1,), associated=())
        objects[name] = (folder / "odd.svs").read_bytes()
    objects |= _write_broken(folder)
    objects |= {f"many/Needle-{i:03}.svs": objects["tiny.tif"] for i in range(NEEDLES)}
    ids = tuple(sorted(objects, key=str.encode))
    objects |= {name: b"not a slide" for name in NOT_SLIDES}
    objects |= {f"many/hay-{i:03}.txt": b"hay" for i in range(4 * NEEDLES)}
    everything = {f"{PREFIX}/{name}": data for name, data in objects.items()}
    everything |= {name: objects["tiny.tif"] for name in OUTSIDE}

    def put(key: str) -> None:
        client.put_object(Bucket=BUCKET, Key=key, Body=everything[key])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, everything))
    return Bucket(client, painted, colors, ids)
