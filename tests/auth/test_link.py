"""Links that the sign command prints are links that open."""

from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auth.signed_requests import NOW, SECRET, hmac_hex, make_authenticator, refusal
from wsi_streamer.auth.base import Scope
from wsi_streamer.auth.link import Link, make_link
from wsi_streamer.auth.query import parse_query
from wsi_streamer.errors import BadParameter

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
NAME = TEXT.filter(lambda text: text not in ("sig", "exp", "vt"))


def link(
    path: str,
    params: Sequence[tuple[str, str]] = (),
    *,
    ttl_s: int = 60,
    base_url: str = "http://localhost:3000",
) -> Link:
    return make_link(SECRET, path, ttl_s=ttl_s, base_url=base_url, params=params, now=NOW + 0.5)


def opens(url: str) -> bool:
    """Say whether a server lets a client pass that sends a URL untouched."""
    parts = urlsplit(url)
    assert url.isascii()
    assert not parts.fragment
    return refusal(parts.path, parts.query, scope=Scope.LISTING) is None


def test_a_plain_link_is_the_published_one() -> None:
    made = link("/tiles/slide.svs/0/0/0.jpg", [("quality", "95")])

    sig = hmac_hex(f"/tiles/slide.svs/0/0/0.jpg?exp={NOW + 60}&quality=95")
    assert made == Link(
        signature=sig,
        expiry=NOW + 60,
        path="/tiles/slide.svs/0/0/0.jpg",
        ttl=60,
        url=f"http://localhost:3000/tiles/slide.svs/0/0/0.jpg?quality=95&exp={NOW + 60}&sig={sig}",
    )
    assert opens(made.url)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/tiles/a%2Fb%20c.svs/0/0/0.jpg", "/tiles/a%2Fb%20c.svs/0/0/0.jpg"),
        ("/tiles/a%2fb.svs/0/0/0.jpg", "/tiles/a%2fb.svs/0/0/0.jpg"),
        ("/slides/O'Brien(1),v=2;x:y@z!$&*+~.svs", "/slides/O'Brien(1),v=2;x:y@z!$&*+~.svs"),
        ("/slides/a b.svs", "/slides/a%20b.svs"),
        ("/slides/a%20b c.svs", "/slides/a%20b%20c.svs"),
        ("/slides/Präparat €.svs", "/slides/Pr%C3%A4parat%20%E2%82%AC.svs"),
        ('/slides/"<a>".svs', "/slides/%22%3Ca%3E%22.svs"),
        ("/slides/case#7.svs", "/slides/case%237.svs"),
        ("/slides/100%.svs", "/slides/100%25.svs"),
        ("/slides/50%-60%20.svs", "/slides/50%25-60%20.svs"),
        ("/slides/a\\b[1]{2}|^`.svs", "/slides/a%5Cb%5B1%5D%7B2%7D%7C%5E%60.svs"),
    ],
)
def test_a_path_is_signed_as_a_browser_will_send_it(path: str, sent: str) -> None:
    made = link(path)

    assert made.path == sent
    assert made.signature == hmac_hex(f"{sent}?exp={NOW + 60}")
    assert opens(made.url)


def test_a_query_in_the_path_is_signed_too() -> None:
    made = link("/slides?limit=5&search=Tumour Ä+1&100%&a%26b=c", [("prefix", "folder/")])

    assert made.path == "/slides"
    assert parse_query(urlsplit(made.url).query)[:-2] == [
        ("limit", "5"),
        ("search", "Tumour Ä 1"),
        ("100%", ""),
        ("a&b", "c"),
        ("prefix", "folder/"),
    ]
    assert opens(made.url)


@given(TEXT, st.lists(st.tuples(NAME, TEXT), max_size=5))
@settings(derandomize=True, max_examples=300)
def test_every_printed_link_opens_whatever_the_slide_is_called(
    name: str, params: list[tuple[str, str]]
) -> None:
    made = link("/slides/" + name.replace("?", ""), params)

    assert opens(made.url)
    assert not opens(made.url.replace("/slides/", "/tiles/"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "viewer:a",
        "viewer:a?x=y:99999",
        "gallery:1",
        "tiles/a",
        "?limit=5",
        "//host/a",
        "http://a/b",
    ],
)
def test_the_command_cannot_be_made_to_sign_a_token(path: str) -> None:
    with pytest.raises(BadParameter, match='begins with one "/"'):
        link(path, [("x", "y:99999")])


@pytest.mark.parametrize("name", ["sig", "exp", "vt"])
def test_parameters_that_signing_adds_cannot_be_chosen(name: str) -> None:
    with pytest.raises(BadParameter, match=f"{name} is added by signing"):
        link("/slides", [(name, "1")])
    with pytest.raises(BadParameter, match=f"{name} is added by signing"):
        link(f"/slides?{name}=1")


@pytest.mark.parametrize(
    "path",
    ["/a\n", "/a\x00", "/a?b=\x1f", "/a?b=%00", "/a?b=%ff", "/a?b&&c", "/a\udcff", "/a?b=\udcff"],
)
def test_a_link_that_the_server_would_refuse_is_not_printed(path: str) -> None:
    with pytest.raises(BadParameter):
        link(path)


@pytest.mark.parametrize("value", ["\n", "\x85", "\udcff", "a" * 9000])
def test_a_parameter_that_the_server_would_refuse_is_not_signed(value: str) -> None:
    with pytest.raises(BadParameter):
        link("/slides", [("search", value)])


def test_too_many_parameters_are_told_when_signing_and_not_when_opening() -> None:
    assert opens(link("/slides", [("a", "1")] * 48).url)
    with pytest.raises(BadParameter, match="more than 50 parameters"):
        link("/slides", [("a", "1")] * 49)


@pytest.mark.parametrize("ttl_s", [0, -1, 10**12])
def test_a_link_that_can_never_open_is_not_printed(ttl_s: int) -> None:
    with pytest.raises(BadParameter, match="cannot be good for"):
        link("/slides", ttl_s=ttl_s)


@pytest.mark.parametrize(
    ("base_url", "begin"),
    [
        ("", "/slides?"),
        ("http://localhost:3000/", "http://localhost:3000/slides?"),
        ("https://wsi.example.org", "https://wsi.example.org/slides?"),
    ],
)
def test_the_base_url_joins_the_path_with_one_slash(base_url: str, begin: str) -> None:
    assert link("/slides", base_url=base_url).url.startswith(begin)


@pytest.mark.parametrize("base_url", ["http://exämple.org", "http://a b", "http://a\n"])
def test_a_base_url_that_cannot_be_sent_is_refused(base_url: str) -> None:
    with pytest.raises(BadParameter, match="base URL"):
        link("/slides", base_url=base_url)


def test_a_link_ends_when_it_says() -> None:
    url = urlsplit(link("/slides", ttl_s=60).url)
    in_time, late = make_authenticator(now=NOW + 60), make_authenticator(now=NOW + 61)

    assert refusal(url.path, url.query, authenticator=in_time) is None
    assert refusal(url.path, url.query, authenticator=late) is not None
