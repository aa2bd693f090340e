"""The pictures beside the slide: thumbnail, printed label, and macro photograph of the glass."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.model.geometry import Size

THUMBNAIL = Size(1024, 768)
LABEL = Size(387, 463)
MACRO = Size(1280, 431)

# A slide is 75 mm long; the macro camera sees it from edge to edge.
MACRO_PIXELS_PER_MM = MACRO.width / 75
COVER_SLIP, COVER_COLOUR = (372, 20, 1240, 410), (243, 243, 244)
PAPER, INK = (246, 245, 240), (32, 32, 38)


def fit(size: Size, box: Size) -> Size:
    """Return the largest size of the same shape that fits into a box; never larger than before."""
    scale = min(box.width / size.width, box.height / size.height, 1)
    return Size(max(round(size.width * scale), 1), max(round(size.height * scale), 1))


def shrink(pixels: Bytes, size: Size) -> Bytes:
    """Return an image in another size, as averages."""
    image = Image.fromarray(pixels).resize((size.width, size.height), Image.Resampling.BOX)
    return np.asarray(image)


def paint_label() -> Bytes:
    """Return the printed label."""
    image = Image.new("RGB", (LABEL.width, LABEL.height), PAPER)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((10, 10, LABEL.width - 11, LABEL.height - 11), 14, outline=INK, width=3)
    lines = (
        (30, 46, "WSI STREAMER"),
        (84, 58, "DEMO"),
        (160, 34, "DEMO-0001  A1"),
        (206, 28, "H&E   20x   MPP 0.499"),
        (414, 20, "painted by wsi-streamer demo"),
    )
    for top, height, text in lines:
        _centred(draw, text, top, height)
    _barcode(draw, (40, 252, LABEL.width - 40, 368), "DEMO-0001-A1")
    _centred(draw, "* DEMO-0001-A1 *", 374, 24)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(0.6)))


def paint_macro(slide: Bytes, size: Size, mpp: float) -> Bytes:
    """Return the photograph of the glass slide, with the tissue in its true size.

    `slide` is a small image of a slide of `size` pixels.
    """
    image = _empty_glass()
    scale = mpp / 1000 * MACRO_PIXELS_PER_MM
    true_size = Size(max(round(size.width * scale), 1), max(round(size.height * scale), 1))
    left, top, right, bottom = COVER_SLIP
    tissue = fit(true_size, Size(right - left - 40, bottom - top - 20))
    place = (left + right - tissue.width) // 2, (top + bottom - tissue.height) // 2
    image.paste(Image.fromarray(shrink(slide, tissue)), place)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.5)), np.float32)
    # The lamp is brightest in the middle, and the camera is a simple one.
    light = 1 - 0.05 * (np.arange(MACRO.width) / MACRO.width - 0.55) ** 2 * 4
    noise = np.random.default_rng(1).normal(0, 1.2, pixels.shape)
    return np.asarray(np.clip(pixels * light[None, :, None] + noise, 0, 255), np.uint8)


def _empty_glass() -> Image.Image:
    """Return the slide on the dark stage, with its frosted end, label and cover slip."""
    image = Image.new("RGB", (MACRO.width, MACRO.height), (58, 60, 64))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((4, 6, MACRO.width - 5, MACRO.height - 7), 12, fill=(228, 232, 232))
    draw.rectangle((4, 14, 336, MACRO.height - 15), fill=(236, 238, 240))
    draw.rectangle(COVER_SLIP, fill=COVER_COLOUR, outline=(205, 211, 213), width=2)
    label = Image.fromarray(paint_label()).resize((310, 371), Image.Resampling.LANCZOS)
    image.paste(label, (14, 30))
    return image


def _centred(draw: ImageDraw.ImageDraw, text: str, top: int, height: int) -> None:
    font = ImageFont.load_default(height)
    left, _, right, _ = draw.textbbox((0, 0), text, font=font)
    draw.text(((LABEL.width - (right - left)) / 2 - left, top), text, fill=INK, font=font)


def _barcode(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], text: str) -> None:
    """Draw bars that look like Code 39: a wide or a narrow bar for each bit of the text."""
    left, top, right, bottom = box
    bits = [int(bit) for letter in text for bit in f"{ord(letter):07b}"]
    unit = (right - left) / sum(2.2 + 1.4 * bit for bit in bits)
    x = float(left)
    for bit in bits:
        draw.rectangle((x, top, x + unit * (1 + 1.4 * bit) - 0.5, bottom), fill=INK)
        x += unit * (2.2 + 1.4 * bit)
