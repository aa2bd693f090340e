"""StoredTiles: reads stored tiles, each byte once, and ahead of a viewer that moves.

Storage answers a request for ten tiles about as fast as one for a single tile, and tiles of a row
lie beside each other in the file. So where tiles beside a tile were asked for lately, it is read
together with its run (`formats.runs`), and so is the run that will be wanted next. Random access
is not near anything: such tiles are read alone. What is wanted several times at once is read
once, by one thread of one worker.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from wsi_streamer.errors import WsiError
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.background import Background
from wsi_streamer.service.finished_image import FinishedImage
from wsi_streamer.service.flights import Flights, Tiles
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.memory_lru import MemoryLru
from wsi_streamer.service.movement import Step
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.reading_locks import ReadingLocks

log = logging.getLogger(__name__)

# Runs that this worker read lately: what is wanted again of one of them is read alone.
REMEMBERED_RUNS = 4096
RECENT_S = 60.0
# More tiles than this at once are a region: what is beside it is seldom wanted.
MOST_TOGETHER = 16
# How often it is looked whether another worker is done: after 1 ms at first, then less often.
FIRST_LOOK_S, LONGEST_LOOK_S = 0.001, 0.008
# What an entry takes besides its bytes.
OVERHEAD = 400

Release = Callable[[], None]
Wanted = EncodedTile | FinishedImage


class Shelf(Protocol):
    """Where the images made of tiles are kept for all workers."""

    def find(self, address: TileAddress) -> FinishedImage | None:
        """Return an image, None if it is not there."""

    def find_stored(self, address: TileAddress) -> FinishedImage | None:
        """Return an image that another worker may have made, None if it is not there."""

    def keep(self, tiles: Tiles, stored: Release) -> Tiles:
        """Make images of tiles and keep them; return the tiles of which it made none.

        `stored` is called when other workers can find them.
        """


@dataclass(frozen=True, slots=True)
class Request:
    """A tile that is wanted, and where its image belongs; `shelf` is None for mere pixels."""

    opened: OpenedSlide
    address: TileAddress
    step: Step
    shelf: Shelf | None


class StoredTiles:
    """Reads of one worker; safe to share between threads.

    A run takes about `max_ahead` bytes; with 0 every tile is read alone. Tiles that were read
    and not asked for yet take at most `max_memory` bytes. Nobody waits longer than `patience_s`
    for what another thread or worker reads.
    """

    def __init__(
        self, locks: ReadingLocks, *, max_ahead: int, max_memory: int, patience_s: float
    ) -> None:
        self._locks = locks
        self._max_ahead = max_ahead
        self._patience_s = patience_s
        self._flights = Flights()
        self._background = Background()
        self._tiles: MemoryLru[tuple[SlideKeys, TileAddress], EncodedTile] = MemoryLru(max_memory)
        self._runs: MemoryLru[str, float] = MemoryLru(REMEMBERED_RUNS)
        # Runs that were read ahead and of which nothing was wanted yet, and where they lead to.
        self._untouched: MemoryLru[str, int] = MemoryLru(REMEMBERED_RUNS)

    def read(self, request: Request) -> Wanted:
        """Return a stored tile, or the image that was made of it meanwhile.

        Raises what `Slide.read_tiles` raises.
        """
        tile = self._tiles.pop((request.opened.keys, request.address))
        if tile is not None:
            self.follow(request)
            return tile
        run = self._find_run(request) if self._max_ahead and request.step.is_near else None
        if run is None or self._was_read(run):
            return self._fly(request, f"{id(request.opened)}/{request.address}", self._read_alone)
        return self._fly(request, run, partial(self._read_run, run=run))

    def read_all(self, opened: OpenedSlide, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles for their pixels, in the order given; raises as `read` does."""
        if not self._max_ahead or len(addresses) > MOST_TOGETHER:
            return list(read_tiles(opened, addresses).values())
        step = opened.movement.note(*addresses)
        requests = {it: Request(opened, it, step, None) for it in addresses}
        tiles = {}
        for address, request in requests.items():
            tile = self._tiles.pop((opened.keys, address))
            if tile is not None:
                self.follow(request)
                tiles[address] = tile
        missing = [it for it in requests if it not in tiles]
        runs = {self._find_run(requests[it]): requests[it] for it in missing}
        if not step.is_near or any(self._was_read(run) for run in runs):
            tiles |= read_tiles(opened, missing)
        else:
            # This thread reads the first run, the others do the rest or find it done.
            for request in list(runs.values())[1:]:
                self._background.run(partial(self._try_ahead, request, 0))
            for address in missing:
                tiles[address] = self._read_pixels(requests[address])
        return [tiles[address] for address in addresses]

    def _read_pixels(self, request: Request) -> EncodedTile:
        wanted = self.read(request)
        if isinstance(wanted, EncodedTile):
            return wanted
        raise TypeError("an image came from no shelf")

    def follow(self, request: Request) -> None:
        """Read on if this is the first tile that is wanted of a run which was read ahead."""
        if not self._untouched:
            return
        down = self._untouched.pop(self._find_run(request))
        if down:
            self._read_ahead(request, down)

    def _fly(
        self, request: Request, name: str, read: Callable[[Request], tuple[Wanted, Tiles]]
    ) -> Wanted:
        """Return what `read` gives, or what another thread reads under the same name."""
        flight, is_ours = self._flights.join(name)
        if is_ours:
            tiles: Tiles = {}
            try:
                wanted, tiles = read(request)
                return wanted
            finally:
                self._flights.land(name, flight, tiles)
        # Who waits for a run that is read ahead will soon want the next one.
        self.follow(request)
        tile = flight.wait(request.address, self._patience_s)
        found = request.shelf.find(request.address) if request.shelf else None
        # If the others failed, this one finds out for itself why.
        return found or tile or self._read_alone(request)[0]

    def _read_alone(self, request: Request) -> tuple[EncodedTile, Tiles]:
        tiles = read_tiles(request.opened, (request.address,))
        return tiles[request.address], tiles

    def _read_run(self, request: Request, run: str) -> tuple[Wanted, Tiles]:
        """Return a tile, read together with its run unless another worker is at that."""
        release: Release | None = _nothing
        found = None
        # Of mere pixels nothing is stored that other workers could wait for.
        if request.shelf:
            release = self._locks.find(run)
            found = request.shelf.find_stored(request.address)
            if release is None and not found:
                found, release = self._wait_for_others(request.shelf, request.address, run)
        if found:
            if release:
                release()
            return found, {}
        if request.step.down:
            self._read_ahead(request, request.step.down)
        tiles = self._read_together(request, run, release or _nothing)
        wanted = request.shelf.find(request.address) if request.shelf else None
        self._tiles.pop((request.opened.keys, request.address))
        return wanted or tiles[request.address], tiles

    def _read_together(self, request: Request, run: str, release: Release) -> Tiles:
        """Return the tiles of a run, all of them kept.

        The lock is released when other workers can find what was read.
        """
        try:
            addresses = request.opened.slide.run_around(request.address, self._max_ahead)
            tiles = read_tiles(request.opened, addresses)
            self._runs.put(run, time.monotonic(), 1)
            left = {address: tile for address, tile in tiles.items() if tile.parts}
            if request.shelf:
                left = request.shelf.keep(left, release)
        except BaseException:
            release()
            raise
        for address, tile in left.items():
            size = sum(map(len, tile.parts)) + OVERHEAD
            self._tiles.put((request.opened.keys, address), tile, size)
        return tiles

    def _wait_for_others(
        self, shelf: Shelf, address: TileAddress, run: str
    ) -> tuple[FinishedImage | None, Release | None]:
        """Return the image that another worker stores, and the lock that it let go of."""
        end, pause = time.monotonic() + self._patience_s, FIRST_LOOK_S
        while time.monotonic() < end:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_S)
            release = self._locks.find(run)
            if release is not None:
                return shelf.find_stored(address), release
        return None, None

    def _read_ahead(self, request: Request, down: int) -> None:
        """Have the next run above or below read by another thread."""
        runs = request.opened.slide.runs(request.address.level, self._max_ahead)
        row, col = runs.index_of(request.address.col, request.address.row)
        if not 0 <= row + down < runs.rows:
            return
        first = TileAddress(request.address.level, *runs.members(row + down, col)[0])
        ahead = replace(request, address=first, step=Step(is_near=True, down=0))
        self._background.run(partial(self._try_ahead, ahead, down))

    def _try_ahead(self, request: Request, down: int) -> None:
        """Read a run unless somebody did or does so; what goes wrong is nobody's business yet."""
        run = self._find_run(request)
        flight, is_ours = self._flights.join(run)
        if not is_ours:
            return
        tiles: Tiles = {}
        try:
            release = self._locks.find(run) if request.shelf else _nothing
            if release is None:
                return
            if self._was_read(run) or self._is_stored(request):
                release()
                return
            self._untouched.put(run, down, 1)
            tiles = self._read_together(request, run, release)
        except WsiError as exc:
            log.debug("reading ahead failed: %s", exc)
        except Exception:
            log.exception("reading ahead failed")
        finally:
            self._flights.land(run, flight, tiles)

    def _is_stored(self, request: Request) -> bool:
        return request.shelf is not None and request.shelf.find(request.address) is not None

    def _find_run(self, request: Request) -> str:
        """Return the name of the run that a tile belongs to, the same in all workers."""
        address = request.address
        runs = request.opened.slide.runs(address.level, self._max_ahead)
        row, col = runs.index_of(address.col, address.row)
        return f"{request.opened.keys.name}/{address.level}/{row}/{col}"

    def _was_read(self, run: str) -> bool:
        read_at = self._runs.get(run)
        return read_at is not None and time.monotonic() - read_at < RECENT_S


class SlideView:
    """A slide whose tiles are read ahead where requests move through it."""

    def __init__(self, opened: OpenedSlide, tiles: StoredTiles) -> None:
        self._opened = opened
        self._tiles = tiles
        self.info = opened.slide.info
        self.version = opened.slide.version

    def read_tiles(self, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles; see `formats.base.Slide`."""
        return self._tiles.read_all(self._opened, addresses)


def read_tiles(opened: OpenedSlide, addresses: Sequence[TileAddress]) -> Tiles:
    """Return stored tiles; that they could be read proves the version of a remote slide."""
    asked_at = opened.clock()
    tiles = opened.slide.read_tiles(addresses)
    if any(tile.parts for tile in tiles):
        opened.confirm(asked_at)
    return dict(zip(addresses, tiles, strict=True))


def _nothing() -> None:
    """Release nothing."""
