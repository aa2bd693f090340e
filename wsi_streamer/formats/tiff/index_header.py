"""Fields: what a stranger's JSON holds, asked for by type; and the plain values of an index."""

from math import isfinite

from wsi_streamer.formats.tiff.pixel_layout import check_layout
from wsi_streamer.model.slide import Level, SlideInfo
from wsi_streamer.model.tile import Alpha, Codec, Photometric, PixelLayout

PALETTE_BYTES = 768


class Fields:
    """The fields of an object in JSON; each method raises ValueError for what is not its type."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise ValueError("no object")
        self._fields: dict[object, object] = value

    def value(self, name: str) -> object:
        """Return a field of any type."""
        if name not in self._fields:
            raise ValueError(f"no {name}")
        return self._fields[name]

    def integer(self, name: str, least: int, most: int) -> int:
        """Return a whole number in a range, both ends included."""
        value = self.value(name)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"{name} is no such number")
        return value

    def positive(self, name: str) -> float | None:
        """Return a number above 0, or None."""
        value = self.value(name)
        if value is None:
            return None
        if type(value) not in (int, float) or not isinstance(value, int | float):
            raise ValueError(f"{name} is no number")
        if not (isfinite(value) and value > 0):
            raise ValueError(f"{name} is no positive number")
        return float(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.value(name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} is no flag")
        return value

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.value(name)
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text")
        # Half a character (a lone surrogate) can be written in JSON, and nowhere else.
        value.encode()
        return value

    def items(self, name: str) -> list[object]:
        """Return a list of anything."""
        value = self.value(name)
        if not isinstance(value, list):
            raise ValueError(f"{name} is no list")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """Return texts by name."""
        fields = Fields(self.value(name))
        return {name: fields.text(name) for name in fields.names}

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return [str(name) for name in self._fields]


def info_fields(info: SlideInfo) -> dict[str, object]:
    """Return what an index tells of a slide besides its levels."""
    return {
        "format": info.format,
        "vendor": info.vendor,
        "mpp_x": info.mpp_x,
        "mpp_y": info.mpp_y,
        "objective_power": info.objective_power,
        "associated_images": list(info.associated_images),
        "properties": dict(info.properties),
    }


def read_info(fields: Fields, levels: tuple[Level, ...]) -> SlideInfo:
    """Return metadata from the fields that `info_fields` gave."""
    names = [Fields({"name": it}).text("name") for it in fields.items("associated_images")]
    return SlideInfo(
        format=fields.text("format"),
        vendor=None if fields.value("vendor") is None else fields.text("vendor"),
        levels=levels,
        mpp_x=fields.positive("mpp_x"),
        mpp_y=fields.positive("mpp_y"),
        objective_power=fields.positive("objective_power"),
        associated_images=tuple(names),
        properties=fields.texts("properties"),
    )


def layout_fields(layout: PixelLayout) -> dict[str, object]:
    """Return what an index tells of how pixels are stored."""
    return {
        "codec": layout.codec.value,
        "photometric": layout.photometric.value,
        "samples": layout.samples,
        "bits": layout.bits,
        "alpha": layout.alpha.value,
        "planar": layout.planar,
        "predictor": layout.predictor,
        "big_endian": layout.big_endian,
        "jpeg_tables": layout.jpeg_tables.hex(),
        "palette": layout.palette.hex(),
    }


def read_layout(fields: Fields) -> PixelLayout:
    """Return how pixels are stored, from what `layout_fields` gave.

    Raises UnsupportedFormat for what no file has that is served.
    """
    layout = PixelLayout(
        codec=Codec(fields.text("codec")),
        photometric=Photometric(fields.integer("photometric", 0, 6)),
        samples=fields.integer("samples", 1, 4),
        bits=fields.integer("bits", 8, 16),
        alpha=Alpha(fields.text("alpha")),
        planar=fields.flag("planar"),
        predictor=fields.integer("predictor", 1, 2),
        big_endian=fields.flag("big_endian"),
        jpeg_tables=bytes.fromhex(fields.text("jpeg_tables")),
        palette=bytes.fromhex(fields.text("palette")),
    )
    check_layout(layout)
    if len(layout.palette) not in (0, PALETTE_BYTES):
        raise ValueError("a palette of another length")
    return layout
