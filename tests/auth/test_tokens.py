"""What a token opens, and what it must not."""

from itertools import product
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auth.signed_requests import EXP, NOW, hmac_hex, make_authenticator, page, refusal
from wsi_streamer.auth.base import Scope
from wsi_streamer.errors import InvalidSignature, MissingExpiry, MissingSignature, SignatureExpired

SLIDE_IDS = [
    "a",
    "A",
    "a:1",
    "a:1:2",
    f"a:{EXP}",
    ":a",
    "a/b",
    "a%2Fb",
    "a%252Fb",
    "a?b",
    "a&b=c",
    "ab",
    "a.svs",
    "a.svs ",
    "a.svs.",
    "../a",
    "viewer:a",
    normalize("NFC", "é.svs"),
    normalize("NFD", "é.svs"),
    "gallery",
    "a" * 900,
    "🔬\udcff",
]

# What opens what: the rows of the README.
OPENED_BY_VIEWER_TOKEN = {Scope.SLIDE, Scope.THUMBNAIL}
OPENED_BY_GALLERY_TOKEN = {Scope.LISTING, Scope.THUMBNAIL, Scope.VIEW, Scope.GALLERY}


def viewer_query(slide_id: str) -> str:
    token = make_authenticator().make_viewer_token(page(slide_id))
    assert token is not None
    return f"vt={token.vt}&exp={token.exp}"


def gallery_query() -> str:
    token = make_authenticator().make_gallery_token(page(""))
    assert token is not None
    return f"vt={token.vt}&exp={token.exp}"


def test_the_token_of_one_patient_opens_no_slide_of_another() -> None:
    tokens = {slide_id: viewer_query(slide_id) for slide_id in SLIDE_IDS}

    opened = [
        (asked, of, scope)
        for asked, of, scope in product(SLIDE_IDS, SLIDE_IDS, Scope)
        if refusal("/tiles/x", tokens[of], scope=scope, slide_id=asked) is None
    ]

    assert len(set(tokens.values())) == len(SLIDE_IDS) == 22
    assert opened == [
        (slide_id, slide_id, scope)
        for slide_id in SLIDE_IDS
        for scope in Scope
        if scope in OPENED_BY_VIEWER_TOKEN
    ]


@given(st.text(max_size=20), st.text(max_size=20))
@settings(derandomize=True, max_examples=300)
def test_tokens_of_two_slides_are_never_the_same(one: str, other: str) -> None:
    is_open = refusal("/tiles/x", viewer_query(one), slide_id=other) is None

    assert is_open == (one == other != "")


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("slide_id", ["", "a.svs", "gallery"])
def test_the_token_of_the_gallery_opens_the_gallery_and_no_pixels(
    scope: Scope, slide_id: str
) -> None:
    found = refusal("/slides", gallery_query(), scope=scope, slide_id=slide_id)

    assert found is (None if scope in OPENED_BY_GALLERY_TOKEN else InvalidSignature)


@pytest.mark.parametrize("scope", Scope)
def test_a_token_of_no_slide_opens_nothing(scope: Scope) -> None:
    assert refusal("/slides", viewer_query(""), scope=scope, slide_id="") is InvalidSignature


@pytest.mark.parametrize("params", ["", "quality=95", "max_size=64&quality=1", "x=%26", "_=1&_=1"])
def test_the_viewer_may_ask_for_its_slide_in_every_way(params: str) -> None:
    query = "&".join(filter(None, [params, viewer_query("a.svs")]))

    assert refusal("/tiles/a.svs/3/1/2.jpg", query) is None
    assert refusal("/slides/a.svs/dzi_files/9/0_0.jpg", query) is None


@pytest.mark.parametrize("path", ["", "tiles/a.svs", "//evil/tiles/a.svs", "http://evil/a.svs"])
def test_a_token_does_not_help_a_request_to_another_host(path: str) -> None:
    assert refusal(path, viewer_query("a.svs")) is InvalidSignature


