"""Aperio SVS: tiled TIFF whose ImageDescription begins with "Aperio".

Facts: Aperio, Digital Slides and Third-Party Data Interchange; IFD 0 is the base, the label and
macro are the last images, in strips, and name themselves in the second line of their description.
"""

import re

from wsi_streamer.formats.base import Probe
from wsi_streamer.formats.tiff.directory import Directory, Ifd
from wsi_streamer.formats.tiff.pyramid import PLAUSIBLE_MPP, TiffSlide, Vendor


class AperioSvs(TiffSlide):
    """A slide of an Aperio (Leica) scanner."""

    @classmethod
    def detect(cls, probe: Probe) -> bool:
        """Say whether the first image is described as Aperio's."""
        return probe.directory.ifds[0].text(270).startswith("Aperio")

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
    names = []
    for ifd in directory.ifds[1:]:
        if 322 in ifd.tags:
            continue
        name = _associated_name(ifd)
        if name and name not in names:
            names.append(name)
    return tuple(sorted(names))


def _associated_name(ifd: Ifd) -> str | None:
    # The second line is "label 387x463", "macro 1280x431", or the size of the thumbnail
    # ("46000x32914 -> 1024x732 - |..."), which is always the second image.
    lines = ifd.text(270).splitlines()
    words = lines[1].split() if len(lines) > 1 else []
    if words and words[0].lower() in ("label", "macro"):
        return words[0].lower()
    if ifd.index == 1:
        return "thumbnail"
    # Newer scanners write no description there; the type of the image tells (1 label, 9 macro).
    return {1: "label", 9: "macro"}.get(ifd.number(254))
