"""The demo slide: what a user sees of it with any reader, and what is left when painting fails."""

import math
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openslide
import pytest
import tifffile

from wsi_streamer.demo import paint_demo
from wsi_streamer.errors import ConfigError, StorageError

SIZE = {"width": 2000, "height": 1500}
TILED, STRIPS = [0, 2, 3], [1, 4, 5]
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.svs"
    paint_demo(path, **SIZE, workers=1)
    return path


@pytest.fixture
def tiff(path: Path):
    with tifffile.TiffFile(path) as tiff:
        yield tiff


@pytest.fixture
def slide(path: Path):
    with openslide.OpenSlide(path) as slide:
        yield slide


def pixels_of(slide: openslide.OpenSlide, level: int) -> Pixels:
    image = slide.read_region((0, 0), level, slide.level_dimensions[level])
    return np.asarray(image.convert("RGB"))


def averaged(pixels: Pixels) -> npt.NDArray[np.float64]:
    height, width = pixels.shape[0] // 4, pixels.shape[1] // 4
    return pixels[: height * 4, : width * 4].reshape(height, 4, width, 4, 3).mean((1, 3))


# What a reader finds.


def test_openslide_takes_it_for_an_aperio_slide_with_three_levels(slide) -> None:
    assert slide.properties[openslide.PROPERTY_NAME_VENDOR] == "aperio"
    assert slide.level_dimensions == ((2000, 1500), (500, 375), (125, 93))


def test_the_scale_bar_and_the_magnification_are_known(slide) -> None:
    assert slide.properties[openslide.PROPERTY_NAME_MPP_X] == "0.499"
    assert slide.properties[openslide.PROPERTY_NAME_MPP_Y] == "0.499"
    assert slide.properties[openslide.PROPERTY_NAME_OBJECTIVE_POWER] == "20"


def test_thumbnail_label_and_macro_can_be_shown(slide) -> None:
    sizes = {name: image.size for name, image in slide.associated_images.items()}
    assert sizes == {"thumbnail": (1024, 768), "label": (387, 463), "macro": (1280, 431)}


def test_the_label_is_printed_dark_on_light(slide) -> None:
    label = np.asarray(slide.associated_images["label"].convert("L"))
    assert 0.08 < (label < 100).mean() < 0.4
    assert (label > 220).mean() > 0.5


def test_macro_and_thumbnail_show_the_same_tissue_as_the_slide(slide) -> None:
    thumbnail = slide.associated_images["thumbnail"].convert("RGB").resize((125, 93))
    assert np.abs(np.asarray(thumbnail) - pixels_of(slide, 2).astype(float)).mean() < 8
    macro = np.asarray(slide.associated_images["macro"].convert("RGB")).astype(float)
    is_pink = macro[..., 0] - macro[..., 1] > 30
    assert is_pink[:, 372:].any()
    assert not is_pink[:, :372].any()


def test_tifffile_reads_the_pages_in_the_order_of_aperio(tiff) -> None:
    shapes = [page.shape[:2] for page in tiff.pages]
    assert shapes == [(1500, 2000), (768, 1024), (375, 500), (93, 125), (463, 387), (431, 1280)]
    assert [page.is_tiled for page in tiff.pages] == [n in TILED for n in range(6)]
    assert [page.subfiletype for page in tiff.pages] == [0, 0, 0, 0, 1, 9]
    assert [page.compression.name for page in tiff.pages] == ["JPEG"] * 4 + ["LZW", "JPEG"]


def test_the_descriptions_are_in_the_style_of_aperio(tiff) -> None:
    second_lines = [page.description.splitlines()[1].split("|")[0] for page in tiff.pages]
    assert second_lines == [
        "2000x1500 [0,0 2000x1500] (256x256) JPEG/RGB Q=90",
        "2000x1500 [0,0 2000x1500] (256x256) -> 1024x768 - ",
        "2000x1500 [0,0 2000x1500] (256x256) -> 500x375 JPEG/RGB Q=90",
        "2000x1500 [0,0 2000x1500] (256x256) -> 125x93 JPEG/RGB Q=90",
        "label 387x463",
        "macro 1280x431",
    ]
    assert "|AppMag = 20|" in tiff.pages[0].description
    assert "|MPP = 0.4990|" in tiff.pages[0].description


