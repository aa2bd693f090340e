"""A slide of 100,000 x 80,000 pixels in a megabyte: all of its tiles share the same bytes."""

import struct
from pathlib import Path

import numpy as np

from bench.paint.aperio import encode_jpeg, split_jpeg
from bench.paint.layout import LONG, Entry, write_ifd
from bench.paint.tissue import Tissue
from bench.places import TILE, SlideShape

ASCII, SHORT, UNDEFINED = 2, 3, 7
JPEG, YCBCR = 7, 6


def write_vast(path: Path, shape: SlideShape, tissue: Tissue) -> None:
    """Write an SVS of this shape whose arrays of offsets are as long as those of a real one."""
    tables, tile = split_jpeg(encode_jpeg(tissue.tile(1, 3, 3)))
    with path.open("wb") as writer:
        writer.write(b"II*\0\0\0\0\0" + b"\0" * 8)
        link = 4
        at = writer.tell()
        writer.write(tile)
        for downsample in shape.downsamples:
            width, height = shape.level_size(downsample)
            count = -(-width // TILE) * -(-height // TILE)
            text = f"Aperio Image Library v11.2.1\r\n{width}x{height} ({TILE}x{TILE})|MPP = 0.25\0"
            entries = [
                _number(256, LONG, width),
                _number(257, LONG, height),
                Entry(258, SHORT, 3, struct.pack("<3H", 8, 8, 8)),
                _number(259, SHORT, JPEG),
                _number(262, SHORT, YCBCR),
                Entry(270, ASCII, len(text), text.encode()),
                _number(277, SHORT, 3),
                _number(284, SHORT, 1),
                _number(322, SHORT, TILE),
                _number(323, SHORT, TILE),
                Entry(324, LONG, count, np.full(count, at, "<u4").tobytes()),
                Entry(325, LONG, count, np.full(count, len(tile), "<u4").tobytes()),
                Entry(347, UNDEFINED, len(tables), tables),
                Entry(530, SHORT, 2, struct.pack("<2H", 2, 2)),
            ]
            link = write_ifd(writer, entries, link)


def _number(tag: int, kind: int, value: int) -> Entry:
    return Entry(tag, kind, 1, struct.pack("<H" if kind == SHORT else "<I", value))
