"""The parser of queries, the form that is signed, and the encoder."""

from collections import Counter
from itertools import combinations_with_replacement, product
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsi_streamer.auth.query import canonical_query, encode_query, parse_query
from wsi_streamer.errors import BadParameter

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
TRICKY = st.text(st.sampled_from("ab&=%?+ #;/\"'2356Dé€"), max_size=8)
PAIRS = st.lists(st.tuples(TEXT | TRICKY, TEXT | TRICKY), max_size=6)

REFUSED = {
    "empty piece in the middle": "a=1&&b=2",
    "empty piece at the end": "a=1&",
    "empty piece at the start": "&a=1",
    "only a separator": "&",
    "escape of one digit": "a=%4",
    "escape without digits": "a=%",
    "escape of other letters": "a=%zz",
    "escape of other digits": "a=%\uff11\uff12",
    "broken escape in a key": "%a=1",
    "not UTF-8": "a=%ff",
    "cut UTF-8": "a=%E2%82",
    "overlong UTF-8": "a=%C0%AF",
    "surrogate in UTF-8": "a=%ED%A0%80",
    "not UTF-8 in a key": "%ff=1",
    "null": "a=%00",
    "newline": "a=%0a",
    "delete": "a=%7F",
    "C1 control": "a=%C2%85",
    "raw newline": "a=1\n",
    "raw null": "a=\x00",
    "raw space": "a=1 2",
    "raw text that is not ASCII": "a=é",
    "raw surrogate": "a=\udcff",
    "fragment": "a=1#b",
    "too long": "a=" + "b" * 8192,
    "too many": "&".join(["a=1"] * 51),
}


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", []),
        ("a=1", [("a", "1")]),
        ("b=2&a=1&b=1", [("b", "2"), ("a", "1"), ("b", "1")]),
        ("key", [("key", "")]),
        ("key=", [("key", "")]),
        ("=value", [("", "value")]),
        ("=", [("", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("a=b;c=d", [("a", "b;c=d")]),
        ("q=a+b%20c%2Bd", [("q", "a b c+d")]),
        ("q=%2520", [("q", "%20")]),
        ("a%26b=c%3Dd", [("a&b", "c=d")]),
        ("q=%E2%82%AC%f0%9f%94%ac", [("q", "€🔬")]),
        ("A=1&a=2", [("A", "1"), ("a", "2")]),
    ],
)
def test_the_search_that_a_user_typed_arrives_as_typed(
    raw: str, pairs: list[tuple[str, str]]
) -> None:
    assert parse_query(raw) == pairs


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_a_broken_query_is_refused_and_never_guessed_at(raw: str) -> None:
    with pytest.raises(BadParameter):
        parse_query(raw)


def test_fifty_parameters_and_eight_kibibytes_are_enough_and_accepted() -> None:
    assert len(parse_query("&".join(["a=1"] * 50))) == 50
    assert len(parse_query("a=" + "b" * 8190)[0][1]) == 8190


@given(PAIRS)
@settings(derandomize=True, max_examples=300)
def test_an_encoded_query_is_read_as_it_was_meant(pairs: list[tuple[str, str]]) -> None:
    assert parse_query(encode_query(pairs)) == pairs


@pytest.mark.parametrize("value", ["\x00", "a\nb", "\x85", "\ud800", "a" * 9000])
def test_a_url_that_the_server_would_refuse_is_not_made(value: str) -> None:
    with pytest.raises(BadParameter):
        encode_query([("search", value)])


@given(st.text(max_size=60) | st.text(st.sampled_from("a=&%+2fé#\n\udcff"), max_size=20))
@settings(derandomize=True, max_examples=500)
def test_no_query_is_a_server_error(raw: str) -> None:
    try:
        pairs = parse_query(raw)
    except BadParameter:
        return
    assert parse_query(encode_query(pairs)) == pairs


def test_the_signed_form_is_the_published_one_for_ordinary_values() -> None:
    pairs = [("search", "Tumour Ä"), ("cursor", "c2xpZGU="), ("limit", "5"), ("exp", "1000")]

    assert canonical_query(pairs) == "cursor=c2xpZGU=&exp=1000&limit=5&search=Tumour Ä"


def test_parameters_are_sorted_by_code_points_as_published_tools_sort_them() -> None:
    # U+FF5E comes before U+1F52C, though UTF-16 would sort them the other way round.
    pairs = [("🔬", "1"), ("～", "1"), ("a", "2"), ("a", "10"), ("B", "1"), ("a", "")]

    assert canonical_query(pairs) == "B=1&a=&a=10&a=2&～=1&🔬=1"


def test_sorting_looks_at_the_keys_before_they_are_escaped() -> None:
    assert canonical_query([("=", "1"), ("+", "1")]) == "+=1&%3D=1"


@given(PAIRS)
@settings(derandomize=True, max_examples=300)
def test_what_was_signed_can_be_read_back_so_no_two_requests_share_it(
    pairs: list[tuple[str, str]],
) -> None:
    text = canonical_query([*pairs, ("exp", "1000")])

    read = [tuple(map(unquote, piece.split("=", 1))) for piece in text.split("&")]

    assert read == sorted([*pairs, ("exp", "1000")])


def test_all_small_requests_differ_in_what_is_signed() -> None:
    words = ["".join(letters) for size in range(3) for letters in product("a&=%", repeat=size)]
    pairs = list(product(words, words))
    requests = [[], *([pair] for pair in pairs), *combinations_with_replacement(pairs, 2)]

    shared = [text for text, count in Counter(map(canonical_query, requests)).items() if count > 1]

    assert len(requests) > 97_000
    assert shared == []
