"""LZW as TIFF has it, decoded by libtiff.

The LZW decoder of imagecodecs (2026.3) crashes the process on some damaged streams. libtiff has
been fuzzed for years; Pillow hands a stream to it if it comes as a file: one strip of grey bytes.
"""

import io
import struct

from PIL import Image

SHORT, LONG = 3, 4
HEADER = b"II*\0" + struct.pack("<I", 8)


def decode(data: bytes, row_bytes: int, rows: int) -> bytes:
    """Return the `rows` x `row_bytes` bytes of a stream; raises OSError if it holds fewer."""
    tags = (
        (256, LONG, row_bytes),
        (257, LONG, rows),
        (258, SHORT, 8),
        (259, SHORT, 5),
        (262, SHORT, 1),
        (273, LONG, 0),
        (277, SHORT, 1),
        (278, LONG, rows),
        (279, LONG, len(data)),
    )
    offset = len(HEADER) + 2 + 12 * len(tags) + 4
    ifd = struct.pack("<H", len(tags))
    for code, kind, value in tags:
        ifd += struct.pack("<HHII", code, kind, 1, offset if code == 273 else value)
    file = io.BytesIO(HEADER + ifd + bytes(4) + data)
    with Image.open(file, formats=("TIFF",)) as image:
        return image.tobytes()
