"""Flights: reads under way, so that whoever wants the same bytes waits for one read of them."""

import threading

from wsi_streamer.model.tile import EncodedTile, TileAddress

Tiles = dict[TileAddress, EncodedTile]


class Flight:
    """One read under way, and what came of it."""

    def __init__(self) -> None:
        # A lock that is held until then: it costs a tenth of what an event costs to make.
        self._landed = threading.Lock()
        self._landed.acquire()
        self._tiles: Tiles = {}

    def wait(self, address: TileAddress, timeout_s: float) -> EncodedTile | None:
        """Return a tile of the read when it is over; None if it brought none, or takes longer."""
        if not self._landed.acquire(timeout=timeout_s):
            return None
        self._landed.release()
        return self._tiles.get(address)

    def land(self, tiles: Tiles) -> None:
        """Hand out what was read, nothing if it failed, to those who wait."""
        self._tiles = tiles
        self._landed.release()


class Flights:
    """The reads under way in this worker, by name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def join(self, name: str) -> tuple[Flight, bool]:
        """Return the read of a name, and whether it is the caller's to do and to land."""
        with self._lock:
            flight = self._flights.get(name)
            if flight is not None:
                return flight, False
            flight = self._flights[name] = Flight()
            return flight, True

    def land(self, name: str, flight: Flight, tiles: Tiles) -> None:
        """End a read; whoever comes from now on begins another."""
        with self._lock:
            self._flights.pop(name, None)
        flight.land(tiles)
