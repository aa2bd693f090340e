"""The guard: asks the authenticator before a view touches storage or cache."""

from flask import request

from wsi_streamer.api.context import authenticator
from wsi_streamer.auth.base import Access, Scope
from wsi_streamer.errors import BadRequest


def check_access(scopes: dict[str, Scope]) -> None:
    """Raise Unauthorized if the present request may not pass.

    `scopes` names what each endpoint gives access to. What is not in it is refused outright, so
    that a forgotten line closes a door and opens none.
    """
    if request.method == "OPTIONS":
        return
    scope = scopes[(request.endpoint or "").rpartition(".")[2]]
    who = authenticator()
    if who.enabled and scope is not Scope.PUBLIC:
        who.authorize(access_of(scope))


def check_target() -> None:
    """Raise BadRequest for a target that is not a plain path with a query.

    Servers make the same path of "//host/tiles", "http://host/tiles" and "/tiles#x"; signatures
    and logs would see another request than the views.
    """
    target = raw_target()
    if not target.startswith("/") or target.startswith("//") or "#" in target:
        raise BadRequest("The target of the request must be a path, and may have a query")


def access_of(scope: Scope) -> Access:
    """Return what the present request asks for, as it was sent."""
    slide_id = (request.view_args or {}).get("slide_id", "")
    return Access(scope, raw_path(), raw_query(), str(slide_id))


def raw_path() -> str:
    """Return the path of the request line as it was sent, percent-encoding and all."""
    return raw_target().partition("?")[0]


def raw_query() -> str:
    """Return the query as it was sent."""
    return raw_target().partition("?")[2]


def raw_target() -> str:
    """Return the target of the request line; gunicorn and Werkzeug call it RAW_URI."""
    return str(request.environ.get("RAW_URI", ""))
