"""Writes a painted slide as an SVS file of Aperio, in the order of bytes that tifffile has.

Pages as a scanner writes them: level 0, the thumbnail, the smaller levels, label and macro image.
(Aperio, Digital Slides and Third-Party Data Interchange)
"""

import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from bench.paint.tissue import Pixels, Tissue
from bench.places import TILE, SlideShape

# About 20 KB a tile of tissue, as scanners write.
JPEG_QUALITY = 90
JPEG2000_DECIBEL = 38
# Tables and frames of a JPEG stream. (ITU-T T.81, table B.1)
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
DHT, SOS, DQT, APP0, APP15, COMMENT = 0xC4, 0xDA, 0xDB, 0xE0, 0xEF, 0xFE
JPEG_TABLES_TAG, UNDEFINED = 347, 7
THREADS = 2


def write_aperio(path: Path, shape: SlideShape, tissue: Tissue) -> None:
    """Write a slide of this shape, its tiles JPEG (YCbCr 4:2:0) or JPEG 2000 (33005, RGB)."""
    quality = "J2K" if shape.is_jpeg2000 else f"JPEG/RGB Q={JPEG_QUALITY}"
    whole = f"{shape.width}x{shape.height}"
    head = "Aperio Image Library v11.2.1\r\n"
    tail = f"[0,0 {whole}] ({TILE}x{TILE}) {quality}|AppMag = 20|MPP = 0.4990"
    with tifffile.TiffWriter(path, byteorder="<") as writer, ThreadPoolExecutor(THREADS) as pool:
        pages = _Pages(writer, pool, shape, tissue)
        add = pages.add_jpeg2000 if shape.is_jpeg2000 else pages.add_jpeg
        for downsample in shape.downsamples:
            if downsample == 1:
                add(1, f"{head}{whole} {tail}")
                pages.add_strips(tissue.levels[16], 0, f"{head}{whole} -> 256x256 {tail}")
            else:
                size = "x".join(map(str, shape.level_size(downsample)))
                add(downsample, f"{head}{whole} -> {size} {tail}")
        pages.add_strips(tissue.levels[4][:400, :387], 1, f"{head}label 387x400")
        pages.add_strips(tissue.levels[4][:431], 9, f"{head}macro 1024x431")


class _Pages:
    """Adds pages to a file that is being written."""

    def __init__(
        self,
        writer: tifffile.TiffWriter,
        pool: ThreadPoolExecutor,
        shape: SlideShape,
        tissue: Tissue,
    ) -> None:
        self._writer, self._pool, self._shape, self._tissue = writer, pool, shape, tissue

    def add_jpeg(self, downsample: int, description: str) -> None:
        """Add a level whose tiles share their tables, as libtiff writes them."""
        tables, _ = split_jpeg(encode_jpeg(self._tissue.tile(downsample, 0, 0)))
        width, height = self._shape.level_size(downsample)
        self._writer.write(
            self._encoded(downsample, lambda pixels: split_jpeg(encode_jpeg(pixels))[1]),
            shape=(height, width, 3),
            dtype="uint8",
            tile=(TILE, TILE),
            compression="jpeg",
            photometric="ycbcr",
            subsampling=(2, 2),
            extratags=[(JPEG_TABLES_TAG, UNDEFINED, len(tables), tables, True)],
            description=description,
            metadata=None,
            software=False,
        )

    def add_jpeg2000(self, downsample: int, description: str) -> None:
        """Add a level of JPEG 2000 code streams of RGB (compression 33005)."""
        width, height = self._shape.level_size(downsample)
        self._writer.write(
            self._encoded(downsample, _jpeg2000),
            shape=(height, width, 3),
            dtype="uint8",
            tile=(TILE, TILE),
            compression="aperio_jp2000_rgb",
            photometric="rgb",
            description=description,
            metadata=None,
            software=False,
        )

    def add_strips(self, pixels: Pixels, subfile_type: int, description: str) -> None:
        """Add a small picture in strips: thumbnail, label or macro image."""
        self._writer.write(
            np.ascontiguousarray(pixels),
            rowsperstrip=16,
            compression="lzw" if subfile_type == 1 else "jpeg",
            photometric="rgb" if subfile_type == 1 else "ycbcr",
            subfiletype=subfile_type,
            description=description,
            metadata=None,
            software=False,
        )

    def _encoded(self, downsample: int, encode: Callable[[Pixels], bytes]) -> Iterator[bytes]:
        width, height = self._shape.level_size(downsample)
        columns = range(-(-width // TILE))
        for row in range(-(-height // TILE)):
            tiles = [self._tissue.tile(downsample, col, row) for col in columns]
            yield from self._pool.map(encode, tiles)


def encode_jpeg(pixels: Pixels) -> bytes:
    """Return pixels as a whole JPEG stream, YCbCr 4:2:0."""
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(pixels),
            level=JPEG_QUALITY,
            colorspace="RGB",
            outcolorspace="YCBCR",
            subsampling="420",
        )
    )


def split_jpeg(stream: bytes) -> tuple[bytes, bytes]:
    """Return the tables of a JPEG stream as a stream of their own, and the stream without them."""
    tables, rest, at = SOI, SOI, 2
    while True:
        marker = stream[at + 1]
        if marker == SOS:
            return tables + EOI, rest + stream[at:]
        end = at + 2 + int(struct.unpack(">H", stream[at + 2 : at + 4])[0])
        if marker in (DQT, DHT):
            tables += stream[at:end]
        elif not (APP0 <= marker <= APP15 or marker == COMMENT):
            rest += stream[at:end]
        at = end


def _jpeg2000(pixels: Pixels) -> bytes:
    return bytes(
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(pixels),
            level=JPEG2000_DECIBEL,
            codecformat="j2k",
            resolutions=5,
            mct=True,
            reversible=False,
        )
    )
