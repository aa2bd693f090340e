"""Paints the slide block by block on several processes and cuts it into the tiles of its levels."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from wsi_streamer.demo.encoding import JpegCoder
from wsi_streamer.demo.sprites import Bytes
from wsi_streamer.demo.tissue import TissuePainter
from wsi_streamer.errors import EncodeError
from wsi_streamer.model.geometry import Region, Size, TileGrid

TILE = Size(256, 256)
# Each level is a quarter of the one before: a block makes 4 x 4 tiles of level 0, one of level 1.
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
    """A painted block: rows of encoded tiles of level 0, a tile of level 1, pixels of level 2."""

    tiles: list[list[bytes]]
    quarter: bytes
    sixteenth: Bytes

    def cropped(self, columns: int, rows: int) -> "Block":
        """Return the block with no more tiles of level 0 than these."""
        return replace(self, tiles=[line[:columns] for line in self.tiles[:rows]])


class Pyramid:
    """The levels of a slide.

    Once level 0 has been read to its end, `level_1` holds encoded tiles and `level_2` pixels.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.level_1: list[bytes] = []
        self.level_2: Bytes = np.empty((0, 0, 3), np.uint8)

    def tiles(
        self, workers: int, progress: Callable[[float], None]
    ) -> Generator[bytes, None, None]:
        """Paint the slide and yield the encoded tiles of level 0, row by row."""
        blocks = TileGrid(self.plan.size, BLOCK)
        quarter = TileGrid(self.plan.level_size(1), TILE)
        places = [(col, row) for row in range(blocks.rows) for col in range(blocks.columns)]
        strips: list[Bytes] = []
        with closing(_paint_all(self.plan, places, workers)) as painted:
            for row in range(blocks.rows):
                line = [next(painted) for _ in range(blocks.columns)]
                if row < quarter.rows:
                    self.level_1 += [block.quarter for block in line[: quarter.columns]]
                strips.append(np.concatenate([block.sixteenth for block in line], axis=1))
                yield from _in_rows(line)
                progress((row + 1) / blocks.rows)
        size = self.plan.level_size(2)
        self.level_2 = np.concatenate(strips)[: size.height, : size.width]


def _in_rows(line: list[Block]) -> Generator[bytes, None, None]:
    """Yield the tiles of blocks that stand side by side, row by row."""
    for row in range(len(line[0].tiles)):
        for block in line:
            yield from block.tiles[row]


class BlockPainter:
    """Paints and encodes blocks; each process has one."""

    def __init__(self, plan: Plan) -> None:
        self.tiles = TileGrid(plan.size, TILE)
        self.painter = TissuePainter(plan.size, plan.seed)
        self.jpeg = JpegCoder(plan.quality)

    def paint(self, place: tuple[int, int]) -> Block:
        """Return the block at a column and row of blocks."""
        col, row = place
        window = Region(col * BLOCK.width, row * BLOCK.height, BLOCK.width, BLOCK.height)
        maps = self.painter.find_tissue(window)
        block = self._encode(self.painter.paint(window, maps)) if maps else self._glass
        return block.cropped(self.tiles.columns - col * FACTOR, self.tiles.rows - row * FACTOR)

    @cached_property
    def _glass(self) -> Block:
        # The texture of the glass repeats within a block, so all blocks of glass are the same.
        return self._encode(self.painter.paint(Region(0, 0, BLOCK.width, BLOCK.height), None))

    def _encode(self, pixels: Bytes) -> Block:
        tiles = list(self.jpeg.tiles(pixels, TILE))
        quarter, sixteenth = _averaged(pixels)
        lines = [tiles[start : start + FACTOR] for start in range(0, len(tiles), FACTOR)]
        return Block(lines, self.jpeg.encode(quarter), sixteenth)


def _averaged(pixels: Bytes) -> tuple[Bytes, Bytes]:
    """Return the pixels in a quarter and a sixteenth of the resolution: averages, rounded."""
    quarter = _sums(pixels)
    sixteenth = _sums(quarter)
    return ((quarter + 8) >> 4).astype(np.uint8), ((sixteenth + 128) >> 8).astype(np.uint8)


def _sums(values: npt.NDArray[np.unsignedinteger]) -> npt.NDArray[np.uint16]:
    """Return the sums of squares of FACTOR pixels; 256 bytes add up to less than 65536."""
    height, width = values.shape[0] // FACTOR, values.shape[1] // FACTOR
    rows = values.reshape(height, FACTOR, -1).sum(1, dtype=np.uint16)
    return np.asarray(rows.reshape(height, width, FACTOR, 3).sum(2, dtype=np.uint16))


def _paint_all(
    plan: Plan, places: list[tuple[int, int]], workers: int
) -> Generator[Block, None, None]:
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
