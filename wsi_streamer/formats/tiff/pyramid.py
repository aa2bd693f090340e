"""TiffSlide: what all TIFF slides share, from choosing levels to reading stored tiles."""

from collections.abc import Sequence
from dataclasses import dataclass

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.base import Limits, Probe
from wsi_streamer.formats.levels import check_smallest, is_reduced, make_levels
from wsi_streamer.formats.tiff.directory import Directory, Ifd
from wsi_streamer.formats.tiff.stored_level import StoredLevel, read_level
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.slide import SlideInfo
from wsi_streamer.model.tile import EncodedTile, TileAddress

# NewSubfileType (tag 254): bit 0 marks a reduced image, bit 2 a transparency mask.
REDUCED, MASK = 1, 4
# An mpp outside this range was not measured by a scanner: it is a printer's 72 or 300 dpi, or a
# unit mixed up.
PLAUSIBLE_MPP = (0.01, 20.0)
MICROMETRES = {2: 25_400.0, 3: 10_000.0}


@dataclass(frozen=True)
class Vendor:
    """What a vendor's own tags say of a slide; None where they do not."""

    format: str
    vendor: str | None = None
    mpp: float | None = None
    objective_power: float | None = None
    associated_images: tuple[str, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()


class TiffSlide:
    """An open slide in a TIFF file; a vendor's module says which IFDs count, and reads its tags."""

    def __init__(self, probe: Probe) -> None:
        directory = probe.directory
        self._reader = probe.reader
        self._levels = choose_levels(directory, probe.limits)
        is_stripped = self._levels[0].is_stripped
        levels = make_levels([level.grid for level in self._levels], is_stripped=is_stripped)
        check_smallest(levels, is_stripped=is_stripped, max_pixels=probe.limits.flat_max_pixels)
        vendor = self.read_vendor(directory)
        base = directory.ifds[0]
        mpp_x = vendor.mpp or _read_mpp(base, 282)
        mpp_y = vendor.mpp or _read_mpp(base, 283)
        self._info = SlideInfo(
            format=vendor.format,
            vendor=vendor.vendor,
            levels=levels,
            mpp_x=mpp_x,
            mpp_y=mpp_y,
            objective_power=vendor.objective_power,
            associated_images=vendor.associated_images,
            properties=dict(vendor.properties) | _read_properties(base),
        )

    @classmethod
    def detect(cls, probe: Probe) -> bool:
        """Say whether this class opens what `probe` looks at."""
        raise NotImplementedError

    @staticmethod
    def read_vendor(directory: Directory) -> Vendor:
        """Return what the vendor's own tags say."""
        raise NotImplementedError

    @property
    def info(self) -> SlideInfo:
        """Metadata, known since opening."""
        return self._info

    @property
    def version(self) -> str:
        """The version of the object that was opened."""
        return self._reader.version

    def read_tiles(self, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles of stored levels; see `formats.base.Slide`."""
        places = [
            self._levels[it.level].ranges(it.col, it.row, self._reader.size) for it in addresses
        ]
        data = iter(self._reader.read_many([place for some in places for place in some]))
        tiles = []
        for address, some in zip(addresses, places, strict=True):
            parts = tuple(next(data) for _ in some)
            tiles.append(_make_tile(self._levels[address.level], address, parts))
        return tiles

    def close(self) -> None:
        """Free the reader; reads under way may still finish."""
        self._reader.close()


def _make_tile(level: StoredLevel, address: TileAddress, parts: tuple[bytes, ...]) -> EncodedTile:
    visible = level.grid.region(address.col, address.row).size
    # Tiles are padded to their full size, the last strip is not.
    size = visible if level.is_stripped else level.grid.tile
    return EncodedTile(parts, level.layout, size, visible)


def choose_levels(directory: Directory, limits: Limits) -> tuple[StoredLevel, ...]:
    """Return the levels that the file holds, the largest first.

    Level 0 is the first IFD. Every other tiled image that shows the same at a lower resolution
    is a level; masks, focal planes, thumbnails in strips and other pictures are not. A lower
    level that cannot be served is left out. Raises UnsupportedFormat for level 0.
    """
    base, *others = directory.ifds
    is_big_endian = directory.is_big_endian
    levels = [read_level(base, is_big_endian=is_big_endian, limits=limits)]
    full = levels[0].grid.image
    if levels[0].is_stripped:
        return tuple(levels)
    taken = {full}
    for ifd in others:
        size = Size(ifd.number(256), ifd.number(257))
        if size in taken or not _is_level(ifd, base, full):
            continue
        try:
            levels.append(read_level(ifd, is_big_endian=is_big_endian, limits=limits))
        except UnsupportedFormat:
            continue
        taken.add(size)
    return tuple(sorted(levels, key=lambda level: -level.grid.image.pixels))


def _is_level(ifd: Ifd, base: Ifd, full: Size) -> bool:
    size = Size(ifd.number(256), ifd.number(257))
    return (
        322 in ifd.tags
        and not ifd.number(254) & MASK
        and size.width > 0
        and size.height > 0
        and ifd.number(277, 1) == base.number(277, 1)
        and ifd.number(258) == base.number(258)
        and is_reduced(full, size)
    )


def _read_mpp(ifd: Ifd, code: int) -> float | None:
    per_unit = ifd.ratio(code)
    unit = MICROMETRES.get(ifd.number(296, 2))
    if not unit or per_unit <= 0:
        return None
    mpp = unit / per_unit
    return mpp if PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None


def _read_properties(ifd: Ifd) -> dict[str, str]:
    names = {270: "ImageDescription", 271: "Make", 272: "Model", 305: "Software", 306: "DateTime"}
    return {f"tiff.{name}": ifd.text(code) for code, name in names.items() if ifd.text(code)}
