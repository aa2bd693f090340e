"""Query strings: the strict parser, the canonical form that is signed, and the encoder of URLs."""

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes, urlencode

from wsi_streamer.errors import BadParameter

Pairs = Iterable[tuple[str, str]]

MAX_LENGTH = 8 * 1024
MAX_PARAMETERS = 50

# What a request line can hold of a query; "#" would begin a fragment, which is never sent.
REQUEST_TEXT = re.compile(r'[!"$-~]*')
BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# "%" is escaped too, or "%26" and "&" would give the same text.
KEY_ESCAPES = str.maketrans({"%": "%25", "&": "%26", "=": "%3D"})
VALUE_ESCAPES = str.maketrans({"%": "%25", "&": "%26"})


def parse_query(raw: str) -> list[tuple[str, str]]:
    """Return the decoded keys and values of a raw query, in its order; raises BadParameter.

    A key without "=" has the value "". Nothing is repaired: a parser that guesses may read
    another request than the one that was signed.
    """
    if not raw:
        return []
    if len(raw) > MAX_LENGTH:
        raise BadParameter(f"the query is longer than {MAX_LENGTH} characters")
    if not REQUEST_TEXT.fullmatch(raw):
        raise BadParameter("the query has characters that must be percent-encoded")
    if BROKEN_ESCAPE.search(raw):
        raise BadParameter('the query has a "%" without two hexadecimal digits')
    pieces = raw.split("&")
    if len(pieces) > MAX_PARAMETERS:
        raise BadParameter(f"the query has more than {MAX_PARAMETERS} parameters")
    return [_parse_piece(piece) for piece in pieces]


def canonical_query(pairs: Pairs) -> str:
    """Return the text that is signed for some decoded parameters, whatever their order.

    This is the published form, keys and values decoded and sorted by code points, except that
    "%" and "&", and "=" in a key, are escaped. Without that `cursor=a&exp=9` could be one
    parameter or two, and a signature for the one would open the other.
    """
    return "&".join(
        f"{key.translate(KEY_ESCAPES)}={value.translate(VALUE_ESCAPES)}"
        for key, value in sorted(pairs)
    )


def encode_query(pairs: Pairs) -> str:
    """Return the query of a URL, which `parse_query` reads as the same pairs.

    Raises BadParameter if there is no such query.
    """
    try:
        query = urlencode(list(pairs), quote_via=quote, safe="/")
    except UnicodeEncodeError as exc:
        raise BadParameter("a query parameter is not Unicode text") from exc
    parse_query(query)
    return query


def _parse_piece(piece: str) -> tuple[str, str]:
    if not piece:
        raise BadParameter('the query has an empty parameter ("&&", or "&" at an end)')
    key, _, value = piece.partition("=")
    return _decode(key), _decode(value)


def _decode(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise BadParameter(f"the query is not UTF-8: {text[:40]!r}") from exc
    if CONTROL.search(decoded):
        raise BadParameter(f"the query has a control character: {text[:40]!r}")
    return decoded
