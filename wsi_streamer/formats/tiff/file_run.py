"""Which tiles of a group lie so close to each other in the file that one request reads them."""

from collections.abc import Iterable, Sequence

from wsi_streamer.errors import DecodeError
from wsi_streamer.formats.tiff.stored_level import StoredLevel

# Tiles with more bytes between them are not read together.
GAP = 64 * 1024

Tile = tuple[int, int]
Range = tuple[int, int]


def find_run(
    level: StoredLevel, own: Tile, members: Sequence[Tile], size: int, max_bytes: int
) -> list[Tile]:
    """Return those of `members`, whose places are loaded, that are read together with `own`.

    `size` is that of the file. Every tile of a run gets the same run; where it would be longer
    than `max_bytes`, each tile is alone. Tiles that are left out cost nothing and are in each
    run; by themselves they are alone, as are those whose place makes no sense.
    """
    places = {tile: _find_places(level, tile, size) for tile in members}
    run = _around(own, [(tile, it[0]) for tile, it in places.items() if it], max_bytes)
    return [it for it in members if it in run or it == own or (run and places[it] == [])]


def _find_places(level: StoredLevel, tile: Tile, size: int) -> list[Range] | None:
    """Return the place of a tile; none if it is left out, None if it is impossible."""
    try:
        return level.ranges(*tile, size)
    except DecodeError:
        return None


def _around(own: Tile, placed: Iterable[tuple[Tile, Range]], max_bytes: int) -> set[Tile]:
    """Return the tiles in one piece of the file around `own`, none if that is too long."""
    run: set[Tile] = set()
    start = end = 0
    for tile, (offset, length) in sorted(placed, key=lambda it: it[1]):
        if run and offset - end > GAP:
            if own in run:
                break
            run.clear()
        if not run:
            start = offset
        run.add(tile)
        end = max(end, offset + length)
    return run if own in run and end - start <= max_bytes else set()
