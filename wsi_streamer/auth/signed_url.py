"""The authenticator of signed URLs (`sig`), and of the tokens (`vt`) that our pages send.

A signed URL opens exactly itself. A viewer token opens one slide; a gallery token opens what the
gallery shows, so the pixels behind a thumbnail need a viewer page, which has its own token.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from wsi_streamer.auth.base import Access, Scope, Token
from wsi_streamer.auth.numbers import parse_decimal
from wsi_streamer.auth.query import parse_query
from wsi_streamer.auth.signing import (
    gallery_message,
    is_origin_path,
    matches,
    path_message,
    sign_gallery,
    sign_viewer,
    viewer_message,
)
from wsi_streamer.errors import (
    BadParameter,
    ConfigError,
    InvalidExpiryFormat,
    InvalidSignature,
    InvalidSignatureFormat,
    MissingExpiry,
    MissingSignature,
    SignatureExpired,
)

# What the published server takes for hexadecimal; only 64 lower-case digits can match.
SIGNATURE = re.compile(r"(?:[0-9a-fA-F]{2})+")
EXPIRY_DIGITS = 12

# A viewer token does not open the viewer page: the page makes a new token, and so would never end.
VIEWER_SCOPES = frozenset({Scope.SLIDE, Scope.THUMBNAIL})
GALLERY_SCOPES = frozenset({Scope.LISTING, Scope.THUMBNAIL, Scope.VIEW, Scope.GALLERY})


class SignedUrlAuthenticator:
    """Asks for a signature or token; the first of `secrets` signs, all of them verify.

    With `view_is_public` the viewer page opens without either. `now` gives Unix seconds.
    """

    def __init__(
        self,
        secrets: tuple[bytes, ...],
        *,
        view_is_public: bool,
        token_ttl_s: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not secrets or not all(secrets):
            raise ConfigError("authentication is on, but a secret is missing or empty")
        self._secrets = secrets
        self._view_is_public = view_is_public
        self._token_ttl_s = token_ttl_s
        self._now = now

    @property
    def enabled(self) -> bool:
        """True: requests need a signature or token."""
        return True

    def authorize(self, access: Access) -> None:
        """Return if the request may pass; otherwise raise a subclass of Unauthorized.

        What is missing comes first, then what is malformed, then what does not match.
        """
        query = _read_query(access.raw_query)
        signatures, tokens = query.values("sig"), query.values("vt")
        if not signatures and not tokens:
            if access.scope is Scope.VIEW and self._view_is_public:
                return
            raise MissingSignature("neither sig nor vt was sent")
        exp = self._check_expiry(query.values("exp"))
        given = _check_format(signatures, tokens)
        if not query.is_valid or not is_origin_path(access.raw_path):
            raise InvalidSignature("this request cannot have been signed")
        messages = _token_messages(access, exp)
        if signatures:
            messages = [path_message(access.raw_path, query.without("sig"))]
        if not any(matches(self._secrets, message, given) for message in messages):
            raise InvalidSignature("the signature or token is not one for this request")

    def make_viewer_token(self, access: Access) -> Token | None:
        """Return a token for all of the slide whose page was opened.

        It does not outlive a gallery's token with which the page was opened.
        """
        _, by_token = _sent_expiries(access)
        exp = int(self._now()) + self._token_ttl_s
        exp = exp if by_token is None else min(exp, by_token)
        return Token(sign_viewer(self._secrets[0], access.slide_id, exp), exp)

    def make_gallery_token(self, access: Access) -> Token | None:
        """Return a token for the listing, thumbnails and viewer pages.

        It lives as long as the signed URL that was opened, if that is longer. A page opened with
        such a token gets no longer one: it would renew itself for ever.
        """
        by_link, by_token = _sent_expiries(access)
        exp = max(int(self._now()) + self._token_ttl_s, by_link or 0)
        exp = exp if by_token is None else by_token
        return Token(sign_gallery(self._secrets[0], exp), exp)

    def _check_expiry(self, texts: list[str]) -> int:
        if not texts:
            raise MissingExpiry("exp was not sent")
        try:
            (text,) = texts
            exp = parse_decimal(text, EXPIRY_DIGITS)
        except ValueError as exc:
            raise InvalidExpiryFormat("exp must be sent once, as Unix time in seconds") from exc
        # Whole seconds: a URL is good until its second is over, as on the published server.
        now = int(self._now())
        if now > exp:
            raise SignatureExpired(f"the signature or token expired at {exp}, and it is {now} now")
        return exp


@dataclass(frozen=True, slots=True)
class _Query:
    """The parameters of a request; still encoded if the query is not valid."""

    pairs: list[tuple[str, str]]
    is_valid: bool

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def without(self, name: str) -> list[tuple[str, str]]:
        return [pair for pair in self.pairs if pair[0] != name]


def _read_query(raw: str) -> _Query:
    try:
        return _Query(parse_query(raw), is_valid=True)
    except BadParameter:
        # Nothing was signed like this, but whoever wrote it is told first what is missing.
        pieces = [piece.partition("=") for piece in raw.split("&")]
        return _Query([(key, value) for key, _, value in pieces], is_valid=False)


def _sent_expiries(access: Access) -> tuple[int | None, int | None]:
    """Return the expiry of an authorized request's signature, and that of its token."""
    query = _read_query(access.raw_query)
    try:
        exp = parse_decimal((query.values("exp") or [""])[0], EXPIRY_DIGITS)
    except ValueError:
        return None, None
    if query.values("sig"):
        return exp, None
    return None, exp if query.values("vt") else None


def _check_format(signatures: list[str], tokens: list[str]) -> str:
    """Return the signature or token that decides: where both are sent, the signature."""
    given = (signatures or tokens)[0]
    if len(signatures) > 1 or len(tokens) > 1 or not SIGNATURE.fullmatch(given):
        raise InvalidSignatureFormat("sig or vt must be sent once, in hexadecimal digits")
    return given


def _token_messages(access: Access, exp: int) -> list[str]:
    messages = []
    if access.scope in VIEWER_SCOPES and access.slide_id:
        messages.append(viewer_message(access.slide_id, exp))
    if access.scope in GALLERY_SCOPES:
        messages.append(gallery_message(exp))
    return messages
