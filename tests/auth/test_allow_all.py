"""A server without authentication."""

from tests.auth.signed_requests import page
from wsi_streamer.auth.allow_all import AllowAll
from wsi_streamer.auth.base import Access, Authenticator, Scope


def test_without_authentication_everything_opens() -> None:
    authenticator: Authenticator = AllowAll()

    for scope in Scope:
        authenticator.authorize(Access(scope, "/anything", "sig=wrong&exp=x&%zz", "a.svs"))


def test_without_authentication_pages_send_no_tokens() -> None:
    authenticator: Authenticator = AllowAll()

    assert not authenticator.enabled
    assert authenticator.make_viewer_token(page("a.svs")) is None
    assert authenticator.make_gallery_token(page("")) is None
