"""The published signing scheme, written down once more without our own code."""

import hashlib
import hmac
import time
from urllib.parse import quote

SECRET = "a-secret-for-tests-of-more-than-32-bytes"


def sign(path: str, params: dict[str, str], exp: int, secret: str = SECRET) -> str:
    """Return the signature of a path as it is sent and of decoded parameters."""
    pairs = sorted({**params, "exp": str(exp)}.items())
    query = "&".join(f"{key}={value}" for key, value in pairs)
    return _hmac(f"{path}?{query}", secret)


def signed_target(path: str, params: dict[str, str] | None = None, exp: int | None = None) -> str:
    """Return the path with its query, good for ten minutes."""
    exp = exp if exp is not None else in_future()
    params = params or {}
    pairs = {**params, "exp": str(exp), "sig": sign(path, params, exp)}
    return f"{path}?" + "&".join(f"{key}={quote(value, safe='')}" for key, value in pairs.items())


def token(slide_id: str, exp: int, secret: str = SECRET) -> str:
    """Return the token that opens one slide."""
    return _hmac(f"viewer:{slide_id}:{exp}", secret)


def in_future() -> int:
    """Return a time that has not come yet."""
    return int(time.time()) + 600


def in_past() -> int:
    """Return a time that is over."""
    return int(time.time()) - 60


def _hmac(message: str, secret: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
