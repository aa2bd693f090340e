"""What an authenticator is asked."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Scope(Enum):
    """What kind of thing a request asks for; tokens open some of them, signed URLs all."""

    PUBLIC = "public"
    """Nothing that needs protection."""
    SLIDE = "slide"
    """Pixels or metadata of one slide."""
    THUMBNAIL = "thumbnail"
    """The thumbnail of one slide."""
    LISTING = "listing"
    """The names of slides."""
    VIEW = "view"
    """The viewer page of one slide."""
    GALLERY = "gallery"
    """The page that lists slides."""


@dataclass(frozen=True, slots=True)
class Access:
    """One request as it was sent.

    `raw_path` is the path of the request line, still percent-encoded and without the query;
    `raw_query` is what follows the "?", still encoded; `slide_id` is decoded, "" if there is none.
    """

    scope: Scope
    raw_path: str
    raw_query: str
    slide_id: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that a page of ours sends as `vt`, with its expiry as `exp` (Unix seconds)."""

    vt: str
    exp: int


class Authenticator(Protocol):
    """Decides whether a request may pass, before any storage or cache is touched."""

    @property
    def enabled(self) -> bool:
        """Whether requests need a signature or token at all."""

    def authorize(self, access: Access) -> None:
        """Return if the request may pass; otherwise raise a subclass of Unauthorized."""

    def make_viewer_token(self, access: Access) -> Token | None:
        """Return a token for all of the slide whose page was opened; None if none is needed."""

    def make_gallery_token(self, access: Access) -> Token | None:
        """Return a token for the listing, thumbnails and viewer pages; None if none is needed."""
