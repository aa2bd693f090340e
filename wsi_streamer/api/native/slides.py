"""GET /slides and GET /slides/{slide_id}: which slides there are, and what they are."""

from flask import Blueprint, Response

from wsi_streamer.api import params
from wsi_streamer.api.context import context, tile_service
from wsi_streamer.api.native.documents import make_metadata
from wsi_streamer.api.responses import json_response

bp = Blueprint("slides", __name__)

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1000


@bp.get("/slides")
def list_slides() -> Response:
    """Return a page of slide ids and the cursor of the next one."""
    _, limit = params.clamped("limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    prefix, search = params.one("prefix") or "", params.one("search") or ""
    cursor, cursors = params.one("cursor"), context().cursors
    after = cursors.load(cursor, prefix, search) if cursor else ""
    page = tile_service().list_slides(prefix=prefix, search=search, after=after, limit=limit)
    following = cursors.dump(prefix, search, page.last) if page.last is not None else None
    return json_response({"slides": list(page.names), "next_cursor": following})


@bp.get("/slides/<path:slide_id>")
def get_metadata(slide_id: str) -> Response:
    """Return a slide's metadata."""
    return json_response(make_metadata(slide_id, tile_service().details(slide_id)))
