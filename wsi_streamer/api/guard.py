"""The guard: asks the authenticator before a view touches storage or cache."""

from flask import request

from wsi_streamer.api.context import authenticator
from wsi_streamer.auth.base import Access, Scope


def check_access(scopes: dict[str, Scope]) -> None:
    """Raise Unauthorized if the present request may not pass.

    `scopes` names what each endpoint gives access to; an endpoint that is not in it is public.
    """
    endpoint = (request.endpoint or "").rpartition(".")[2]
    scope = scopes.get(endpoint)
    if scope is None or request.method == "OPTIONS":
        return
    slide_id = (request.view_args or {}).get("slide_id", "")
    authenticator().authorize(Access(scope, raw_path(), raw_query(), str(slide_id)))


def raw_path() -> str:
    """Return the path of the request line as it was sent, percent-encoding and all."""
    return raw_target().partition("?")[0]


def raw_query() -> str:
    """Return the query as it was sent."""
    return raw_target().partition("?")[2]


def raw_target() -> str:
    """Return the target of the request line; gunicorn and Werkzeug call it RAW_URI."""
    return str(request.environ.get("RAW_URI", ""))
