"""Tiles decoded at a smaller scale: the pixels that averages of all pixels give."""

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest

from tests import slides
from tests.slides import Jpeg, Page, reduced
from tests.slides.codecs import encode_segments
from tests.slides.page import BLACK_IS_ZERO, RGB, WHITE_IS_ZERO, YCBCR
from wsi_streamer.errors import DecodeError
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.resample import reduce_by
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Alpha, Codec, EncodedTile, Photometric, PixelLayout

SIDE = 256
CODECS = {
    slides.JPEG: Codec.JPEG,
    slides.DEFLATE: Codec.DEFLATE,
    slides.WEBP: Codec.WEBP,
    slides.JPEG2000_RGB: Codec.JPEG2000,
    slides.JPEG2000_YCBCR: Codec.JPEG2000,
}


def tissue():
    """Waves of all directions and lengths from 4 pixels on, and a sharp edge."""
    y, x = np.mgrid[:SIDE, :SIDE]
    random = np.random.default_rng(7)
    picture = np.zeros((SIDE, SIDE, 3))
    for length in (4, 6, 9, 14, 22, 40, 90):
        for _ in range(3):
            angle, phase = random.uniform(0, 2 * np.pi, 2)
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / length + phase)
            picture += wave[..., None] * random.uniform(0.5, 1, 3) * length**0.5
    picture = 170 + picture * 45 / picture.std()
    picture[(x > 100) & (y > 150)] = (250, 250, 252)
    return np.rint(picture.clip(0, 255)).astype(np.uint8)


TISSUE = tissue()


def stored(photometric=YCBCR, compression=slides.JPEG, **options):
    pixels = TISSUE if photometric in (RGB, YCBCR) else TISSUE[..., 1]
    page = Page(
        pixels, tile=(SIDE, SIDE), photometric=photometric, compression=compression, **options
    )
    (data,), tables = encode_segments(page, "<")
    layout = PixelLayout(
        CODECS[compression], Photometric(photometric), page.samples, jpeg_tables=tables
    )
    return EncodedTile((data,), layout, Size(SIDE, SIDE), Size(SIDE, SIDE))


def averages(tile, reduce):
    return reduced(decode_tile(tile), 1 << reduce, round_up=True).astype(int)


JPEGS = {
    "444": stored(),
    "420": stored(jpeg=Jpeg(quality=80, subsampling="420")),
    "422": stored(jpeg=Jpeg(quality=80, subsampling="422")),
    "own-tables": stored(jpeg=Jpeg(shared_tables=False)),
    "called-rgb": stored(jpeg=Jpeg(component_ids=b"RGB")),
    "adobe-lies": stored(jpeg=Jpeg(adobe=0)),
    "rgb": stored(RGB),
    "rgb-adobe-lies": stored(RGB, jpeg=Jpeg(adobe=1)),
    "grey": stored(BLACK_IS_ZERO),
    "white-is-zero": stored(WHITE_IS_ZERO),
}
JPEGS2000 = {
    "rgb": stored(RGB, slides.JPEG2000_RGB),
    "ycbcr": stored(YCBCR, slides.JPEG2000_YCBCR),
    "ycbcr-halved-chroma": stored(YCBCR, slides.JPEG2000_YCBCR, jpeg2000_subsampled=True),
}


@pytest.mark.parametrize("reduce", range(1, 8))
@pytest.mark.parametrize("tile", JPEGS.values(), ids=JPEGS)
def test_jpeg_looks_as_if_all_its_pixels_were_averaged(tile, reduce):
    apart = np.abs(decode_tile(tile, reduce) - averages(tile, reduce))
    assert apart.mean() <= 1.5


@pytest.mark.parametrize("reduce", range(1, 8))
@pytest.mark.parametrize("tile", JPEGS2000.values(), ids=JPEGS2000)
def test_jpeg_2000_looks_as_if_all_its_pixels_were_averaged(tile, reduce):
    apart = np.abs(decode_tile(tile, reduce) - averages(tile, reduce))
    # Lanczos, too, is up to 2.8 away from averages of this picture.
    assert apart.mean() <= 3.0


@pytest.mark.parametrize("tile", JPEGS2000.values(), ids=JPEGS2000)
def test_jpeg_2000_is_not_shifted_by_half_a_pixel(tile):
    # As it is without care: a low resolution stands for the upper left pixels.
    truth = averages(tile, 1)
    shown = decode_tile(tile, 1).astype(int)
    middle = (slice(4, -4), slice(4, -4))
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    # A quarter of a pixel away, neighbours on two sides would not fit equally badly.
    apart = {it: np.abs(np.roll(shown, it, (0, 1)) - truth)[middle].mean() for it in shifts}
    assert min(apart, key=apart.get) == (0, 0)
    assert abs(apart[(1, 1)] - apart[(-1, -1)]) < 0.1 * apart[(1, 1)]


