"""GET /slides/{slide_id}/thumbnail: the whole slide in one picture."""

from flask import Blueprint, Response, request

from wsi_streamer.api import params
from wsi_streamer.api.context import tile_service
from wsi_streamer.api.image_response import image_response, what_client_has

bp = Blueprint("thumbnails", __name__)

DEFAULT_SIZE, SMALLEST, LARGEST = 512, 64, 2048


@bp.get("/slides/<path:slide_id>/thumbnail")
def get_thumbnail(slide_id: str) -> Response:
    """Return a thumbnail as JPEG."""
    asked, size = params.clamped("max_size", DEFAULT_SIZE, SMALLEST, LARGEST)
    image = tile_service().thumbnail(
        slide_id, size, params.quality(), what_client_has(request.environ)
    )
    if asked == size:
        return image_response(image)
    return image_response(
        image,
        ("X-Thumbnail-Size-Clamped", "true"),
        ("X-Thumbnail-Requested-Size", str(asked)),
        ("X-Thumbnail-Actual-Size", str(size)),
    )
