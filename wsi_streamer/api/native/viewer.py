"""The pages: /view/{slide_id} shows a slide, / lists them.

A page that is asked for JSON answers with a fresh token: that is how an open page renews its own,
under the same rule under which it was opened.
"""

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for

from wsi_streamer.api.context import authenticator, context, tile_service
from wsi_streamer.api.errors import on_wsi_error
from wsi_streamer.api.guard import access_of
from wsi_streamer.auth.base import Scope, Token
from wsi_streamer.errors import WsiError

bp = Blueprint("viewer", __name__)

# Scripts and pictures come from this server alone; nothing on a page is run from its text.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)


@bp.get("/view/<path:slide_id>")
def view_slide(slide_id: str) -> Response:
    """Return the viewer of a slide; raises SlideNotFound and UnsupportedFormat."""
    tile_service().details(slide_id)
    return _page(token=authenticator().make_viewer_token(access_of(Scope.VIEW)))


@bp.get("/")
def view_gallery() -> Response:
    """Return the list of slides."""
    return _page(token=authenticator().make_gallery_token(access_of(Scope.GALLERY)))


@bp.errorhandler(WsiError)
def explain(error: WsiError) -> Response:
    """Return an error as the page that explains it, or as JSON to who asked for no page."""
    response = on_wsi_error(error)
    if request.accept_mimetypes["text/html"] <= request.accept_mimetypes["application/json"]:
        return response
    page = _page(error=response.get_json())
    page.status_code = response.status_code
    return page


def _page(*, token: Token | None = None, error: object = None) -> Response:
    fields: dict[str, object] = {"token": asdict(token) if token else None}
    if request.accept_mimetypes["application/json"] > request.accept_mimetypes["text/html"]:
        response = jsonify(fields)
    else:
        slide_id = (request.view_args or {}).get("slide_id")
        fields["root"] = request.script_root
        fields["signed"] = authenticator().enabled
        fields["version"] = context().version
        if slide_id is not None:
            fields["slide_id"] = slide_id
        if error:
            fields["error"] = error
        html = render_template(
            "gallery.html" if slide_id is None else "viewer.html",
            page=fields,
            static_url=url_for("static", filename=""),
            title=slide_id or "Slides",
        )
        response = make_response(html)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.vary.add("Accept")
    return response
