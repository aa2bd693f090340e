"""Movement: how requests move through a slide, which tells a viewer from random access."""

import threading
from collections import OrderedDict, deque
from collections.abc import Container, Iterable
from dataclasses import dataclass

from wsi_streamer.model.tile import TileAddress

# What a viewer asks for lies beside what it asked for just before. The more is remembered, the
# more often random access hits upon a neighbour by chance: 24 of 18,000 tiles are met by 2 %.
REMEMBERED = 24
# So of the last requests one more must have been beside others, or the neighbour be one of the very
# last: a viewer that comes to another place asks for several tiles of it at once.
LAST, ENOUGH = 8, 2
JUST_NOW = 4
# Beside a tile that was asked for: workers see every second tile of a row, say.
ACROSS = (-2, -1, 1, 2)
AROUND = (0, *ACROSS)

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Step:
    """What a request has to do with earlier ones.

    `is_near`: it is one of several for which tiles beside them were asked for lately, or follows
    close upon one beside it. `down`: 1 or -1, the row of tiles that will be asked for next, above
    or below; 0 where that cannot be told.
    """

    is_near: bool
    down: int


class Movement:
    """The last tiles of one slide that were asked for in this worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[Place, None] = OrderedDict()
        self._last: deque[Place] = deque(maxlen=JUST_NOW)
        self._adjoined: deque[bool] = deque(maxlen=LAST)

    def note(self, *addresses: TileAddress) -> Step:
        """Remember a request, of one tile or several, and say what it has to do with others."""
        beside = above = below = False
        with self._lock:
            places = self._places
            for address in addresses:
                level, col, row = address.level, address.col, address.row
                beside = beside or _has_any(places, (level, col, row), ACROSS)
                above = above or _has_any(places, (level, col, row - 1), AROUND)
                below = below or _has_any(places, (level, col, row + 1), AROUND)
            for address in addresses:
                place = address.level, address.col, address.row
                places[place] = None
                places.move_to_end(place)
            while len(places) > REMEMBERED:
                places.popitem(last=False)
            adjoins = beside or above or below
            self._adjoined.append(adjoins)
            is_viewer = adjoins and sum(self._adjoined) >= ENOUGH
            is_near = is_viewer or (adjoins and self._follows(addresses))
            self._last.extend((it.level, it.col, it.row) for it in addresses)
        return Step(is_near, _direction(beside, above, below) if is_viewer else 0)

    def _follows(self, addresses: Iterable[TileAddress]) -> bool:
        """Say whether one of the last tiles lies beside one of these."""
        for level, col, row in self._last:
            for it in addresses:
                across, down = abs(it.col - col), abs(it.row - row)
                if it.level == level and across <= 2 and down <= 1 and across + down:
                    return True
        return False


def _has_any(places: Container[Place], place: Place, offsets: Iterable[int]) -> bool:
    """Say whether a tile at one of these offsets from a place, in its row, was asked for."""
    level, col, row = place
    found = False
    # A loop: this is done for each tile, and a generator takes three times as long.
    for by in offsets:
        found = found or (level, col + by, row) in places
    return found


def _direction(beside: bool, above: bool, below: bool) -> int:
    if above == below:
        # Pages are read downwards, and so do viewers load a row after the other.
        return 1 if beside and not above else 0
    return 1 if above else -1
