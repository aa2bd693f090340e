"""Reading several ranges in few requests; storages that lie near use a smaller gap."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

# One request never grows past this by joining: its bytes are in memory twice for a moment, and a
# request has a deadline.
MAX_READ_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PlannedRead:
    """One request: a range, and the indexes of the wanted ranges that lie in it."""

    offset: int
    length: int
    members: tuple[int, ...]


def plan_reads(
    ranges: Sequence[tuple[int, int]], gap: int, max_bytes: int = MAX_READ_BYTES
) -> list[PlannedRead]:
    """Return the requests, by ascending offset, that read all (offset, length) ranges.

    Ranges with at most `gap` bytes between them are joined while the whole is at most
    `max_bytes` long; a range that is longer by itself is read by itself. Empty ranges are in no
    request.
    """
    plan: list[PlannedRead] = []
    start, end, members = 0, 0, list[int]()
    for index in sorted(range(len(ranges)), key=lambda index: ranges[index]):
        offset, length = ranges[index]
        if not length:
            continue
        joined_end = max(end, offset + length)
        if members and offset - end <= gap and joined_end - start <= max_bytes:
            end = joined_end
            members.append(index)
            continue
        if members:
            plan.append(PlannedRead(start, end - start, tuple(members)))
        start, end, members = offset, offset + length, [index]
    if members:
        plan.append(PlannedRead(start, end - start, tuple(members)))
    return plan


def cut_parts(
    ranges: Sequence[tuple[int, int]], plan: Sequence[PlannedRead], blocks: Sequence[bytes]
) -> list[bytes]:
    """Return the bytes of each range out of those of the planned requests, in the order given."""
    parts = [b""] * len(ranges)
    for planned, block in zip(plan, blocks, strict=True):
        for index in planned.members:
            offset, length = ranges[index]
            first = offset - planned.offset
            parts[index] = block[first : first + length]
    return parts


def read_coalesced(
    read: Callable[[int, int], bytes], ranges: Sequence[tuple[int, int]], gap: int
) -> list[bytes]:
    """Return the bytes of each range, in the order given, by as few calls of `read` as planned."""
    plan = plan_reads(ranges, gap)
    return cut_parts(ranges, plan, [read(planned.offset, planned.length) for planned in plan])
