"""Requests to an authenticator, signed by hand so that the tests do not trust the code."""

import hashlib
import hmac

from wsi_streamer.auth.base import Access, Scope
from wsi_streamer.auth.signed_url import SignedUrlAuthenticator
from wsi_streamer.errors import Unauthorized

SECRET = b"an-example-secret-of-at-least-32-bytes"
OTHER_SECRET = b"another-secret-that-is-32-bytes-long"
NOW = 1_700_000_000
EXP = NOW + 600


def hmac_hex(message: str, secret: bytes = SECRET) -> str:
    return hmac.new(secret, message.encode(), hashlib.sha256).hexdigest()


def make_authenticator(
    *secrets: bytes, view_is_public: bool = False, now: float = NOW
) -> SignedUrlAuthenticator:
    return SignedUrlAuthenticator(
        secrets or (SECRET,), view_is_public=view_is_public, token_ttl_s=3600, now=lambda: now
    )


def refusal(
    raw_path: str,
    raw_query: str,
    *,
    scope: Scope = Scope.SLIDE,
    slide_id: str = "a.svs",
    authenticator: SignedUrlAuthenticator | None = None,
) -> type[Unauthorized] | None:
    """Return why a request is refused, None if it passes; any other error is a failure."""
    try:
        access = Access(scope, raw_path, raw_query, slide_id)
        (authenticator or make_authenticator()).authorize(access)
    except Unauthorized as exc:
        return type(exc)
    return None


def page(slide_id: str, query: str = "") -> Access:
    """Return the request of a page: of the viewer, or without a slide of the gallery."""
    scope = Scope.VIEW if slide_id else Scope.GALLERY
    return Access(scope, f"/view/{slide_id}" if slide_id else "/", query, slide_id)
