"""GET /health: the server is up."""

from flask import Blueprint, Response, jsonify

from wsi_streamer.api.context import context

bp = Blueprint("health", __name__)


@bp.get("/health")
def get_health() -> Response:
    """Return status and version."""
    response = jsonify(status="healthy", version=context().version)
    response.headers["Cache-Control"] = "no-store"
    return response
