"""Which keys may be asked of a storage: the grammar that keeps every request in its place."""

import re

from wsi_streamer.errors import SlideNotFound

MAX_KEY_BYTES = 900

# C0, DEL, C1, the backslash, and surrogates that no UTF-8 can carry.
REFUSED_CHARACTER = re.compile("[\x00-\x1f\x7f-\x9f\\\\\ud800-\udfff]")
REFUSED_SEGMENTS = {"", ".", ".."}


def is_key(key: str) -> bool:
    """Say whether a key is within the grammar, whether or not there is such an object."""
    if REFUSED_CHARACTER.search(key) or len(key.encode()) > MAX_KEY_BYTES:
        return False
    # The empty key, and a slash at either end, give an empty segment as well.
    return REFUSED_SEGMENTS.isdisjoint(key.split("/"))


def check_key(key: str) -> None:
    """Raise SlideNotFound, before any storage is asked, for a key outside the grammar."""
    if not is_key(key):
        # The key is not repeated: it may hold what no log or terminal should see.
        raise SlideNotFound("no slide can have this name")
