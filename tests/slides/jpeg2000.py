"""JPEG 2000 codestreams as Aperio writes them (ITU-T T.800, annex A)."""

import struct

import imagecodecs
import numpy as np
import numpy.typing as npt

SIZ, COD, QCD, SOT, SOD = 0xFF51, 0xFF52, 0xFF5C, 0xFF90, 0xFF93
COMPONENT_BY_COMPONENT = 4
# What OpenJPEG still makes of 32 columns, which is the chroma of a tile of 64.
RESOLUTIONS = 3


def encode(piece: npt.NDArray[np.generic], *, transform: bool = True) -> bytes:
    """Return a lossless codestream; `transform` lets the codec turn RGB into its own YCbCr."""
    return bytes(
        imagecodecs.jpeg2k_encode(
            np.ascontiguousarray(piece[..., 0] if piece.shape[2] == 1 else piece),
            level=0,
            codecformat="J2K",
            reversible=True,
            mct=transform and piece.shape[2] >= 3,
            resolutions=RESOLUTIONS,
        )
    )


def encode_ycbcr(piece: npt.NDArray[np.generic], *, subsampled: bool) -> bytes:
    """Return RGB pixels as YCbCr components that the codestream does not name.

    `subsampled` halves both chroma components in width, as Aperio does, for tiles of 64 and more.
    """
    y, cb, cr = to_ycbcr(piece)
    if not subsampled:
        return encode(np.dstack([y, cb, cr]), transform=False)
    chroma = [np.rint((it[:, ::2].astype(float) + it[:, 1::2]) / 2) for it in (cb, cr)]
    planes = [y, *(it.astype(np.uint8) for it in chroma)]
    return _joined([encode(it[..., None], transform=False) for it in planes], (1, 2, 2))


def to_ycbcr(piece: npt.NDArray[np.generic]) -> list[npt.NDArray[np.uint8]]:
    """Return Y, Cb and Cr of full range (ITU-T T.871, section 7)."""
    red, green, blue = (piece[..., i].astype(float) for i in range(3))
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    cb = 128 + (blue - y) / 1.772
    cr = 128 + (red - y) / 1.402
    return [np.rint(it).clip(0, 255).astype(np.uint8) for it in (y, cb, cr)]


def _joined(streams: list[bytes], steps: tuple[int, ...]) -> bytes:
    """Return one codestream of several with one component each.

    Ordered component by component, the packets of each follow those of the one before.
    """
    headers = [_main_header(stream) for stream in streams]
    first = headers[0]
    components = b"".join(bytes([7, step, 1]) for step in steps)
    siz = first[SIZ][:34] + struct.pack(">H", len(streams)) + components
    cod = first[COD][:1] + bytes([COMPONENT_BY_COMPONENT]) + first[COD][2:]
    packets = b"".join(_packets(stream) for stream in streams)
    parts = [b"\xff\x4f", _segment(SIZ, siz), _segment(COD, cod), _segment(QCD, first[QCD])]
    tile_part = struct.pack(">HIBB", 0, 12 + 2 + len(packets), 0, 1)
    parts += [_segment(SOT, tile_part), struct.pack(">H", SOD), packets, b"\xff\xd9"]
    return b"".join(parts)


def _main_header(stream: bytes) -> dict[int, bytes]:
    found, position = {}, 2
    while True:
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker == SOT:
            return found
        found[marker] = stream[position + 4 : position + 2 + length]
        position += 2 + length


def _packets(stream: bytes) -> bytes:
    start = stream.index(struct.pack(">HH", SOT, 10))
    (length,) = struct.unpack_from(">I", stream, start + 6)
    return stream[start + 14 : start + length]


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content
