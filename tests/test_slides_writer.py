"""The painted slides against OpenSlide and tifffile: what others read is what was painted."""

from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from tests.slides import (
    DEFLATE,
    JPEG,
    JPEG2000,
    JPEG2000_RGB,
    JPEG2000_YCBCR,
    LZW,
    NONE,
    OLD_DEFLATE,
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
    write_tiff,
)
from tests.slides.page import (
    BLACK_IS_ZERO,
    LONG,
    PREMULTIPLIED,
    RGB,
    STRAIGHT,
    WHITE_IS_ZERO,
    YCBCR,
)

EXACT, CLOSE = 0.0, 2.0
COLOR = gradient(300, 200)
GREY = COLOR[..., 0]
RGBA = np.dstack([COLOR, np.maximum(GREY, 40)])
COLOR_16 = COLOR.astype(np.uint16) * 257 + 100
# Libtiff shifts the last tile of each row of 16-bit grey if it is padded: so it is not.
GREY_16 = COLOR_16[:192, :256, 0]
FIVE_SAMPLES = np.dstack([COLOR, GREY, GREY])

LOSSLESS: dict[str, dict[str, Any]] = {
    "none": {"compression": NONE},
    "lzw": {"compression": LZW, "predictor": 2},
    "deflate": {"compression": DEFLATE},
    "old deflate": {"compression": OLD_DEFLATE, "predictor": 2},
    "zstd": {"compression": ZSTD},
    "planar": {"compression": LZW, "planar": True, "predictor": 2},
    "grey of 16 bits": {
        "compression": DEFLATE,
        "pixels": GREY_16,
        "photometric": BLACK_IS_ZERO,
    },
    "colour of 16 bits": {"compression": ZSTD, "pixels": COLOR_16, "predictor": 2},
    "white is zero": {"compression": NONE, "pixels": GREY, "photometric": WHITE_IS_ZERO},
    "alpha": {"compression": ZSTD, "pixels": RGBA, "extra_samples": (STRAIGHT,)},
    "premultiplied": {
        "compression": NONE,
        "pixels": np.minimum(RGBA, RGBA[..., 3:]),
        "extra_samples": (PREMULTIPLIED,),
    },
    "sparse": {"compression": NONE, "sparse": {(0, 0), (1, 1)}},
}
LOSSY: dict[str, dict[str, Any]] = {
    "ycbcr": {"photometric": YCBCR},
    "ycbcr 4:2:0": {"photometric": YCBCR, "jpeg": Jpeg(subsampling="420")},
    "ycbcr 4:2:2 with own tables": {
        "photometric": YCBCR,
        "jpeg": Jpeg(subsampling="422", shared_tables=False),
    },
    "rgb": {"photometric": RGB},
    "rgb by name": {"photometric": RGB, "jpeg": Jpeg(component_ids=b"RGB")},
    "rgb with adobe marker": {"photometric": RGB, "jpeg": Jpeg(adobe=0, shared_tables=False)},
    "grey": {"pixels": GREY, "photometric": BLACK_IS_ZERO},
    "planar jpeg": {"photometric": RGB, "planar": True},
}
# OpenSlide opens no classic TIFF of the other byte order: see the test with tifffile.
FILES: tuple[dict[str, Any], ...] = (
    {},
    {"bigtiff": True, "layout": "ifd_first"},
    {"big_endian": True, "bigtiff": True},
)


def make(path: Path, options: dict[str, Any], **more: Any) -> Painted:
    options = {"pixels": COLOR, "photometric": RGB, "tile": (64, 48), **options, **more}
    return make_pyramid(path, options.pop("pixels"), downsamples=(1, 2), **options)


def seen_by_openslide(path: Path, level: int) -> np.ndarray:
    """Return a level on white."""
    with openslide.OpenSlide(path) as slide:
        pixels = slide.read_region((0, 0), level, slide.level_dimensions[level])
    ground = Image.new("RGBA", pixels.size, "white")
    ground.alpha_composite(pixels)
    return np.asarray(ground.convert("RGB"))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize("file", FILES, ids=str)
@pytest.mark.parametrize("name", LOSSLESS)
def test_openslide_sees_lossless_pixels_as_painted(
    name: str, file: dict[str, Any], tmp_path: Path
) -> None:
    slide = make(tmp_path / "a.tiff", LOSSLESS[name], **file)
    # openslide-python turns premultiplied colours back, which loses a grey level here and there.
    bound = 0.6 if "alpha" in name or name == "premultiplied" else EXACT
    for level, painted in enumerate(slide.levels):
        assert difference(seen_by_openslide(slide.path, level), painted) <= bound


@pytest.mark.parametrize("file", FILES, ids=str)
@pytest.mark.parametrize("name", LOSSY)
def test_openslide_sees_jpeg_as_painted(name: str, file: dict[str, Any], tmp_path: Path) -> None:
    slide = make(tmp_path / "a.tiff", LOSSY[name], **file)
    for level, painted in enumerate(slide.levels):
        assert difference(seen_by_openslide(slide.path, level), painted) <= CLOSE


