"""JP2 files, which wrap a JPEG 2000 codestream in boxes (ITU-T T.800, annex I)."""

import struct

from wsi_streamer.errors import DecodeError

# The signature box (I.5.1).
SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
# A JP2 file needs four boxes before its codestream.
MAX_BOXES = 64


def find_codestream(data: bytes) -> bytes | None:
    """Return the first contiguous codestream of a JP2 file (I.5.4), None if it is no such file.

    A tile is described by its slide, so that all other boxes are left out: what they say of
    colours or sizes never reaches a decoder. Raises DecodeError.
    """
    if not data.startswith(SIGNATURE):
        return None
    position = len(SIGNATURE)
    for _ in range(MAX_BOXES):
        kind, start, end = _read_box(data, position)
        if kind == b"jp2c":
            return data[start:end]
        position = end
    raise DecodeError(f"a JP2 tile has no codestream in its first {MAX_BOXES} boxes")


def _read_box(data: bytes, position: int) -> tuple[bytes, int, int]:
    """Return type, start and end of the content of a box (I.4)."""
    start = position + 8
    if start > len(data):
        raise DecodeError("a JP2 tile has no codestream")
    length, kind = struct.unpack_from(">I4s", data, position)
    if length == 1 and start + 8 <= len(data):
        (length,) = struct.unpack_from(">Q", data, start)
        start += 8
    end = position + length if length else len(data)
    if not start <= end <= len(data):
        raise DecodeError(f"a JP2 tile has a box of {length} bytes: it is truncated or damaged")
    return kind, start, end
