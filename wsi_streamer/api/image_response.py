"""ImageResponse: an image or 304 on its way out, and what the client says it has already."""

import re
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Response

from wsi_streamer.api.context import context
from wsi_streamer.model.tile import RenderedImage

# RFC 9110, section 8.8.3. If-None-Match compares weakly (13.1.2): "W/" makes no difference.
ENTITY_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


class ImageResponse(Response):
    """A response that is sent as it was made: `fields` are all of its headers, `body` all else.

    Werkzeug searches its headers for each one that is set, and looks through and copies them
    all before they are sent: for a tile that costs more than finding it.
    """

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        super().__init__(status=status)
        self.fields = fields
        self.body = body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it; to HEAD, what GET would say about the body and no body."""
        start_response(self.status, self.fields)
        is_empty = not self.body or environ["REQUEST_METHOD"] == "HEAD"
        return () if is_empty else (self.body,)


def image_response(image: RenderedImage, *more: tuple[str, str]) -> Response:
    """Return an image with some `more` headers, or 304 if the client has it.

    304 repeats only what caches go by (RFC 9110, section 15.4.5).
    """
    fields = image_fields(image, context().cache_control)
    if image.is_unchanged:
        return ImageResponse(304, fields, b"")
    return ImageResponse(200, [*fields, *more], image.data)


def image_fields(image: RenderedImage, cache_control: str) -> list[tuple[str, str]]:
    """Return the headers that an image leaves with."""
    fields = [("ETag", f'"{image.etag}"'), ("Cache-Control", cache_control)]
    if not image.is_unchanged:
        fields += (
            ("Content-Type", image.media_type),
            ("Content-Length", str(len(image.data))),
            ("X-Tile-Cache-Hit", "true" if image.cache_hit else "false"),
            ("X-Tile-Quality", str(image.quality)),
            ("X-Tile-Encoding", "source" if image.is_source else "encoded"),
        )
    return fields


def what_client_has(environ: WSGIEnvironment) -> Callable[[str], bool] | None:
    """Return what says of an ETag, without quotes, whether the client has it; None if it has none.

    To "*" any ETag is one that it has.
    """
    text = environ.get("HTTP_IF_NONE_MATCH")
    if text is None:
        return None
    if text.strip(" \t") == "*":
        return lambda etag: True
    return ENTITY_TAG.findall(text).__contains__
