"""Tiles of tiffslide, which reads from S3 with s3fs."""

import io
import os

from flask import Flask, Response
from PIL import Image
from tiffslide import TiffSlide

from bench.apps.opened import Opened

TILE, QUALITY = 256, 75
# Without the read-ahead of s3fs, which reads megabytes for each tile.
OPTIONS = {
    "key": os.environ["AWS_ACCESS_KEY_ID"],
    "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
    "endpoint_url": os.environ["BENCH_ENDPOINT"],
    "default_cache_type": os.environ.get("BENCH_S3FS_CACHE", "none"),
}

app = Flask(__name__)
slides = Opened(
    lambda name: TiffSlide(f"s3://{os.environ['BENCH_BUCKET']}/{name}", storage_options=OPTIONS)
)


@app.get("/<slide>/<int:downsample>/<int:col>/<int:row>")
def tile(slide: str, downsample: int, col: int, row: int) -> Response:
    """Answer with a tile, reduced from the next larger level where the file lacks its own."""
    opened = slides[slide]
    level = opened.get_best_level_for_downsample(downsample + 0.5)
    side = round(TILE * downsample / opened.level_downsamples[level])
    where = (col * TILE * downsample, row * TILE * downsample)
    pixels = opened.read_region(where, level, (side, side)).convert("RGB")
    if side != TILE:
        pixels = pixels.resize((TILE, TILE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    pixels.save(buffer, "jpeg", quality=QUALITY)
    return Response(buffer.getvalue(), mimetype="image/jpeg")