@pytest.mark.parametrize("reduce", range(1, 8))
@pytest.mark.parametrize("compression", [slides.DEFLATE, slides.WEBP])
def test_other_codecs_give_exact_averages(compression, reduce):
    tile = stored(RGB, compression)
    assert (decode_tile(tile, reduce) == reduce_by(TISSUE, (1 << reduce, 1 << reduce))).all()


EVERY = {
    "jpeg": stored(),
    "jpeg-2000": stored(RGB, slides.JPEG2000_RGB),
    "deflate": stored(RGB, slides.DEFLATE),
}


@pytest.mark.parametrize("visible", [Size(37, 21), Size(1, 1), Size(256, 255), Size(101, 64)])
@pytest.mark.parametrize("tile", EVERY.values(), ids=EVERY)
def test_the_last_pixel_of_an_edge_tile_averages_what_is_visible(tile, visible):
    for reduce in range(1, 8):
        edge = replace(tile, visible=visible)
        shown = decode_tile(edge, reduce)
        assert shown.shape == (-(-visible.height >> reduce), -(-visible.width >> reduce), 3)
        assert np.abs(shown - averages(edge, reduce)).max() <= 1


@pytest.mark.parametrize("visible", [Size(192, 160), Size(64, 256)])
@pytest.mark.parametrize("tile", EVERY.values(), ids=EVERY)
def test_no_padding_shows_at_any_scale(tile, visible):
    for reduce in (1, 2, 3):
        whole = decode_tile(tile, reduce)
        edge = decode_tile(replace(tile, visible=visible), reduce)
        assert (edge == whole[: visible.height >> reduce, : visible.width >> reduce]).all()


@pytest.mark.parametrize("reduce", range(8))
def test_a_tile_that_is_left_out_is_white_at_every_scale(reduce):
    tile = replace(stored(), parts=(), visible=Size(37, 200))
    shown = decode_tile(tile, reduce)
    assert shown.shape == (-(-200 >> reduce), -(-37 >> reduce), 3)
    assert (shown == 255).all()


@pytest.mark.parametrize("reduce", range(8))
@pytest.mark.parametrize("tile", EVERY.values(), ids=EVERY)
def test_a_tile_smaller_than_its_place_is_an_error_at_every_scale(tile, reduce):
    # By less than what is averaged to a pixel, too.
    for short in (1, 128):
        place = Size(SIDE + short, SIDE)
        with pytest.raises(DecodeError):
            decode_tile(replace(tile, size=place, visible=place), reduce)


@pytest.mark.parametrize("color", [0, 1, 128, 200, 255])
@pytest.mark.parametrize("compression", [slides.JPEG, slides.JPEG2000_RGB])
def test_an_even_tile_has_its_colour_at_every_scale(compression, color):
    photometric = YCBCR if compression == slides.JPEG else RGB
    tile = stored(photometric, compression)
    page = Page(
        np.full((SIDE, SIDE, 3), color, np.uint8),
        tile=(SIDE, SIDE),
        photometric=photometric,
        compression=compression,
    )
    (data,), tables = encode_segments(page, "<")
    tile = EncodedTile((data,), replace(tile.layout, jpeg_tables=tables), tile.size, tile.visible)
    for reduce in range(8):
        assert (decode_tile(tile, reduce) == color).all()


def jpeg_2000(pixels, **layout):
    data = imagecodecs.jpeg2k_encode(
        pixels, level=0, reversible=True, resolutions=5, mct=False, codecformat="j2k"
    )
    size = Size(pixels.shape[1], pixels.shape[0])
    return EncodedTile((bytes(data),), PixelLayout(Codec.JPEG2000, **layout), size, size)


@pytest.mark.parametrize("reduce", range(1, 4))
def test_a_small_scale_shows_no_colour_that_only_stands_between_two_in_the_palette(reduce):
    indexes = np.zeros((64, 64), np.uint8)
    indexes[:, 1::2] = 200
    palette = np.tile(np.array([0, 255, 0], np.uint8), (256, 1))
    palette[0], palette[200] = (255, 0, 0), (0, 0, 255)
    how = {"photometric": Photometric.PALETTE, "samples": 1, "palette": palette.tobytes()}
    tile = jpeg_2000(indexes, **how)
    assert (decode_tile(tile, reduce) == averages(tile, reduce)).all()
    assert (decode_tile(tile, reduce)[..., 1] == 0).all()


@pytest.mark.parametrize("alpha", [Alpha.STRAIGHT, Alpha.PREMULTIPLIED])
@pytest.mark.parametrize("reduce", range(1, 4))
def test_hidden_pixels_do_not_darken_their_neighbours_at_a_small_scale(reduce, alpha):
    pixels = np.dstack([TISSUE[:64, :64], np.full((64, 64), 255, np.uint8)])
    pixels[:, ::2] = 0
    tile = jpeg_2000(pixels, photometric=Photometric.RGB, samples=4, alpha=alpha)
    assert np.abs(decode_tile(tile, reduce) - averages(tile, reduce)).max() <= 1
