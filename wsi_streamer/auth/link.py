"""Signed links as the `sign` command prints them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from wsi_streamer.auth.query import BROKEN_ESCAPE, CONTROL, encode_query, parse_query
from wsi_streamer.auth.signing import sign_path
from wsi_streamer.errors import BadParameter

RESERVED_NAMES = ("sig", "exp", "vt")
MAX_EXPIRY = 10**12 - 1
BASE_URL = re.compile(r"[!-~]*")

# What a request line can hold of a path (RFC 3986, sections 3.3 and 2.1) and the "?" behind it.
SENT_AS_IS = "/%!$&'()*+,;=:@?"


@dataclass(frozen=True, slots=True)
class Link:
    """A signed URL and its parts.

    `path` is the path that was signed, `expiry` is in Unix seconds, `ttl` in seconds.
    """

    signature: str
    expiry: int
    path: str
    ttl: int
    url: str


def make_link(
    secret: bytes,
    path: str,
    *,
    ttl_s: int,
    base_url: str,
    params: Sequence[tuple[str, str]],
    now: float,
) -> Link:
    """Return the link to a path that is good for `ttl_s` seconds from `now`.

    The server verifies the path as it is sent, so the path is signed as given if it can be sent
    like that; characters that cannot (spaces, quotes, "<", "#", "é", a lone "%") are
    percent-encoded first, in the URL too. A query in `path` joins `params`, which are decoded.
    Raises BadParameter for a path that does not begin with one "/", for parameters that signing
    itself adds, and for what the server would refuse.
    """
    sent_path, _, query = _as_sent(path).partition("?")
    pairs = [*parse_query(query), *params]
    for name, _ in pairs:
        if name in RESERVED_NAMES:
            raise BadParameter(f"{name} is added by signing, it cannot be a parameter")
    expiry = int(now) + ttl_s
    if ttl_s < 1 or expiry > MAX_EXPIRY:
        raise BadParameter(f"a link cannot be good for {ttl_s} seconds")
    if not BASE_URL.fullmatch(base_url):
        raise BadParameter(f"the base URL has characters that must be encoded: {base_url!r}")
    signature = sign_path(secret, sent_path, pairs, expiry)
    full_query = encode_query([*pairs, ("exp", str(expiry)), ("sig", signature)])
    url = f"{base_url.rstrip('/')}{sent_path}?{full_query}"
    return Link(signature, expiry, sent_path, ttl_s, url)


def _as_sent(path: str) -> str:
    if CONTROL.search(path):
        raise BadParameter(f"the path has a control character: {path[:80]!r}")
    try:
        return quote(BROKEN_ESCAPE.sub("%25", path), safe=SENT_AS_IS)
    except UnicodeEncodeError as exc:
        raise BadParameter(f"the path is not Unicode text: {path[:80]!r}") from exc
