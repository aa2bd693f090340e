"""GET /tiles/{slide_id}/{level}/{x}/{y}.jpg: one tile."""

from flask import Blueprint, Response, request

from wsi_streamer.api import params
from wsi_streamer.api.context import tile_service
from wsi_streamer.api.image_response import image_response, what_client_has

bp = Blueprint("tiles", __name__)


@bp.get("/tiles/<path:slide_id>/<level>/<col>/<row>")
def get_tile(slide_id: str, level: str, col: str, row: str) -> Response:
    """Return a tile as JPEG."""
    address = params.tile_address(level, col, row.removesuffix(params.TILE_SUFFIX))
    image = tile_service().tile(
        slide_id, address, params.quality(), what_client_has(request.environ)
    )
    return image_response(image)
