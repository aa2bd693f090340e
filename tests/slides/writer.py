"""write_tiff: pages to the bytes of a TIFF or BigTIFF file, in libtiff's order or another."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from tests.slides.codecs import encode_segments
from tests.slides.page import (
    ASCII,
    BYTE,
    DOUBLE,
    JPEG,
    LONG,
    LONG8,
    RATIONAL,
    SHORT,
    UNDEFINED,
    YCBCR,
    Page,
    Tag,
)

Layout = Literal["libtiff", "tifffile", "ifd_first"]
CODES = {SHORT: "H", LONG: "I", LONG8: "Q", DOUBLE: "d"}
SUBSAMPLING = {"444": (1, 1), "422": (2, 1), "420": (2, 2)}


@dataclass(frozen=True)
class Format:
    """What differs between classic and BigTIFF."""

    order: str
    bigtiff: bool

    @property
    def header_size(self) -> int:
        return 16 if self.bigtiff else 8

    @property
    def offset(self) -> str:
        return "Q" if self.bigtiff else "I"

    @property
    def inline_size(self) -> int:
        return 8 if self.bigtiff else 4

    def pack(self, code: str, *values: float) -> bytes:
        return struct.pack(self.order + code, *values)

    def header(self, first_ifd: int) -> bytes:
        mark = b"II" if self.order == "<" else b"MM"
        if self.bigtiff:
            return mark + self.pack("HHHQ", 43, 8, 0, first_ifd)
        return mark + self.pack("HI", 42, first_ifd)

    def value(self, tag: Tag) -> tuple[int, bytes]:
        """Return how many values a tag has, and their bytes."""
        if isinstance(tag.values, bytes):
            return len(tag.values), tag.values
        if tag.kind in (BYTE, UNDEFINED):
            return len(tag.values), bytes(tag.values)  # type: ignore[arg-type]
        if tag.kind == RATIONAL:
            pairs = [part for pair in tag.values for part in pair]  # type: ignore[union-attr]
            return len(tag.values), self.pack(f"{len(pairs)}I", *pairs)
        return len(tag.values), self.pack(f"{len(tag.values)}{CODES[tag.kind]}", *tag.values)  # type: ignore[arg-type]


@dataclass
class Part:
    """What is written for one page, and where."""

    page: Page
    segments: list[bytes | None]
    tables: bytes
    data_at: int = 0
    ifd_at: int = 0

    @property
    def data_size(self) -> int:
        """Bytes of all tiles, padding included."""
        return sum(len(it) + len(it) % 2 for it in self.segments if it)


def write_tiff(
    path: Path,
    pages: Sequence[Page],
    *,
    big_endian: bool = False,
    bigtiff: bool = False,
    layout: Layout = "libtiff",
) -> Path:
    """Write a file and return its path.

    "libtiff" puts each page's tiles before its IFD, as libtiff and Aperio do; "tifffile" puts
    them behind it; "ifd_first" puts all IFDs before all tiles, as in cloud-optimized files.
    """
    form = Format(">" if big_endian else "<", bigtiff)
    parts = [Part(page, *encode_segments(page, form.order)) for page in pages]
    pieces = lay_out(parts, form, layout)
    pieces += [
        (it.data_at, b"".join(_padded(data) for data in it.segments if data)) for it in parts
    ]
    data = b"".join(piece for _, piece in sorted(pieces, key=lambda it: it[0]))
    path.write_bytes(data)
    return path


def lay_out(parts: Sequence[Part], form: Format, layout: Layout) -> list[tuple[int, bytes]]:
    """Find a place for all parts; return the header and the IFDs with their offsets."""
    position = form.header_size
    if layout == "ifd_first":
        for part in parts:
            part.ifd_at = position
            position += len(ifd_bytes(part, form, 0))
    for part in parts:
        if layout == "tifffile":
            part.ifd_at = position
            position += len(ifd_bytes(part, form, 0))
        part.data_at = position
        position += part.data_size
        if layout == "libtiff":
            part.ifd_at = position
            position += len(ifd_bytes(part, form, 0))
    pieces = [(0, form.header(parts[0].ifd_at if parts else 0))]
    for index, part in enumerate(parts):
        after = index + 1 if part.page.next_page is None else part.page.next_page
        next_ifd = parts[after].ifd_at if after < len(parts) else 0
        pieces.append((part.ifd_at, ifd_bytes(part, form, next_ifd)))
    return pieces


def _padded(data: bytes) -> bytes:
    # Offsets are even (TIFF 6.0, page 15).
    return data + b"\0" * (len(data) % 2)


def ifd_bytes(part: Part, form: Format, next_ifd: int) -> bytes:
    tags = _tags(part, form)
    count_code, entry_size = ("Q", 20) if form.bigtiff else ("H", 12)
    head = form.pack(count_code, len(tags))
    outside_at = part.ifd_at + len(head) + entry_size * len(tags) + form.inline_size
    entries, outside = b"", b""
    for code, tag in sorted(tags.items()):
        count, value = form.value(tag)
        count = count if tag.count is None else tag.count
        if len(value) <= form.inline_size:
            place = value.ljust(form.inline_size, b"\0")
        else:
            place = form.pack(form.offset, outside_at + len(outside))
            outside += _padded(value)
        entries += form.pack("HH" + form.offset, code, tag.kind, count) + place
    return head + entries + form.pack(form.offset, next_ifd) + outside


def _tags(part: Part, form: Format) -> dict[int, Tag]:
    page = part.page
    tags = {
        254: Tag(LONG, (page.subfile_type,)),
        256: Tag(LONG, (page.width,)),
        257: Tag(LONG, (page.height,)),
        258: Tag(SHORT, (page.bits,) * page.samples),
        259: Tag(SHORT, (page.compression,)),
        262: Tag(SHORT, (page.photometric,)),
        277: Tag(SHORT, (page.samples,)),
        284: Tag(SHORT, (2 if page.planar else 1,)),
        **_place_tags(part, form),
        **_layout_tags(page),
        **_optional_tags(part),
        **page.tags,
    }
    for code, tag in page.overrides.items():
        if tag is None:
            tags.pop(code, None)
        else:
            tags[code] = tag
    return tags


def _place_tags(part: Part, form: Format) -> dict[int, Tag]:
    offsets, counts, position = [], [], part.data_at
    for segment in part.segments:
        offsets.append(position if segment else 0)
        counts.append(len(segment) if segment else 0)
        position += len(_padded(segment)) if segment else 0
    kind = LONG8 if form.bigtiff else LONG
    width, height = part.page.segment
    if part.page.tile is None:
        return {
            273: Tag(kind, tuple(offsets)),
            278: Tag(LONG, (height,)),
            279: Tag(kind, tuple(counts)),
        }
    return {
        322: Tag(LONG, (width,)),
        323: Tag(LONG, (height,)),
        324: Tag(kind, tuple(offsets)),
        325: Tag(kind, tuple(counts)),
    }


def _layout_tags(page: Page) -> dict[int, Tag]:
    tags: dict[int, Tag] = {}
    if page.predictor != 1:
        tags[317] = Tag(SHORT, (page.predictor,))
    if page.palette is not None:
        reds_then_greens = (page.palette.T.astype(np.uint32) * 257).ravel().tolist()
        tags[320] = Tag(SHORT, tuple(reds_then_greens))
    if page.extra_samples:
        tags[338] = Tag(SHORT, page.extra_samples)
    if page.pixels.dtype.kind != "u":
        sample_format = {"i": 2, "f": 3}[page.pixels.dtype.kind]
        tags[339] = Tag(SHORT, (sample_format,) * page.samples)
    return tags


def _optional_tags(part: Part) -> dict[int, Tag]:
    page = part.page
    tags: dict[int, Tag] = {}
    if page.description is not None:
        tags[270] = Tag(ASCII, page.description.encode() + b"\0")
    if page.resolution is not None:
        per_unit, unit = page.resolution
        tags |= {282: Tag(RATIONAL, (per_unit,)), 283: Tag(RATIONAL, (per_unit,))}
        tags[296] = Tag(SHORT, (unit,))
    if part.tables:
        tags[347] = Tag(UNDEFINED, part.tables)
    if page.compression == JPEG and page.photometric == YCBCR:
        tags[530] = Tag(SHORT, SUBSAMPLING[page.jpeg.subsampling])
    return tags
