"""The authenticator of a server without authentication."""

from wsi_streamer.auth.base import Access, Token


class AllowAll:
    """Lets every request pass and makes no tokens."""

    @property
    def enabled(self) -> bool:
        """False: no request needs a signature or token."""
        return False

    def authorize(self, access: Access) -> None:
        """Return, whatever the request."""

    def make_viewer_token(self, access: Access) -> Token | None:
        """Return None: pages need no token."""
        return None

    def make_gallery_token(self, access: Access) -> Token | None:
        """Return None: pages need no token."""
        return None
