"""TiffFormat: how a TIFF file becomes a slide; each vendor's module says what is its own."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from wsi_streamer.formats.base import Probe
from wsi_streamer.formats.levels import check_smallest, make_levels
from wsi_streamer.formats.tiff.choice import choose_levels
from wsi_streamer.formats.tiff.directory import Directory, Ifd
from wsi_streamer.formats.tiff.pyramid import TiffSlide
from wsi_streamer.model.slide import SlideInfo

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


class TiffFormat(ABC):
    """A kind of TIFF slide; a vendor's module says which IFDs count, and reads its tags."""

    @classmethod
    @abstractmethod
    def detect(cls, probe: Probe) -> bool:
        """Say whether this class opens what `probe` looks at."""

    @staticmethod
    @abstractmethod
    def find_candidates(directory: Directory) -> tuple[Ifd, ...]:
        """Return the IFDs that may be levels, that of level 0 first."""

    @staticmethod
    @abstractmethod
    def read_vendor(directory: Directory) -> Vendor:
        """Return what the vendor's own tags say."""

    @classmethod
    def open(cls, probe: Probe) -> TiffSlide:
        """Return the slide; raises UnsupportedFormat with the reason, and StorageErrors."""
        directory, limits = probe.directory, probe.limits
        candidates = cls.find_candidates(directory)
        stored = choose_levels(candidates, is_big_endian=directory.is_big_endian, limits=limits)
        is_stripped = stored[0].is_stripped
        levels = make_levels([level.grid for level in stored], is_stripped=is_stripped)
        check_smallest(levels, is_stripped=is_stripped, max_pixels=limits.flat_max_pixels)
        vendor = cls.read_vendor(directory)
        base = candidates[0]
        info = SlideInfo(
            format=vendor.format,
            vendor=vendor.vendor,
            levels=levels,
            mpp_x=vendor.mpp or _read_mpp(base, 282),
            mpp_y=vendor.mpp or _read_mpp(base, 283),
            objective_power=vendor.objective_power,
            associated_images=vendor.associated_images,
            properties=dict(vendor.properties) | _read_properties(base),
        )
        return TiffSlide(probe.reader, info, stored)


def _read_mpp(ifd: Ifd, code: int) -> float | None:
    per_unit = ifd.ratio(code)
    unit = MICROMETRES.get(ifd.number(296, 2))
    if not unit or per_unit <= 0:
        return None
    mpp = unit / per_unit
    return mpp if PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None


def _read_properties(ifd: Ifd) -> dict[str, str]:
    names = {270: "ImageDescription", 271: "Make", 272: "Model", 305: "Software", 306: "DateTime"}
    properties = {f"tiff.{name}": ifd.text(code) for code, name in names.items() if ifd.text(code)}
    # 1 is upright, as pixels are stored; others are told and not applied.
    if ifd.number(274, 1) != 1:
        properties["tiff.Orientation"] = str(ifd.number(274))
    return properties
