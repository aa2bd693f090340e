"""LeanFlask: Flask without what costs time in each request and has no use here."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter


class LeanFlask(Flask):
    """A Flask of plain functions, without sessions, hosts and subdomains."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the view of a request; of the request, only its path counts.

        Flask's own reads, checks and encodes the Host header, which no address of ours uses.
        """
        if request is None:
            return None
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name=request.root_path + "/",
            subdomain="",
            url_scheme=request.scheme,
            path_info=request.path,
            default_method=request.method,
        )

    # Flask's own signature. Each hook and view would be asked whether it is a coroutine.
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function itself: none of ours is a coroutine."""
        return func


class NoSessions(SessionInterface):
    """No cookie is read or written; views that ask for a session get an error."""

    def __init__(self) -> None:
        self._none = NullSession()

    def open_session(self, app: Flask, request: Request) -> NullSession:
        """Return the same empty session to all: nothing can be put into it."""
        return self._none

    def is_null_session(self, obj: object) -> bool:
        """Return True: there is nothing to save."""
        return True
