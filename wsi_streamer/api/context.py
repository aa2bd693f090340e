"""Typed access to what `app.py` built."""

from dataclasses import dataclass
from functools import cached_property

from flask import current_app

from wsi_streamer.auth.base import Authenticator
from wsi_streamer.auth.cursor import CursorSigner
from wsi_streamer.service.tile_service import TileService

NAME = "wsi_streamer"


@dataclass(frozen=True)
class Context:
    """What the views work with."""

    service: TileService
    authenticator: Authenticator
    cursors: CursorSigner
    cache_max_age: int
    version: str

    @cached_property
    def cache_control(self) -> str:
        """The caching directive of images.

        With authentication on, only the browser that asked may keep them: a shared cache would
        hand them to others.
        """
        who = "private" if self.authenticator.enabled else "public"
        return f"{who}, max-age={self.cache_max_age}"


def context() -> Context:
    """Return the context of the running app."""
    found = current_app.extensions[NAME]
    if not isinstance(found, Context):
        raise TypeError("create_app() did not build this app")
    return found


def tile_service() -> TileService:
    """Return the service of the running app."""
    return context().service


def authenticator() -> Authenticator:
    """Return the authenticator of the running app."""
    return context().authenticator
