"""Painting: a window looks the same whoever paints it, and no two places look alike."""

import numpy as np
import pytest

from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.demo.tissue import TissuePainter
from wsi_streamer.model.geometry import Region, Size

SLIDE = Size(24_000, 18_000)
# Mucosa, muscle, tumour, and lymph node with fat.
PLACES = {"mucosa": (6656, 12544), "muscle": (6144, 8192), "tumour": (20480, 4096)}
PLACES["node"] = (18432, 11776)


@pytest.fixture(scope="module")
def painter() -> TissuePainter:
    return TissuePainter(SLIDE, seed=7)


def painted(painter: TissuePainter, x: int, y: int, width: int, height: int) -> Bytes:
    window = Region(x, y, width, height)
    return painter.paint(window, painter.find_tissue(window))


@pytest.mark.parametrize("place", PLACES)
def test_neighbouring_windows_meet_without_a_seam(painter: TissuePainter, place: str) -> None:
    x, y = PLACES[place]
    whole = painted(painter, x, y, 512, 512)
    for dx in (0, 256):
        for dy in (0, 256):
            quarter = painted(painter, x + dx, y + dy, 256, 256)
            different = (quarter != whole[dy : dy + 256, dx : dx + 256]).any(axis=2).mean()
            assert different < 0.001, f"{different:.2%} of the pixels at {dx}, {dy}"


def test_another_process_paints_the_same_pixels(painter: TissuePainter) -> None:
    x, y = PLACES["tumour"]
    again = painted(TissuePainter(SLIDE, seed=7), x, y, 256, 256)
    np.testing.assert_array_equal(again, painted(painter, x, y, 256, 256))


def test_the_tissue_is_no_wallpaper(painter: TissuePainter) -> None:
    """Shifted by any multiple of the texture's period, the picture is another one."""
    x, y = PLACES["tumour"]
    here = painted(painter, x, y, 512, 512).astype(float)
    for shift in (512, 1024, 2048):
        there = painted(painter, x - shift, y, 512, 512).astype(float)
        alike = np.corrcoef(here[..., 0].ravel(), there[..., 0].ravel())[0, 1]
        assert alike < 0.25


def test_the_corners_of_the_slide_are_glass(painter: TissuePainter) -> None:
    for x in (0, SLIDE.width - 512):
        for y in (0, SLIDE.height - 512):
            window = Region(x, y, 512, 512)
            assert painter.find_tissue(window) is None
            assert painter.paint(window, None).min() > 215
