"""The published API of WSI Streamer: tiles, slides, thumbnails, DeepZoom, viewer and health."""

from flask import Blueprint

from wsi_streamer.api.guard import check_access
from wsi_streamer.api.native import deepzoom, health, slides, thumbnails, tiles, viewer
from wsi_streamer.auth.base import Scope

bp = Blueprint("native", __name__)

# What each endpoint gives access to.
SCOPES = {
    "get_health": Scope.PUBLIC,
    "get_tile": Scope.SLIDE,
    "list_slides": Scope.LISTING,
    "get_metadata": Scope.SLIDE,
    "get_thumbnail": Scope.THUMBNAIL,
    "get_descriptor": Scope.SLIDE,
    "get_deepzoom_tile": Scope.SLIDE,
    "view_slide": Scope.VIEW,
    "view_gallery": Scope.GALLERY,
}

bp.before_request(lambda: check_access(SCOPES))

for part in (health, tiles, slides, thumbnails, deepzoom, viewer):
    bp.register_blueprint(part.bp)
