"""JPEG streams cut up and put together again as libtiff stores them (TIFF Technical Note 2)."""

from collections.abc import Iterator

from tests.slides.page import Jpeg

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SOF0, DHT, SOS, DQT, APP0, APP14 = 0xC0, 0xC4, 0xDA, 0xDB, 0xE0, 0xEE


def segments_of(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment; the last is SOS with all that follows."""
    position = 2
    while True:
        marker = stream[position + 1]
        length = int.from_bytes(stream[position + 2 : position + 4], "big")
        if marker == SOS:
            yield marker, stream[position + 4 :]
            return
        yield marker, stream[position + 4 : position + 2 + length]
        position += 2 + length


def tables_of(stream: bytes) -> bytes:
    """Return the JPEGTables of a stream: its quantisation and Huffman tables, nothing else."""
    tables = (_segment(*it) for it in segments_of(stream) if it[0] in (DQT, DHT))
    return SOI + b"".join(tables) + EOI


def rewritten(stream: bytes, how: Jpeg) -> bytes:
    """Return a stream without JFIF marker, with the markers, ids and tables that `how` asks for."""
    parts = [SOI]
    if how.adobe is not None:
        parts.append(_segment(APP14, b"Adobe\0d\0\0\0\0" + bytes([how.adobe])))
    for marker, content in segments_of(stream):
        if marker in (APP0, APP14) or (how.shared_tables and marker in (DQT, DHT)):
            continue
        if marker == SOF0:
            content = _renamed(content, 6, 3, how.component_ids)
        if marker == SOS:
            content = _renamed(content, 1, 2, how.component_ids)
            length = 2 + 1 + 2 * content[0] + 3
            parts.append(bytes([0xFF, SOS]) + length.to_bytes(2, "big") + content)
            break
        parts.append(_segment(marker, content))
    return b"".join(parts)


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _renamed(content: bytes, start: int, step: int, ids: bytes) -> bytes:
    # The number of components stands right before the first of them.
    changed = bytearray(content)
    for index in range(content[start - 1]):
        changed[start + index * step] = ids[index]
    return bytes(changed)
