"""Aperio SVS: tiled TIFF whose ImageDescription begins with "Aperio".

Facts: Aperio, Digital Slides and Third-Party Data Interchange; IFD 0 is the base, the label and
macro are the last images, in strips, and name themselves in the second line of their description.
Files that other programs wrote again may hold them in tiles.
"""

import re

from wsi_streamer.formats.base import Probe
from wsi_streamer.formats.tiff.choice import find_base
from wsi_streamer.formats.tiff.directory import Directory, Ifd
from wsi_streamer.formats.tiff.vendor import PLAUSIBLE_MPP, TiffFormat, Vendor


class AperioSvs(TiffFormat):
    """Slides of an Aperio (Leica) scanner."""

    @classmethod
    def detect(cls, probe: Probe) -> bool:
        """Say whether the first image is described as Aperio's."""
        return probe.directory.ifds[0].text(270).startswith("Aperio")

    @staticmethod
    def find_candidates(directory: Directory) -> tuple[Ifd, ...]:
        """Return all IFDs but those of the label, the macro and the thumbnail."""
        first, *others = directory.ifds
        ifds = (first, *(ifd for ifd in others if not _associated_name(ifd)))
        base = find_base(ifds)
        return base, *(ifd for ifd in ifds if ifd is not base)

    @staticmethod
    def read_vendor(directory: Directory) -> Vendor:
        """Return what the ImageDescription says."""
        fields = parse_description(directory.ifds[0].text(270))
        mpp = _positive(fields.get("MPP", ""))
        return Vendor(
            format="Aperio SVS",
            vendor="aperio",
            mpp=mpp if mpp and PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None,
            objective_power=_positive(fields.get("AppMag", "")),
            associated_images=_associated_images(directory),
            properties=tuple((f"aperio.{key}", value) for key, value in fields.items()),
        )


def parse_description(text: str) -> dict[str, str]:
    """Return the "key = value" fields that stand behind the first "|" of a description."""
    fields = {}
    for part in text.split("|")[1:]:
        key, found, value = part.partition("=")
        if found and key.strip():
            fields[key.strip()] = value.strip()
    return fields


def _positive(text: str) -> float | None:
    if not re.fullmatch(r"[0-9]{1,6}([.,][0-9]{1,12})?", text, re.A):
        return None
    return float(text.replace(",", ".")) or None


def _associated_images(directory: Directory) -> tuple[str, ...]:
    names = {_associated_name(ifd) for ifd in directory.ifds[1:]}
    return tuple(sorted(name for name in names if name))


def _associated_name(ifd: Ifd) -> str | None:
    # The second line is "label 387x463", "macro 1280x431", or the size of the thumbnail
    # ("46000x32914 -> 1024x732 - |..."), in which levels name their part of the slide and tiles.
    lines = ifd.text(270).splitlines()
    line = lines[1].strip().lower() if len(lines) > 1 else ""
    words = line.split()
    if words and words[0] in ("label", "macro"):
        return words[0]
    if re.match(r"[0-9]+x[0-9]+ -> [0-9]+x[0-9]+ -", line):
        return "thumbnail"
    if ifd.is_tiled:
        return None
    # The second image is always the thumbnail. Newer scanners write no description for the
    # others; the type of the image tells (1 label, 9 macro).
    return "thumbnail" if ifd.index == 1 else {1: "label", 9: "macro"}.get(ifd.number(254))
