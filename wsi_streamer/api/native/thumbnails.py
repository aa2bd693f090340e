"""GET /slides/{slide_id}/thumbnail: the whole slide in one picture."""

from flask import Blueprint, Response

from wsi_streamer.api import params
from wsi_streamer.api.context import tile_service
from wsi_streamer.api.responses import image_response

bp = Blueprint("thumbnails", __name__)

DEFAULT_SIZE, SMALLEST, LARGEST = 512, 64, 2048


@bp.get("/slides/<path:slide_id>/thumbnail")
def get_thumbnail(slide_id: str) -> Response:
    """Return a thumbnail as JPEG."""
    asked, size = params.clamped("max_size", DEFAULT_SIZE, SMALLEST, LARGEST)
    response = image_response(tile_service().thumbnail(slide_id, size, params.quality()))
    if asked != size:
        response.headers["X-Thumbnail-Size-Clamped"] = "true"
        response.headers["X-Thumbnail-Requested-Size"] = str(asked)
        response.headers["X-Thumbnail-Actual-Size"] = str(size)
    return response
