"""The chain of IFDs as it lies in a TIFF file: which tags there are, and where their values lie.

Layouts are those of TIFF 6.0 (section 2) and BigTIFF.
"""

from collections.abc import Collection
from dataclasses import dataclass

from wsi_streamer.errors import UnsupportedFormat
from wsi_streamer.formats.tiff.encoding import Encoding, Entry
from wsi_streamer.formats.tiff.scout import Scout
from wsi_streamer.storage.block_cache import CachedReader

# No writer comes near it; BigTIFF has room for 2^64.
MAX_TAGS = 4096


@dataclass(frozen=True, slots=True)
class IfdTags:
    """The tags of an IFD that were asked for, and where all of its tags lie in the file."""

    entries: dict[int, Entry]
    places: range


def read_chain(
    reader: CachedReader, max_ifds: int, codes: Collection[int]
) -> tuple[Encoding, list[IfdTags]]:
    """Return how a file writes numbers, and of each of its IFDs the tags in `codes`.

    Raises UnsupportedFormat if this is no TIFF file, or has more than `max_ifds` IFDs, and
    StorageError.
    """
    encoding, offset = _read_header(reader)
    scout = Scout(reader, encoding)
    ifds: list[IfdTags] = []
    seen: set[int] = set()
    # A chain that comes back to an earlier IFD, or leaves the file, ends; what came before stands.
    while 0 < offset < reader.size and offset not in seen:
        if len(ifds) == max_ifds:
            raise UnsupportedFormat(f"The TIFF file has more than {max_ifds} images")
        seen.add(offset)
        scout.bring(offset)
        found = _read_ifd(reader, encoding, offset, codes)
        if found is None:
            break
        tags, offset = found
        scout.expect(tags.entries)
        ifds.append(tags)
    if not ifds:
        raise UnsupportedFormat("Not a readable TIFF file: no images found")
    return encoding, ifds


def _read_header(reader: CachedReader) -> tuple[Encoding, int]:
    head = reader.read(0, min(reader.size, 16))
    if len(head) < 8:
        raise UnsupportedFormat("File is too small to be a valid TIFF")
    if head[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise UnsupportedFormat("Not a valid TIFF file (invalid magic bytes)")
    encoding = Encoding("<" if head[:1] == b"I" else ">", b"+" in head[2:4])
    if not encoding.is_bigtiff:
        return encoding, encoding.offset(head[4:])
    if len(head) < 16 or encoding.unpack("I", head[4:]) not in (8, 8 << 16):
        raise UnsupportedFormat("Not a readable TIFF file: a BigTIFF header without 64-bit offsets")
    return encoding, encoding.offset(head[8:])


def _read_ifd(
    reader: CachedReader, encoding: Encoding, offset: int, codes: Collection[int]
) -> tuple[IfdTags, int] | None:
    """Return the tags of an IFD and where the next one lies, None if it is cut off."""
    start = offset + encoding.count_size
    if start > reader.size:
        return None
    count = encoding.count(reader.read(offset, encoding.count_size))
    if count > MAX_TAGS:
        raise UnsupportedFormat(f"Not a readable TIFF file: an image with {count} tags")
    end = start + count * encoding.tag_size
    if end > reader.size:
        return None
    entries = encoding.parse_tags(reader.read(start, end - start), start, codes)
    tags = IfdTags(entries, range(start, end, encoding.tag_size))
    if end + encoding.offset_size > reader.size:
        return tags, 0
    return tags, encoding.offset(reader.read(end, encoding.offset_size))