@pytest.mark.parametrize(
    "options",
    [
        {"compression": JPEG2000_RGB},
        {"compression": JPEG2000_YCBCR},
        {"compression": JPEG2000_YCBCR, "jpeg2000_subsampled": True},
    ],
    ids=str,
)
def test_openslide_sees_jpeg_2000_as_painted(options: dict[str, Any], tmp_path: Path) -> None:
    slide = make_svs(tmp_path / "a.svs", COLOR, downsamples=(1, 2), tile=(64, 64), **options)
    for level, painted in enumerate(slide.levels):
        assert difference(seen_by_openslide(slide.path, level), painted) <= CLOSE


@pytest.mark.parametrize("compression", [WEBP, JPEG2000])
def test_tifffile_sees_what_openslide_does_not_read(compression: int, tmp_path: Path) -> None:
    slide = make(tmp_path / "a.tiff", {"compression": compression})
    assert difference(tifffile.imread(slide.path), COLOR) == EXACT


@pytest.mark.parametrize("name", ["none", "lzw", "planar", "grey of 16 bits", "colour of 16 bits"])
def test_tifffile_sees_big_endian_files_as_painted(name: str, tmp_path: Path) -> None:
    options = LOSSLESS[name]
    slide = make(tmp_path / "a.tiff", options, big_endian=True)
    seen = tifffile.imread(slide.path)
    seen = np.moveaxis(seen, 0, -1) if options.get("planar") else seen
    assert slide.path.read_bytes()[:4] == b"MM\0*"
    assert difference(seen, options.get("pixels", COLOR)) == EXACT


def test_tifffile_sees_samples_that_no_viewer_shows(tmp_path: Path) -> None:
    page = Page(FIVE_SAMPLES, compression=LZW, tile=(64, 64), extra_samples=(0, 0))
    write_tiff(tmp_path / "a.tiff", [page])
    assert difference(tifffile.imread(tmp_path / "a.tiff"), FIVE_SAMPLES) == EXACT


def test_openslide_knows_an_aperio_slide_by_its_parts(tmp_path: Path) -> None:
    painted = make_svs(tmp_path / "a.svs", downsamples=(1, 4, 16), tile=(240, 240))
    with openslide.OpenSlide(painted.path) as slide:
        assert slide.properties["openslide.vendor"] == "aperio"
        assert slide.properties["openslide.mpp-x"] == "0.499"
        assert slide.properties["openslide.objective-power"] == "20"
        assert slide.level_dimensions == ((1500, 1100), (375, 275), (93, 68))
        for name, pixels in painted.associated.items():
            seen = np.asarray(slide.associated_images[name].convert("RGB"))
            assert difference(seen, pixels) <= CLOSE
    for level, pixels in enumerate(painted.levels):
        assert difference(seen_by_openslide(painted.path, level), pixels) <= CLOSE


def test_libtiff_layout_puts_each_ifd_behind_its_tiles(tmp_path: Path) -> None:
    pages = [Page(COLOR, tile=(64, 64))] * 2
    for layout, order in (("libtiff", [True, True]), ("ifd_first", [False, False])):
        write_tiff(tmp_path / "a.tiff", pages, layout=layout)
        with tifffile.TiffFile(tmp_path / "a.tiff") as tif:
            assert [it.offset > max(it.dataoffsets) for it in tif.pages] == order


def test_jpeg_tiles_need_the_shared_tables(tmp_path: Path) -> None:
    make(tmp_path / "a.tiff", LOSSY["rgb"])
    with tifffile.TiffFile(tmp_path / "a.tiff") as tif:
        assert tif.pages[0].tags[347].value.startswith(b"\xff\xd8\xff\xdb")
        offset, length = tif.pages[0].dataoffsets[0], tif.pages[0].databytecounts[0]
    tile = (tmp_path / "a.tiff").read_bytes()[offset : offset + length]
    assert tile.startswith(b"\xff\xd8\xff\xc0")
    assert b"\xff\xdb" not in tile
    assert b"Adobe" not in tile


def test_a_huge_sparse_image_takes_no_room(tmp_path: Path) -> None:
    huge = flat(200_000, 100_000, (255, 255, 255))
    everything = {(col, row) for col in range(49) for row in range(25)}
    write_tiff(tmp_path / "a.tiff", [Page(huge, tile=(4096, 4096), sparse=everything)])
    assert (tmp_path / "a.tiff").stat().st_size < 20_000


def test_overrides_make_a_file_lie(tmp_path: Path) -> None:
    lies = {256: Tag(LONG, (9,)), 257: None, 325: Tag(LONG, (5,), count=1_000_000)}
    write_tiff(tmp_path / "a.tiff", [Page(COLOR, overrides=lies, next_page=0)])
    data = (tmp_path / "a.tiff").read_bytes()
    ifd = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[ifd : ifd + 2], "little")
    entries = [data[ifd + 2 + 12 * i : ifd + 14 + 12 * i] for i in range(count)]
    tags = {int.from_bytes(entry[:2], "little"): entry for entry in entries}
    assert int.from_bytes(tags[256][8:], "little") == 9
    assert 257 not in tags
    assert int.from_bytes(tags[325][4:8], "little") == 1_000_000
    assert data[ifd + 2 + 12 * count :][:4] == data[4:8]


def test_jpeg_in_the_wrong_colours_would_be_noticed(tmp_path: Path) -> None:
    pages = [Page(COLOR, photometric=RGB, overrides={262: Tag(3, (YCBCR,))})]
    write_tiff(tmp_path / "a.tiff", pages)
    assert pages[0].compression == JPEG
    assert difference(seen_by_openslide(tmp_path / "a.tiff", 0), COLOR) > 30
