"""What single pieces of work cost in one thread of one process: `python -m bench.parts FOLDER`.

They tell how fast the machine is today, and where the time of a tile goes that no server shows.
FOLDER holds the painted slides. A process of its own is as empty as a worker; figures are CPU.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import imagecodecs

from bench.paint.shelf import APERIO, JPEG2000
from wsi_streamer.app import make_service
from wsi_streamer.formats import open_slide
from wsi_streamer.formats.base import Limits
from wsi_streamer.imaging import jpeg2000
from wsi_streamer.imaging.decode import decode_tile
from wsi_streamer.imaging.low_resolution import find_low_resolution
from wsi_streamer.imaging.source_jpeg import find_source_jpeg
from wsi_streamer.model.tile import EncodedTile, TileAddress
from wsi_streamer.service.keys import SlideKeys
from wsi_streamer.service.tile_store import TileStore
from wsi_streamer.settings import Settings
from wsi_streamer.storage.local import LocalStorage
from wsi_streamer.waiting import BeforeWaiting

REPEATS = 9
RUN_BYTES = 230_000
PLACES = tuple((col, row) for row in range(10, 14) for col in range(10, 14))
Work = Callable[[int], object]


def measure_parts(folder: Path) -> dict[str, float]:
    """Return the CPU of each piece of work in us, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.parts", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def cost_us(
    work: Work, count: int = len(PLACES), clock: Callable[[], float] = time.thread_time
) -> float:
    """Return the CPU time of one call of `work`, which is called by number."""
    costs = []
    for _ in range(REPEATS):
        started = clock()
        for number in range(count):
            work(number)
        costs.append((clock() - started) / count * 1e6)
    return statistics.median(costs)


def read_tiles(folder: Path, name: str) -> list[EncodedTile]:
    """Return some tiles of level 0 of a slide."""
    slide = open_slide(LocalStorage(folder).open(name), Limits())
    return slide.read_tiles([TileAddress(0, col, row) for col, row in PLACES])


def python_parts() -> dict[str, float]:
    """Return what the interpreter and the kernel take."""
    return {
        "100,000 additions in Python": cost_us(lambda _: sum(range(100_000)), 4),
        "a system call": cost_us(lambda _: os.getppid(), 10_000),
        "a switch to another thread and back": cost_us(Pair().ask, 500, time.process_time),
    }


class Pair:
    """Two threads that wait for each other."""

    def __init__(self) -> None:
        self._here, there = socket.socketpair()
        threading.Thread(target=self._answer, args=(there,), daemon=True).start()

    def ask(self, _: int) -> None:
        """Have the other thread answer."""
        self._here.send(b"?")
        self._here.recv(1)

    @staticmethod
    def _answer(sock: socket.socket) -> None:
        while sock.recv(1):
            sock.send(b"!")


def tile_parts(folder: Path) -> dict[str, float]:
    """Return what is done to a tile of 256 x 256 pixels."""
    jpegs, waves = read_tiles(folder, APERIO.name), read_tiles(folder, JPEG2000.name)
    codestreams = [jpeg2000.parse_header(tile.parts[0]).codestream for tile in waves]
    halves = [find_low_resolution(it, 1) or it for it in codestreams]
    decode = imagecodecs.jpeg2k_decode
    return {
        "JPEG: spliced into a file": cost_us(lambda it: find_source_jpeg(jpegs[it])),
        "JPEG: decoded": cost_us(lambda it: decode_tile(jpegs[it])),
        "JPEG: decoded at half scale": cost_us(lambda it: decode_tile(jpegs[it], 1)),
        "JPEG 2000: decoded": cost_us(lambda it: decode_tile(waves[it])),
        "JPEG 2000: decoded at half scale": cost_us(lambda it: decode_tile(waves[it], 1)),
        "JPEG 2000: of that, OpenJPEG": cost_us(lambda it: decode(halves[it])),
    }


def store_parts(folder: Path, cache: Path) -> dict[str, float]:
    """Return what caches take."""
    store = TileStore(cache / "parts", 100_000_000)
    keys = [SlideKeys("bench", "parts", "1").make("run", 0, it, 0, "") for it in range(100)]
    run = os.urandom(RUN_BYTES)
    settings = Settings(source=str(folder), cache_dir=str(cache / "service"))
    service = make_service(settings, BeforeWaiting())
    addresses = [TileAddress(0, col, row) for col, row in PLACES]
    for address in addresses:
        service.tile(APERIO.name, address, None)
    return {
        "store: a run of 230 KB written": cost_us(lambda it: store.put(keys[it], run), len(keys)),
        "store: a run of 230 KB read": cost_us(lambda it: store.get(keys[it]), len(keys)),
        "a tile found in memory": cost_us(
            lambda it: service.tile(APERIO.name, addresses[it], None)
        ),
    }


def main(arguments: Sequence[str]) -> None:
    """Write the figures as JSON to standard output."""
    folder = Path(arguments[0])
    found = python_parts()

    def measure() -> None:
        with tempfile.TemporaryDirectory() as cache:
            found.update(tile_parts(folder))
            found.update(store_parts(folder, Path(cache)))

    # As a server does it: the heap of a main thread is trimmed after each large buffer.
    thread = threading.Thread(target=measure)
    thread.start()
    thread.join()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