@pytest.mark.parametrize("broken", ["", "a=%ff", "a=%zz", "a=%00", "a=1&&b=2", "#"])
def test_a_token_does_not_help_a_query_that_the_views_might_read_otherwise(broken: str) -> None:
    assert refusal("/tiles/a.svs", f"{broken}&{viewer_query('a.svs')}") is InvalidSignature


def test_a_token_lives_as_long_as_configured() -> None:
    token = make_authenticator(now=NOW + 0.9).make_viewer_token(page("a.svs"))
    gallery = make_authenticator(now=NOW + 0.9).make_gallery_token(page(""))

    assert token is not None
    assert gallery is not None
    assert token.exp == gallery.exp == NOW + 3600
    assert token.vt == hmac_hex(f"viewer:a.svs:{NOW + 3600}")
    assert gallery.vt == hmac_hex(f"gallery:{NOW + 3600}")
    late = make_authenticator(now=NOW + 3601)
    query = f"vt={token.vt}&exp={token.exp}"
    assert refusal("/tiles/x", query, authenticator=late) is SignatureExpired


def test_a_viewer_opened_from_the_gallery_ends_with_the_gallerys_token() -> None:
    authenticator = make_authenticator(now=NOW)
    soon = authenticator.make_viewer_token(page("a.svs", f"vt={'0' * 64}&exp={NOW + 60}"))
    late = authenticator.make_viewer_token(page("a.svs", f"vt={'0' * 64}&exp={NOW + 9999}"))

    assert soon is not None
    assert late is not None
    assert (soon.exp, late.exp) == (NOW + 60, NOW + 3600)


def test_a_gallery_opened_with_its_own_token_cannot_renew_itself_for_ever() -> None:
    first = make_authenticator(now=NOW).make_gallery_token(page(""))

    assert first is not None
    again = make_authenticator(now=NOW + 60).make_gallery_token(
        page("", f"vt={first.vt}&exp={first.exp}")
    )
    assert again == first


def test_a_gallery_lives_as_long_as_the_link_that_opened_it() -> None:
    link = f"sig={'0' * 64}&exp={NOW + 28_800}"
    token = make_authenticator(now=NOW).make_gallery_token(page("", link))

    assert token is not None
    assert token.exp == NOW + 28_800


@pytest.mark.parametrize("exp", [EXP - 1, EXP + 1, NOW + 3601, 9_999_999_999])
def test_a_token_cannot_be_made_to_live_longer(exp: int) -> None:
    vt = hmac_hex(f"viewer:a.svs:{EXP}")

    assert refusal("/tiles/x", f"vt={vt}&exp={EXP}") is None
    assert refusal("/tiles/x", f"vt={vt}&exp={exp}") is InvalidSignature


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("view_is_public", [True, False])
def test_only_a_public_viewer_page_opens_without_anything(
    scope: Scope, view_is_public: bool
) -> None:
    authenticator = make_authenticator(view_is_public=view_is_public)
    opens = scope is Scope.VIEW and view_is_public
    for query in ("", "theme=dark", f"exp={EXP}", "a=%ff"):
        found = refusal("/view/a.svs", query, scope=scope, authenticator=authenticator)
        assert found is (None if opens else MissingSignature)


@pytest.mark.parametrize("view_is_public", [True, False])
def test_what_is_sent_to_the_viewer_page_must_be_right(view_is_public: bool) -> None:
    def told(query: str) -> object:
        authenticator = make_authenticator(view_is_public=view_is_public)
        return refusal("/view/a.svs", query, scope=Scope.VIEW, authenticator=authenticator)

    sig = hmac_hex(f"/view/a.svs?exp={EXP}")
    assert told(f"sig={sig}&exp={EXP}") is None
    assert told(gallery_query()) is None
    assert told(f"sig={sig}") is MissingExpiry
    assert told(f"sig={sig}&exp={NOW - 1}") is SignatureExpired
    assert told(f"sig={'0' * 64}&exp={EXP}") is InvalidSignature
    # Otherwise the token of a page would make the next one, and access would never end.
    assert told(viewer_query("a.svs")) is InvalidSignature
