"""The pages: /view/{slide_id} shows a slide, / lists them.

A page that is asked for JSON answers with a fresh token: that is how an open page renews its own,
under the same rule under which it was opened.
"""

from dataclasses import asdict

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for

from wsi_streamer.api.context import authenticator, context, tile_service
from wsi_streamer.api.guard import access_of
from wsi_streamer.auth.base import Scope, Token

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
    token = authenticator().make_viewer_token(access_of(Scope.VIEW))
    return _page("viewer.html", slide_id, token, slide_id=slide_id)


@bp.get("/")
def view_gallery() -> Response:
    """Return the list of slides."""
    token = authenticator().make_gallery_token(access_of(Scope.GALLERY))
    return _page("gallery.html", "Slides", token)


def _page(template: str, title: str, token: Token | None, **values: str) -> Response:
    fields = {"token": asdict(token) if token else None}
    accepted = request.accept_mimetypes
    if accepted["application/json"] > accepted["text/html"]:
        response = jsonify(fields)
    else:
        page: dict[str, object] = {
            **fields,
            **values,
            "root": request.script_root,
            "signed": authenticator().enabled,
            "version": context().version,
        }
        static_url = url_for("static", filename="")
        html = render_template(template, page=page, static_url=static_url, title=title)
        response = make_response(html)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.vary.add("Accept")
    return response
