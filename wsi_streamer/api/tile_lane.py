"""TileLane: the short way for plain tiles, past Flask.

Of a tile from memory, finding its view takes Flask five times as long as finding the tile. So a
request for a tile that wants nothing else is answered before Flask sees it, by the same service
and with the same headers. All other requests, and all errors, are Flask's.
"""

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import request

from wsi_streamer.api.answer_fields import AnswerFields
from wsi_streamer.api.context import Context
from wsi_streamer.api.image_response import image_fields, what_client_has
from wsi_streamer.auth.base import Access, Scope
from wsi_streamer.model.tile import RenderedImage, TileAddress

# /tiles/{slide_id}/{level}/{x}/{y}.jpg, of characters that mean themselves, with at most the
# parameters of a signature or token.
NUMBER = "(0|[1-9][0-9]{0,8})"
PLAIN_TILE = re.compile(
    rf"(/tiles/([A-Za-z0-9_.~-]+(?:/[A-Za-z0-9_.~-]+)*)/{NUMBER}/{NUMBER}/{NUMBER}\.jpg)"
    r"(?:\?((?:(?:exp|sig|vt)=[0-9a-fA-F]+(?:&|$))*))?"
)
# What went wrong, for Flask to answer.
FAILED = "wsi_streamer.failed"


class TileLane:
    """A WSGI app that answers plain tiles and hands everything else to another one, Flask's."""

    def __init__(self, app: WSGIApplication, context: Context, fields: AnswerFields) -> None:
        self._app = app
        self._context = context
        self._fields = fields

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        target = PLAIN_TILE.fullmatch(environ.get("RAW_URI", ""))
        # An app that is mounted somewhere sees another path than the one that was sent.
        if (
            target is None
            or environ["REQUEST_METHOD"] != "GET"
            or environ["PATH_INFO"] != target[1]
        ):
            return self._app(environ, start_response)
        try:
            image = self._find_tile(environ, *target.groups(""))
        # Flask tells which errors are ours, and writes down those that are not.
        except Exception as exc:
            environ[FAILED] = exc
            return self._app(environ, start_response)
        fields = image_fields(image, self._context.cache_control)
        fields += self._fields.of(environ)
        if image.is_unchanged:
            start_response("304 NOT MODIFIED", fields)
            return ()
        start_response("200 OK", fields)
        return (image.data,)

    def _find_tile(
        self, environ: WSGIEnvironment, path: str, slide_id: str, *texts: str
    ) -> RenderedImage:
        level, col, row, query = texts
        who = self._context.authenticator
        if who.enabled:
            who.authorize(Access(Scope.SLIDE, path, query, slide_id))
        address = TileAddress(int(level), int(col), int(row))
        return self._context.service.tile(slide_id, address, None, what_client_has(environ))


def raise_failure() -> None:
    """Raise, within Flask, what went wrong before it; nothing if all is well."""
    failure = request.environ.get(FAILED)
    if failure is not None:
        raise failure
