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
from dataclasses import replace
from functools import partial

from wsi_streamer.errors import WsiError
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.background import Background
from wsi_streamer.service.flights import Flights, Tiles
from wsi_streamer.service.keys import ImageKey, SlideKeys
from wsi_streamer.service.memory_lru import MemoryLru
from wsi_streamer.service.movement import Step
from wsi_streamer.service.opened_slide import OpenedSlide
from wsi_streamer.service.reading_locks import ReadingLocks
from wsi_streamer.service.run_name import RunName, name_run
from wsi_streamer.service.tile_request import Release, Request, Runs, StoredTile

log = logging.getLogger(__name__)

# Runs that this worker read lately: what is wanted again of one of them is read alone.
REMEMBERED_RUNS = 4096
RECENT_S = 60.0
# More tiles than this at once are a region: what is beside it is seldom wanted.
MOST_TOGETHER = 16
# How often it is looked whether another worker is done: after 1 ms at first, then less often.
FIRST_LOOK_S, LONGEST_LOOK_S = 0.001, 0.008
# A view reaches so many tiles to either side of the one that is asked for first.
REACH = 2
# What an entry takes besides its bytes.
OVERHEAD = 400


class StoredTiles:
    """Reads of one worker; safe to share between threads.

    A run takes about `max_ahead` bytes; with 0 every tile is read alone. Tiles that were read
    and not asked for yet take at most `max_memory` bytes. Nobody waits longer than `patience_s`
    for what another thread or worker reads.
    """

    def __init__(
        self,
        locks: ReadingLocks,
        store: Runs,
        *,
        max_ahead: int,
        max_memory: int,
        patience_s: float,
    ) -> None:
        self._locks = locks
        self._store = store
        self._max_ahead = max_ahead
        self._patience_s = patience_s
        self._flights = Flights()
        self._background = Background()
        self._tiles: MemoryLru[tuple[SlideKeys, TileAddress], StoredTile] = MemoryLru(max_memory)
        self._runs: MemoryLru[tuple[SlideKeys, RunName], float] = MemoryLru(REMEMBERED_RUNS)
        # Runs that were read ahead and of which nothing was wanted yet, and where they lead to.
        self._untouched: MemoryLru[tuple[SlideKeys, RunName], int] = MemoryLru(REMEMBERED_RUNS)

    def take(self, request: Request) -> StoredTile | None:
        """Return a tile that was read ahead and is in memory, None if it is not; once only."""
        tile = self._tiles.pop((request.opened.keys, request.address))
        if tile is not None:
            self.follow(request)
        return tile

    def run_key(self, request: Request) -> ImageKey | None:
        """Return the key of the run in which the store may have a tile, None without runs."""
        return self._store.key(request.opened, self._name(request)) if self._max_ahead else None

    def open_run(self, request: Request, packed: bytes | None) -> StoredTile | None:
        """Return a tile of a run that was found by its key, None if it is not in it."""
        if packed is None:
            return None
        run = self._name(request)
        return self._found(request, self._store.unpack(request.opened, run, packed))

    def _find(self, request: Request) -> StoredTile | None:
        """Return a tile that was read ahead and is in memory or in the store, None if it is not."""
        return self.take(request) or self._found(
            request, self._store.find(request.opened, self._name(request))
        )

    def _found(self, request: Request, tiles: Tiles | None) -> StoredTile | None:
        """Return a tile of a run that was found, and remember the others."""
        if not tiles or request.address not in tiles:
            return None
        tile = tiles.pop(request.address)
        self._remember(request.opened, tiles)
        self.follow(request)
        return StoredTile(tile, is_kept=True)

    def read(self, request: Request) -> StoredTile:
        """Return a stored tile that is neither in memory nor in the store.

        Raises what `Slide.read_tiles` raises.
        """
        run = self._name(request) if self._max_ahead and request.step.is_near else None
        if run is None or self._was_read(request.opened, run):
            name = f"{request.opened.keys.name}/{request.address}"
            return self._fly(request, name, self._read_alone)
        return self._fly(request, _text(request, run), partial(self._read_run, run=run))

    def read_all(self, opened: OpenedSlide, addresses: Sequence[TileAddress]) -> list[EncodedTile]:
        """Return stored tiles for their pixels, in the order given; raises as `read` does."""
        if not self._max_ahead or len(addresses) > MOST_TOGETHER:
            return list(opened.read_tiles(addresses).values())
        step = opened.movement.note(*addresses)
        requests = {it: Request(opened, it, step) for it in addresses}
        tiles = {}
        for address, request in requests.items():
            found = self._find(request)
            if found is not None:
                tiles[address] = found.tile
        missing = [it for it in requests if it not in tiles]
        runs = {self._name(requests[it]): requests[it] for it in missing}
        if not step.is_near or any(self._was_read(opened, run) for run in runs):
            tiles |= opened.read_tiles(missing)
        else:
            # This thread reads the first run, the others do the rest or find it done.
            for request in list(runs.values())[1:]:
                self._background.run(partial(self._try_ahead, request, 0))
            for address in missing:
                request = requests[address]
                tiles[address] = (self.take(request) or self.read(request)).tile
        return [tiles[address] for address in addresses]

    def follow(self, request: Request) -> None:
        """Read on if this is the first tile that is wanted of a run which was read ahead."""
        if not self._untouched:
            return
        down = self._untouched.pop((request.opened.keys, self._name(request)))
        if down:
            self._read_ahead(request, down)

    def _fly(
        self, request: Request, name: str, read: Callable[[Request], tuple[StoredTile, Tiles]]
    ) -> StoredTile:
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
        found = self._find(request) if self._max_ahead else None
        if found is not None:
            return found
        # If the others failed, this one finds out for itself why.
        return StoredTile(tile, is_kept=False) if tile else self._read_alone(request)[0]

    def _read_alone(self, request: Request) -> tuple[StoredTile, Tiles]:
        tiles = request.opened.read_tiles((request.address,))
        return StoredTile(tiles[request.address], is_kept=False), tiles

    def _read_run(self, request: Request, run: RunName) -> tuple[StoredTile, Tiles]:
        """Return a tile, read together with its run unless another worker is at that."""
        release = self._locks.find(_text(request, run))
        tiles = self._store.find(request.opened, run)
        if release is None and tiles is None:
            tiles, release = self._wait_for_others(request, run)
        if tiles is not None:
            if release:
                release()
            self._remember(request.opened, tiles)
        else:
            release = release or _nothing
            try:
                if request.step.down:
                    self._read_ahead(request, request.step.down)
                self._read_aside(request)
                tiles = self._read_together(request, run)
                # The lock is let go of when other workers can find the run.
                self._store.keep(request.opened, run, tiles, release)
            except BaseException:
                release()
                raise
        self._tiles.pop((request.opened.keys, request.address))
        if request.address in tiles:
            tile = tiles[request.address]
            return StoredTile(tile, is_kept=self._store.takes(tiles)), tiles
        # It lies apart from its run.
        wanted, alone = self._read_alone(request)
        return wanted, tiles | alone

    def _read_together(self, request: Request, run: RunName) -> Tiles:
        """Return the tiles of a run, all of them remembered."""
        opened = request.opened
        addresses = opened.slide.run_around(request.address, self._max_ahead)
        tiles = opened.read_tiles(addresses)
        self._runs.put((opened.keys, run), time.monotonic(), 1)
        self._remember(opened, tiles, is_kept=self._store.takes(tiles))
        return tiles

    def _remember(self, opened: OpenedSlide, tiles: Tiles, *, is_kept: bool = True) -> None:
        for address, tile in tiles.items():
            size = sum(map(len, tile.parts)) + OVERHEAD
            self._tiles.put((opened.keys, address), StoredTile(tile, is_kept), size)

    def _wait_for_others(
        self, request: Request, run: RunName
    ) -> tuple[Tiles | None, Release | None]:
        """Return the run that another worker stores, and the lock that it let go of."""
        end, pause = time.monotonic() + self._patience_s, FIRST_LOOK_S
        while time.monotonic() < end:
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_S)
            release = self._locks.find(_text(request, run))
            if release is not None:
                return self._store.find(request.opened, run), release
        return None, None

    def _read_ahead(self, request: Request, down: int) -> None:
        """Have the next run above or below read by another thread."""
        runs = request.opened.slide.runs(request.address.level, self._max_ahead)
        row, col = runs.index_of(request.address.col, request.address.row)
        if 0 <= row + down < runs.rows:
            self._read_beside(request, runs.members(row + down, col)[0], down)

    def _read_aside(self, request: Request) -> None:
        """Have the run to the left or right read as well if a view reaches into it."""
        address = request.address
        runs = request.opened.slide.runs(address.level, self._max_ahead)
        run = runs.index_of(address.col, address.row)
        for col in (address.col - REACH, address.col + REACH):
            if 0 <= col < runs.grid.columns and runs.index_of(col, address.row) != run:
                self._read_beside(request, (col, address.row), 0)

    def _read_beside(self, request: Request, tile: tuple[int, int], down: int) -> None:
        address = TileAddress(request.address.level, *tile)
        ahead = replace(request, address=address, step=Step(is_near=True, down=0))
        self._background.run(partial(self._try_ahead, ahead, down))

    def _try_ahead(self, request: Request, down: int) -> None:
        """Read a run unless somebody did or does so; what goes wrong is nobody's business yet."""
        run = self._name(request)
        name = _text(request, run)
        flight, is_ours = self._flights.join(name)
        if not is_ours:
            return
        release = self._locks.find(name)
        tiles, is_new = Tiles(), False
        try:
            try:
                if release is not None:
                    tiles, is_new = self._find_or_read(request, run, down)
            finally:
                self._flights.land(name, flight, tiles)
            if is_new:
                self._store.keep(request.opened, run, tiles, None)
        except WsiError as exc:
            log.debug("reading ahead failed: %s", exc)
        except Exception:
            log.exception("reading ahead failed")
        finally:
            if release is not None:
                release()

    def _find_or_read(self, request: Request, run: RunName, down: int) -> tuple[Tiles, bool]:
        """Return the tiles of a run, and whether they are new; none if it was read lately."""
        opened = request.opened
        tiles = {} if self._was_read(opened, run) else self._store.find(opened, run)
        if tiles is not None:
            # Who read it did so for the same viewer, some of whose requests come here.
            self._remember(opened, tiles)
            return tiles, False
        self._untouched.put((opened.keys, run), down, 1)
        return self._read_together(request, run), True

    def _name(self, request: Request) -> RunName:
        return name_run(request.opened.slide, request.address, self._max_ahead)

    def _was_read(self, opened: OpenedSlide, run: RunName) -> bool:
        read_at = self._runs.get((opened.keys, run))
        return read_at is not None and time.monotonic() - read_at < RECENT_S


def _text(request: Request, run: RunName) -> str:
    """Return the name of a run among those of all slides, the same in all workers."""
    return f"{request.opened.keys.name}/{run.level}/{run.row}/{run.col}"


def _nothing() -> None:
    """Release nothing."""
