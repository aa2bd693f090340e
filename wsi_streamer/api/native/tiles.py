"""GET /tiles/{slide_id}/{level}/{x}/{y}.jpg: one tile."""

from flask import Blueprint, Response

from wsi_streamer.api import params
from wsi_streamer.api.context import tile_service
from wsi_streamer.api.responses import image_response

bp = Blueprint("tiles", __name__)


@bp.get("/tiles/<path:slide_id>/<level>/<col>/<row>")
def get_tile(slide_id: str, level: str, col: str, row: str) -> Response:
    """Return a tile as JPEG."""
    address = params.tile_address(level, col, row.removesuffix(params.TILE_SUFFIX))
    return image_response(tile_service().tile(slide_id, address, params.quality()))
