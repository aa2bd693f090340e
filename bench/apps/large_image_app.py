"""Tiles of large_image on local files; the source `tiff` hands stored JPEG tiles on."""

import os
from importlib import import_module
from pathlib import Path

from flask import Flask, Response

from bench.apps.opened import Opened

FOLDER = Path(os.environ["BENCH_SLIDES"])
SOURCE = import_module(f"large_image_source_{os.environ['BENCH_SOURCE']}")

app = Flask(__name__)
slides = Opened(lambda name: SOURCE.open(FOLDER / name, encoding="JPEG"))


@app.get("/<slide>/<int:downsample>/<int:col>/<int:row>")
def tile(slide: str, downsample: int, col: int, row: int) -> Response:
    """Answer with a tile."""
    source = slides[slide]
    level = source.levels - downsample.bit_length()
    return Response(source.getTile(col, row, level), mimetype="image/jpeg")
