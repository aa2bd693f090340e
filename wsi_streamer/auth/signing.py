"""Signatures of URLs and of tokens: pure functions of a secret and of what is signed.

Each is the HMAC-SHA256 of a message in UTF-8, as lower-case hexadecimal digits. The messages are
`{path}?{canonical query}` and `viewer:{slide_id}:{exp}`, which other tools make too, and our own
`gallery:{exp}`. A path begins with "/" and `exp` is digits, so no two requests share a message.
"""

import hashlib
import hmac
from collections.abc import Iterable

from wsi_streamer.auth.query import Pairs, canonical_query
from wsi_streamer.errors import BadParameter


def is_origin_path(path: str) -> bool:
    """Say whether a path is one of this server: of "/tiles/a", "//host/a" and "http://host/a"."""
    return path.startswith("/") and not path.startswith("//") and "?" not in path


def path_message(path: str, pairs: Pairs) -> str:
    """Return what is signed for a path as it is sent and its parameters, `exp` among them.

    Raises BadParameter unless `is_origin_path(path)`: such a path may spell another message.
    """
    if not is_origin_path(path):
        raise BadParameter(f'a path to sign begins with one "/" and has no "?": {path[:80]!r}')
    return f"{path}?{canonical_query(pairs)}"


def viewer_message(slide_id: str, exp: int) -> str:
    """Return what is signed for a token that opens one slide."""
    return f"viewer:{slide_id}:{exp}"


def gallery_message(exp: int) -> str:
    """Return what is signed for a token that opens the listing, thumbnails and viewer pages."""
    return f"gallery:{exp}"


def sign_path(secret: bytes, path: str, params: Pairs, exp: int) -> str:
    """Return the signature of a path as it will be sent and of decoded parameters.

    `exp` is in Unix seconds and not in `params`. Raises BadParameter for what is not a path.
    """
    return _sign(secret, path_message(path, [*params, ("exp", str(exp))]))


def sign_viewer(secret: bytes, slide_id: str, exp: int) -> str:
    """Return the token of a slide, named by its decoded id."""
    return _sign(secret, viewer_message(slide_id, exp))


def sign_gallery(secret: bytes, exp: int) -> str:
    """Return the token of the gallery."""
    return _sign(secret, gallery_message(exp))


def matches(secrets: Iterable[bytes], message: str, signature: str) -> bool:
    """Say whether one of the secrets gives this signature, in a time that does not tell which."""
    given = _encode(signature)
    # A list: any() of a generator would stop at the first secret that fits.
    return any([hmac.compare_digest(_encode(_sign(key, message)), given) for key in secrets])


def _sign(secret: bytes, message: str) -> str:
    return hmac.new(secret, _encode(message), hashlib.sha256).hexdigest()


def _encode(text: str) -> bytes:
    # A lone surrogate in a hostile request must not match; it must not be a server error either.
    return text.encode("utf-8", "surrogatepass")
