"""Paints a demo slide, so that a server can be tried without any slide at hand.

`paint_demo` makes an Aperio SVS file of a section that never was: nothing in it stems from a
patient. `islands` and `anatomy` decide what lies where, `cells` puts in nuclei, `tissue` stains it
all; `pyramid` cuts the picture into tiles, on several processes, and `aperio` writes the pages with
`tiff_writer`.
"""

import os
from collections.abc import Callable
from pathlib import Path

from wsi_streamer.demo.aperio import SlideWriter
from wsi_streamer.demo.pyramid import Plan
from wsi_streamer.errors import ConfigError, StorageError
from wsi_streamer.model.geometry import Size

QUALITY = 90
SMALLEST = 256


def paint_demo(
    path: Path,
    *,
    width: int = 24_000,
    height: int = 18_000,
    workers: int = 2,
    progress: Callable[[float], None] | None = None,
    seed: int = 7,
) -> None:
    """Paint a slide of this size and store it as `path`.

    The file appears under its name only when it is complete. The same size and seed give the same
    bytes. `progress` hears the part that is done, from 0 to 1. With more than one worker, processes
    are spawned: a script that calls this needs the usual `if __name__ == "__main__"`.
    Raises ConfigError if the slide is too small, StorageError if the file cannot be written,
    EncodeError if a painting process dies.
    """
    if min(width, height) < SMALLEST:
        raise ConfigError(f"a demo slide has at least {SMALLEST} x {SMALLEST} pixels")
    plan = Plan(Size(width, height), seed, QUALITY)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with unfinished.open("wb") as file:
                SlideWriter(file, plan).write(workers, progress or (lambda done: None))
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"cannot write {path}: {exc.strerror or exc}") from exc
