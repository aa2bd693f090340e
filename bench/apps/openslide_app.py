"""DeepZoom with OpenSlide, as its own deepzoom_server.py does it, on local files."""

import io
import os
from pathlib import Path

from flask import Flask, Response
from openslide import OpenSlide
from openslide.deepzoom import DeepZoomGenerator

from bench.apps.opened import Opened

FOLDER = Path(os.environ["BENCH_SLIDES"])
TILE, OVERLAP = (int(number) for number in os.environ["BENCH_TILE"].split("/"))
# The default of deepzoom_server.py.
QUALITY = 75

app = Flask(__name__)


def open_slide(name: str) -> DeepZoomGenerator:
    """Return the generator of a slide."""
    return DeepZoomGenerator(OpenSlide(FOLDER / name), TILE, OVERLAP, limit_bounds=False)


slides = Opened(open_slide)


@app.get("/<slide>/<int:downsample>/<int:col>/<int:row>")
def tile(slide: str, downsample: int, col: int, row: int) -> Response:
    """Answer with a tile."""
    generator = slides[slide]
    level = generator.level_count - downsample.bit_length()
    buffer = io.BytesIO()
    generator.get_tile(level, (col, row)).save(buffer, "jpeg", quality=QUALITY)
    return Response(buffer.getvalue(), mimetype="image/jpeg")
