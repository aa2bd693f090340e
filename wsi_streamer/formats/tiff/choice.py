"""Which IFDs of a file are the levels of its slide."""

from collections.abc import Sequence
from dataclasses import replace

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.base import Limits
from wsi_streamer.formats.levels import is_reduced
from wsi_streamer.formats.tiff.directory import Ifd
from wsi_streamer.formats.tiff.stored_level import StoredLevel, read_level
from wsi_streamer.model.geometry import Size

# NewSubfileType (tag 254): bit 0 marks a reduced image, bit 2 a transparency mask.
REDUCED, MASK = 1, 4
# Pyramids shrink by 2, and by 3 or 4 where a vendor saves space.
FACTORS = (2, 3, 4)
# What is hardly smaller than the level above it is another picture, such as a focal plane that
# was registered.
SMALLEST_STEP = 1.5


def find_base(ifds: Sequence[Ifd]) -> Ifd:
    """Return the IFD of level 0: the first, unless that is a small picture of a later one."""
    first = ifds[0]
    tiled = [ifd for ifd in ifds if ifd.is_tiled and not _is_marked(ifd)]
    if not tiled:
        return first
    largest = max(tiled, key=lambda ifd: size_of(ifd).pixels)
    is_larger = size_of(largest).pixels > size_of(first).pixels
    if _is_marked(first) or (not first.is_tiled and is_larger):
        return largest
    small = size_of(first)
    if any(is_reduced(size_of(ifd), small) for ifd in tiled):
        return largest
    return first


def find_marked(ifds: Sequence[Ifd], base: Ifd) -> tuple[Ifd, ...]:
    """Return the IFDs that say that they are lower levels, as OpenSlide asks of any TIFF file.

    Where a file marks none, those are taken that follow the first one, each smaller than the
    one before by the same whole factor.
    """
    marked = tuple(ifd for ifd in ifds if ifd.number(254) & REDUCED)
    if marked or base is not ifds[0]:
        return tuple(ifd for ifd in marked if ifd is not base)
    runs = (_find_run(ifds, factor) for factor in FACTORS)
    # One page alone may have half the size by chance.
    return next((run for run in runs if len(run) > 1), ())


def choose_levels(
    candidates: Sequence[Ifd], *, is_big_endian: bool, limits: Limits
) -> tuple[StoredLevel, ...]:
    """Return the levels that the file holds, the largest first.

    Level 0 is the first candidate. Every other tiled image that shows the same at a lower
    resolution is a level; masks, focal planes and other pictures are not. A lower level that
    cannot be served is left out. Raises UnsupportedFormat for level 0.
    """
    base, *others = candidates
    levels = [read_level(base, is_big_endian=is_big_endian, limits=limits)]
    if levels[0].is_stripped:
        return tuple(levels)
    fit = [ifd for ifd in others if _is_level(ifd, base)]
    for ifd in sorted(fit, key=lambda ifd: -size_of(ifd).pixels):
        if not _is_step(levels[-1].grid.image, size_of(ifd)):
            continue
        # All levels together are held in memory, so they share the number of tiles.
        left = limits.max_tiles - sum(level.table.count for level in levels)
        try:
            level = read_level(
                ifd, is_big_endian=is_big_endian, limits=replace(limits, max_tiles=left)
            )
        except UnsupportedFormat:
            continue
        levels.append(level)
    return tuple(levels)


def size_of(ifd: Ifd) -> Size:
    """Return the size that an IFD claims, which may be impossible."""
    return Size(ifd.number(256), ifd.number(257))


def _is_marked(ifd: Ifd) -> bool:
    return bool(ifd.number(254) & (REDUCED | MASK))


def _is_level(ifd: Ifd, base: Ifd) -> bool:
    return (
        ifd.is_tiled
        and not ifd.number(254) & MASK
        and ifd.number(277, 1) == base.number(277, 1)
        and ifd.number(258) == base.number(258)
        and is_reduced(size_of(base), size_of(ifd))
    )


def _is_step(larger: Size, smaller: Size) -> bool:
    # Both have the shape of level 0; the longer side is the one that rounding hardly moves.
    return max(larger.width, larger.height) >= SMALLEST_STEP * max(smaller.width, smaller.height)


def _find_run(ifds: Sequence[Ifd], factor: int) -> tuple[Ifd, ...]:
    """Return the IFDs behind the first, up to one that is not the one before by `factor`."""
    run: list[Ifd] = []
    for before, ifd in zip(ifds, ifds[1:], strict=False):
        if not _is_divided(size_of(before), size_of(ifd), factor):
            break
        run.append(ifd)
    return tuple(run)


def _is_divided(size: Size, divided: Size, factor: int) -> bool:
    # Sides are cut off or rounded up.
    return divided.width in (size.width // factor, -(-size.width // factor)) and (
        divided.height in (size.height // factor, -(-size.height // factor))
    )
