"""Paints the slide block by block on several processes and cuts it into the tiles of its levels."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import numpy as np

from wsi_streamer.demo.encoding import JpegCoder
from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.demo.tissue import TissuePainter
from wsi_streamer.errors import EncodeError
from wsi_streamer.model.geometry import Region, Size, TileGrid

TILE = Size(256, 256)
# Each level is a quarter of the one before, so a block makes 4 x 4 tiles of level 0 and one of level 1.
FACTOR = 4
BLOCK = Size(FACTOR * TILE.width, FACTOR * TILE.height)


@dataclass(frozen=True)
class Plan:
    """What a process must know to paint its part."""

    size: Size
    seed: int
    quality: int

    def level_size(self, level: int) -> Size:
        """Return the size of a level; Aperio drops the pixels that do not fill a whole one."""
        return Size(self.size.width // FACTOR**level, self.size.height // FACTOR**level)


@dataclass(frozen=True)
class Block:
    """A painted block: rows of encoded tiles of level 0, its tile of level 1, its pixels of level 2."""

    tiles: list[list[bytes]]
    quarter: bytes
    sixteenth: Bytes


@dataclass
class Pyramid:
    """The levels of a slide; level 1 and 2 are there once level 0 has been read to its end."""

    plan: Plan
    level_1: list[bytes] = field(default_factory=list)
    level_2: Bytes = field(default_factory=lambda: np.empty((0, 0, 3), np.uint8))

    def tiles(self, workers: int, progress: Callable[[float], None]) -> Iterator[bytes]:
        """Paint the slide and yield the encoded tiles of level 0, row by row."""
        blocks = TileGrid(self.plan.size, BLOCK)
        quarter = TileGrid(self.plan.level_size(1), TILE)
        places = [(col, row) for row in range(blocks.rows) for col in range(blocks.columns)]
        strips: list[Bytes] = []
        painted = _paint_all(self.plan, places, workers)
        for row in range(blocks.rows):
            line = [next(painted) for _ in range(blocks.columns)]
            if row < quarter.rows:
                self.level_1 += [block.quarter for block in line[: quarter.columns]]
            strips.append(np.concatenate([block.sixteenth for block in line], axis=1))
            for tile_row in range(len(line[0].tiles)):
                for block in line:
                    yield from block.tiles[tile_row]
            progress((row + 1) / blocks.rows)
        size = self.plan.level_size(2)
        self.level_2 = np.concatenate(strips)[: size.height, : size.width]


class BlockPainter:
    """Paints and encodes blocks; each process has one."""

    def __init__(self, plan: Plan) -> None:
        self.tiles = TileGrid(plan.size, TILE)
        self.painter = TissuePainter(plan.size, plan.seed)
        self.jpeg = JpegCoder(plan.quality)

    def paint(self, place: tuple[int, int]) -> Block:
        """Return the block at a column and row of blocks."""
        left, top = place[0] * BLOCK.width, place[1] * BLOCK.height
        pixels = self.painter.paint(Region(left, top, BLOCK.width, BLOCK.height))
        inside = pixels[: self.tiles.rows * TILE.height - top, : self.tiles.columns * TILE.width - left]
        rows = range(0, inside.shape[0], TILE.height)
        encoded = [list(self.jpeg.tiles(inside[y : y + TILE.height], TILE)) for y in rows]
        quarter, sixteenth = _averaged(pixels)
        return Block(encoded, self.jpeg.encode(quarter), sixteenth)


def _averaged(pixels: Bytes) -> tuple[Bytes, Bytes]:
    """Return the pixels in a quarter and a sixteenth of the resolution: averages, rounded."""
    sums = pixels.astype(np.uint32)
    levels = []
    for area in (FACTOR**2, FACTOR**4):
        height, width = sums.shape[0] // FACTOR, sums.shape[1] // FACTOR
        rows = sums.reshape(height, FACTOR, -1).sum(1, dtype=np.uint32)
        sums = rows.reshape(height, width, FACTOR, 3).sum(2, dtype=np.uint32)
        levels.append(((sums + area // 2) // area).astype(np.uint8))
    return levels[0], levels[1]


def _paint_all(plan: Plan, places: list[tuple[int, int]], workers: int) -> Iterator[Block]:
    """Yield the blocks in order. Raises EncodeError if a process dies."""
    if workers <= 1:
        yield from map(BlockPainter(plan).paint, places)
        return
    # "spawn" is the only way that works everywhere, and it leaves the threads of the caller alone.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_Worker.start, initargs=(plan,))
    try:
        yield from pool.map(_Worker.paint, places)
    except BrokenProcessPool as exc:
        raise EncodeError("a painting process died; is there enough memory?") from exc
    finally:
        pool.shutdown(cancel_futures=True)


class _Worker:
    """The one painter of a process."""

    painter: BlockPainter

    @classmethod
    def start(cls, plan: Plan) -> None:
        # The parent handles Ctrl+C, and tells us; if it is killed, nobody would.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        cls.painter = BlockPainter(plan)

    @classmethod
    def paint(cls, place: tuple[int, int]) -> Block:
        return cls.painter.paint(place)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