def test_no_tile_is_missing(tiff) -> None:
    for number in TILED:
        page = tiff.pages[number]
        expected = math.prod(-(-side // 256) for side in page.shape[:2])
        assert len(page.databytecounts) == expected
        assert min(page.databytecounts) > 100
        assert min(page.dataoffsets) >= 16


def test_tiles_are_abbreviated_streams_that_share_their_tables(tiff) -> None:
    for number in TILED:
        page = tiff.pages[number]
        assert page.jpegtables.startswith(b"\xff\xd8\xff\xdb")
        assert (page.photometric.name, page.tags["YCbCrSubSampling"].value) == ("YCBCR", (2, 1))
        for index in range(len(page.dataoffsets)):
            assert jpeg_markers(stored(tiff, page, index)) == [0xC0, 0xDA]


def stored(tiff: tifffile.TiffFile, page: tifffile.TiffPage, index: int) -> bytes:
    tiff.filehandle.seek(page.dataoffsets[index])
    return tiff.filehandle.read(page.databytecounts[index])


def jpeg_markers(data: bytes) -> list[int]:
    """Return the markers of a JPEG stream up to its scan."""
    markers, at = [], 2
    while not markers or markers[-1] != 0xDA:
        marker, length = struct.unpack_from(">xBH", data, at)
        markers.append(marker)
        at += 2 + length
    return markers


def test_a_reader_has_to_look_for_each_ifd_behind_its_data_as_in_a_scanned_slide(tiff) -> None:
    previous_end = 16
    for page in tiff.pages:
        assert min(page.dataoffsets) >= previous_end
        ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        assert page.offset >= max(ends)
        out_of_line = [tag for tag in page.tags if tag.valuebytecount > 4]
        assert all(tag.valueoffset > page.offset for tag in out_of_line)
        previous_end = max(tag.valueoffset for tag in out_of_line)


# What a user sees.


def test_zooming_out_shows_the_same_tissue(slide) -> None:
    for level in (1, 2):
        above, here = pixels_of(slide, level - 1), pixels_of(slide, level)
        difference = averaged(above)[: len(here), : here.shape[1]] - here
        assert abs(difference.mean()) < 0.5
        # JPEG halves the resolution of colour, so brightness tells more.
        brightness = difference @ [0.299, 0.587, 0.114]
        assert np.abs(brightness).mean() < 2.5
        assert np.abs(brightness).max() < 30


def test_there_is_purple_and_pink_tissue_on_clear_glass(slide) -> None:
    red, green, blue = (pixels_of(slide, 0)[..., k].astype(int) for k in range(3))
    glass = (np.minimum(red, np.minimum(green, blue)) > 225).mean()
    nuclei = ((blue > red + 20) & (red < 130)).mean()
    stroma = ((red > blue) & (red > green + 40)).mean()
    assert 0.4 < glass < 0.8
    assert nuclei > 0.02
    assert stroma > 0.08


# What a user relies on.


def test_the_same_seed_gives_the_same_file_however_many_processes_paint(
    path: Path, tmp_path: Path
) -> None:
    paint_demo(tmp_path / "again.svs", **SIZE, workers=2)
    assert (tmp_path / "again.svs").read_bytes() == path.read_bytes()


def test_another_seed_gives_another_slide(path: Path, tmp_path: Path) -> None:
    paint_demo(tmp_path / "other.svs", **SIZE, workers=1, seed=8)
    with openslide.OpenSlide(path) as one, openslide.OpenSlide(tmp_path / "other.svs") as other:
        assert np.abs(pixels_of(one, 2).astype(int) - pixels_of(other, 2)).mean() > 3


def test_progress_grows_up_to_1(tmp_path: Path) -> None:
    heard: list[float] = []
    paint_demo(tmp_path / "demo.svs", **SIZE, workers=1, progress=heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1


def interrupt(done: float) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path: Path, workers: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        paint_demo(tmp_path / "demo.svs", **SIZE, workers=workers, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_keeps_the_slide_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "demo.svs").write_bytes(b"the slide of yesterday")
    with pytest.raises(KeyboardInterrupt):
        paint_demo(tmp_path / "demo.svs", **SIZE, workers=1, progress=interrupt)
    assert (tmp_path / "demo.svs").read_bytes() == b"the slide of yesterday"


def test_a_folder_that_is_not_there_yet_is_made(tmp_path: Path) -> None:
    paint_demo(tmp_path / "new" / "folder" / "demo.svs", width=300, height=256, workers=1)
    with openslide.OpenSlide(tmp_path / "new" / "folder" / "demo.svs") as slide:
        assert slide.dimensions == (300, 256)


def test_a_place_that_cannot_be_written_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*demo\.svs: (File|Not)"):
        paint_demo(tmp_path / "file" / "demo.svs", **SIZE, workers=1)


def test_a_slide_too_small_for_its_levels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 256 x 256"):
        paint_demo(tmp_path / "demo.svs", width=255, height=1500)
    assert list(tmp_path.iterdir()) == []
