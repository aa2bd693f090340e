"""Images and documents to responses: types, caching, validators."""

from flask import Response, jsonify, request

from wsi_streamer.api.context import context
from wsi_streamer.model.tile import RenderedImage

# What scripts of other origins may read, besides what browsers always show them.
EXPOSED_HEADERS = (
    "ETag",
    "X-Tile-Cache-Hit",
    "X-Tile-Quality",
    "X-Thumbnail-Size-Clamped",
    "X-Thumbnail-Requested-Size",
    "X-Thumbnail-Actual-Size",
)


def image_response(image: RenderedImage) -> Response:
    """Return an image, or 304 if the client has it."""
    response = Response(image.data, mimetype=image.media_type)
    response.headers["X-Tile-Cache-Hit"] = "true" if image.cache_hit else "false"
    response.headers["X-Tile-Quality"] = str(image.quality)
    response.headers["Cache-Control"] = cache_control()
    response.set_etag(image.etag)
    response.make_conditional(request)
    return response


def cache_control() -> str:
    """Return the caching directive of images.

    With authentication on, only the browser that asked may keep them: a shared cache would hand
    them to others.
    """
    who = "private" if context().authenticator.enabled else "public"
    return f"{who}, max-age={context().cache_max_age}"


def json_response(document: dict[str, object]) -> Response:
    """Return a JSON document that has to be asked for again each time."""
    response = jsonify(document)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def xml_response(text: str) -> Response:
    """Return an XML document that has to be asked for again each time."""
    response = Response(text, mimetype="application/xml")
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
