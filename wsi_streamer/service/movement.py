"""Movement: how requests move through a slide, which tells a viewer from random access."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from wsi_streamer.model.tile import TileAddress

# A viewer shows some 40 tiles, and each worker sees a part of its requests.
REMEMBERED = 64
# Beside a tile that was asked for: workers see every second tile of a row, say.
ACROSS = (-2, -1, 1, 2)


@dataclass(frozen=True, slots=True)
class Step:
    """What a request has to do with earlier ones.

    `is_near`: tiles beside it were asked for lately. `down`: 1 or -1, the row of tiles that will
    be asked for next, above or below; 0 where that cannot be told.
    """

    is_near: bool
    down: int


class Movement:
    """The last tiles of one slide that were asked for in this worker."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[tuple[int, int, int], None] = OrderedDict()

    def note(self, *addresses: TileAddress) -> Step:
        """Remember a request, of one tile or several, and say what it has to do with others."""
        beside = above = below = False
        with self._lock:
            places = self._places
            for address in addresses:
                level, col, row = address.level, address.col, address.row
                beside = beside or any((level, col + by, row) in places for by in ACROSS)
                above = above or any((level, col + by, row - 1) in places for by in (0, *ACROSS))
                below = below or any((level, col + by, row + 1) in places for by in (0, *ACROSS))
            for address in addresses:
                place = address.level, address.col, address.row
                places[place] = None
                places.move_to_end(place)
            while len(places) > REMEMBERED:
                places.popitem(last=False)
        return Step(beside or above or below, _direction(beside, above, below))


def _direction(beside: bool, above: bool, below: bool) -> int:
    if above == below:
        # Pages are read downwards, and so do viewers load a row after the other.
        return 1 if beside and not above else 0
    return 1 if above else -1
