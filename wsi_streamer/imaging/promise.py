"""What the header of a tile says, held against what the file promised of it."""

from wsi_streamer.errors import DecodeError
from wsi_streamer.model.geometry import Size
from wsi_streamer.model.tile import Photometric, PixelLayout


def check_size(name: str, width: int, height: int, size: Size) -> None:
    """Raise DecodeError for a tile that says it has more pixels than the file stores in one."""
    if width > size.width or height > size.height:
        raise DecodeError(
            f"a {name} tile says {width} x {height} pixels, "
            f"the file says {size.width} x {size.height}"
        )


def check_samples(components: int, layout: PixelLayout, samples: int) -> None:
    """Raise DecodeError for other components than the `samples` of a stored pixel."""
    name = layout.codec.value
    if components != samples:
        raise DecodeError(f"a {name} tile has {components} components, not {samples}")
    if layout.photometric is Photometric.YCBCR and samples != 3:
        raise DecodeError(f"a {name} tile of {samples} samples cannot be YCbCr")
