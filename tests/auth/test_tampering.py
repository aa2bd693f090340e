"""What the holder of one signed URL may try."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auth.signed_requests import EXP, NOW, hmac_hex, refusal
from wsi_streamer.auth.base import Scope
from wsi_streamer.auth.query import parse_query
from wsi_streamer.errors import BadParameter, InvalidSignature

PATH = "/slides/folder%2Fsub%20x.svs/thumbnail"
PARAMS = f"exp={EXP}&max_size=256&search=a/b+c%25"
SIG = hmac_hex(f"{PATH}?exp={EXP}&max_size=256&search=a/b c%25")
QUERY = f"{PARAMS}&sig={SIG}"


def passes(path: str, query: str) -> bool:
    return refusal(path, query, scope=Scope.THUMBNAIL, slide_id="folder/sub x.svs") is None


def is_same_request(query: str) -> bool:
    """Say whether a query has exactly the parameters that were signed, in any order."""
    try:
        return sorted(parse_query(query)) == sorted(parse_query(QUERY))
    except BadParameter:
        return False


def edits(text: str) -> Iterator[str]:
    """Yield what one small edit makes of a text: flips, losses, doubles, insertions, swaps."""
    for at, letter in enumerate(text):
        before, after = text[:at], text[at + 1 :]
        yield from (before + chr(ord(letter) ^ 1 << bit) + after for bit in range(8))
        yield before + after
        yield before + letter + text[at:]
        yield before + f"%{ord(letter):02X}" + after
        yield before + f"%25{ord(letter):02X}" + after
        yield from (before + new + text[at:] for new in "/.&=;#?%+ 0A\x00é\udc80")
        yield before + after[:1] + letter + after[1:]


def test_the_untouched_url_opens() -> None:
    assert passes(PATH, QUERY)


def test_no_edit_of_the_path_opens_another_picture() -> None:
    tried = {path for path in edits(PATH) if path != PATH}

    assert len(tried) > 900
    assert [path for path in tried if passes(path, QUERY)] == []


def test_an_edit_of_the_query_opens_only_what_means_the_same() -> None:
    tried = {query for query in edits(QUERY) if query != QUERY}
    opened = {query for query in tried if passes(PATH, query)}

    assert len(tried) > 2_000
    assert opened == {query for query in tried if is_same_request(query)}
    # Encoded letters and "+" as "%20": 130 bytes, each in at most two other spellings.
    assert 0 < len(opened) < 300


@pytest.mark.parametrize(
    "path",
    [
        PATH.replace("%2F", "%2f"),
        PATH.replace("%2F", "/"),
        PATH.replace("%2F", "%252F"),
        PATH.replace("%20", "+"),
        PATH.replace("%20", " "),
        PATH.upper(),
        PATH + "/",
        PATH + "/.",
        PATH + "/../thumbnail",
        PATH + "%2F..",
        PATH + "?",
        PATH + "#",
        PATH + "%00",
        "/" + PATH,
        "/." + PATH,
        "/x/.." + PATH,
        "http://evil" + PATH,
        "//evil" + PATH,
        "\\" + PATH,
        "*",
        "",
        "/",
    ],
)
def test_a_path_has_no_second_spelling(path: str) -> None:
    assert refusal(path, QUERY, scope=Scope.LISTING) is InvalidSignature


def test_the_order_of_parameters_does_not_break_a_link() -> None:
    first, second, third, sig = QUERY.split("&")

    assert passes(PATH, f"{sig}&{third}&{second}&{first}")
    assert passes(PATH, f"{second}&{sig}&{first}&{third}")


def test_a_space_may_be_sent_as_plus_or_percent_20() -> None:
    assert passes(PATH, QUERY.replace("+", "%20"))
    assert not passes(PATH, QUERY.replace("+", "%2B"))
    assert not passes(PATH, QUERY.replace("+", "%2520"))


@pytest.mark.parametrize(
    "piece", [*QUERY.split("&"), "quality=100", "quality", "=", "x=%26", "vt="]
)
def test_nothing_can_be_added_or_doubled(piece: str) -> None:
    assert not passes(PATH, f"{QUERY}&{piece}")
    assert not passes(PATH, f"{piece}&{QUERY}")
    assert not passes(PATH, f"{QUERY};{piece}")
    assert not passes(PATH, f"{QUERY}%26{piece}")


@pytest.mark.parametrize("at", range(4))
def test_nothing_can_be_left_out(at: int) -> None:
    pieces = QUERY.split("&")

    assert not passes(PATH, "&".join(pieces[:at] + pieces[at + 1 :]))


def test_a_signed_cursor_cannot_be_turned_into_a_later_expiry() -> None:
    # The published scheme joins decoded text, so these two requests had one message.
    soon, later = NOW + 1, 9_999_999_999
    cursor = f"foo&exp={later}"
    published = hmac_hex(f"/slides?cursor={cursor}&exp={soon}&limit=5")
    ours = hmac_hex(f"/slides?cursor=foo%26exp={later}&exp={soon}&limit=5")
    meant = f"cursor=foo%26exp%3D{later}&exp={soon}&limit=5"
    forged = f"cursor=foo&exp={later}&exp%3D{soon}%26limit=5"

    assert refusal("/slides", f"{meant}&sig={ours}", scope=Scope.LISTING) is None
    for sig in (published, ours):
        assert refusal("/slides", f"{forged}&sig={sig}", scope=Scope.LISTING) is InvalidSignature


def test_a_broken_query_cannot_be_signed_undecoded() -> None:
    sig = hmac_hex(f"{PATH}?a=%25ff&exp={EXP}")

    assert passes(PATH, f"a=%25ff&exp={EXP}&sig={sig}")
    assert not passes(PATH, f"a=%ff&exp={EXP}&sig={sig}")


def test_a_signature_is_no_token_and_a_token_no_signature() -> None:
    token = hmac_hex(f"viewer:folder/sub x.svs:{EXP}")

    assert not passes(PATH, f"{PARAMS}&vt={SIG}")
    assert not passes(PATH, f"{PARAMS}&sig={token}")
    assert passes(PATH, f"{PARAMS}&vt={token}")


def test_where_both_are_sent_the_signature_decides_and_covers_the_token() -> None:
    token = hmac_hex(f"viewer:folder/sub x.svs:{EXP}")
    both = hmac_hex(f"{PATH}?exp={EXP}&vt={token}")

    assert passes(PATH, f"exp={EXP}&vt={token}&sig={both}")
    assert not passes(PATH, f"exp={EXP}&vt={token}&sig={'0' * 64}")
    assert not passes(PATH, f"{QUERY}&vt={token}")


MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, len(PATH) + len(QUERY)),
        st.integers(0, 3),
        st.text(st.sampled_from("/.%25&=+sigexpvt0aF?é\x00"), max_size=4),
    ),
    min_size=1,
    max_size=3,
)


@given(MUTATIONS)
@settings(derandomize=True, max_examples=1_000)
def test_random_damage_never_opens_anything_else(changes: list[tuple[int, int, str]]) -> None:
    url = f"{PATH}?{QUERY}"
    for at, loss, new in changes:
        url = url[:at] + new + url[at + loss :]
    path, _, query = url.partition("?")

    assert passes(path, query) == (path == PATH and is_same_request(query))
