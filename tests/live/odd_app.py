"""An app with views as nobody should write them, to see what the worker makes of them."""

import sys
import time
from collections.abc import Iterator

from flask import Response

from wsi_streamer.wsgi import app


@app.get("/exit")
def leave() -> str:
    """End the thread, so it believes."""
    sys.exit("bye")


@app.get("/sleep")
def sleep() -> str:
    """Be busy without having said so."""
    time.sleep(1)
    return "awake"


@app.get("/breaks")
def breaks() -> Response:
    """Fail in the middle of an answer."""

    def pieces() -> Iterator[bytes]:
        yield b"one"
        raise ValueError("no second piece")

    return Response(pieces())


@app.get("/pieces")
def pieces() -> Response:
    """Answer in pieces, and do not tell how many."""
    return Response(it * 200_000 for it in (b"a", b"", b"b", b"c"))
