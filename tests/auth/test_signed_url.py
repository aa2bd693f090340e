"""Which requests pass, and what the others are told."""

import json
from pathlib import Path

import pytest

from tests.auth.signed_requests import (
    EXP,
    NOW,
    OTHER_SECRET,
    SECRET,
    hmac_hex,
    make_authenticator,
    page,
    refusal,
)
from wsi_streamer.auth.base import Access, Authenticator, Scope
from wsi_streamer.auth.signed_url import SignedUrlAuthenticator
from wsi_streamer.errors import (
    ConfigError,
    InvalidExpiryFormat,
    InvalidSignature,
    InvalidSignatureFormat,
    MissingExpiry,
    MissingSignature,
    SignatureExpired,
    Unauthorized,
)

TILE = "/tiles/a.svs/0/0/0.jpg"
SIG = hmac_hex(f"{TILE}?exp={EXP}")
GOOD = f"exp={EXP}&sig={SIG}"
VECTORS = json.loads(Path(__file__).with_name("signing-vectors.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["signed_urls"], ids=lambda vector: vector["message"])
def test_urls_signed_by_existing_tools_open(vector: dict) -> None:
    escapes = str.maketrans({"%": "%25", "&": "%26", " ": "+", "Ä": "%C3%84"})
    params = [f"{key}={value.translate(escapes)}" for key, value in vector["params"]]
    query = "&".join([*params, f"exp={vector['exp']}", f"sig={vector['sig']}"])

    authenticator = make_authenticator(VECTORS["secret"].encode(), now=vector["exp"])

    assert refusal(vector["path"], query, authenticator=authenticator) is None


@pytest.mark.parametrize("scope", Scope)
def test_a_signed_url_opens_whatever_it_is_for(scope: Scope) -> None:
    assert refusal(TILE, GOOD, scope=scope) is None


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", MissingSignature),
        ("quality=80", MissingSignature),
        (f"exp={EXP}", MissingSignature),
        ("exp=x", MissingSignature),
        (f"SIG={SIG}&exp={EXP}", MissingSignature),
        (f"sig[]={SIG}&exp={EXP}", MissingSignature),
        (f"sig={SIG}", MissingExpiry),
        ("sig=x", MissingExpiry),
        ("vt=x", MissingExpiry),
        (f"sig={SIG}&Exp={EXP}", MissingExpiry),
        ("sig=x&exp=x", InvalidExpiryFormat),
        ("sig=x&exp", InvalidExpiryFormat),
        (f"sig=x&exp={EXP}&exp={EXP}", InvalidExpiryFormat),
        (f"sig={SIG}&exp={NOW - 1}&exp={EXP}", InvalidExpiryFormat),
        (f"sig=x&exp={NOW - 1}", SignatureExpired),
        (f"sig=x&sig=x&exp={NOW - 1}", SignatureExpired),
        (f"sig=x&exp={EXP}", InvalidSignatureFormat),
        (f"sig&exp={EXP}", InvalidSignatureFormat),
        (f"vt=&exp={EXP}", InvalidSignatureFormat),
        (f"sig={SIG}&sig={SIG}&exp={EXP}", InvalidSignatureFormat),
        (f"sig={SIG}&sig=x&exp={EXP}", InvalidSignatureFormat),
        (f"vt={SIG}&vt={SIG}&exp={EXP}", InvalidSignatureFormat),
        (f"sig={SIG}&vt=x&vt=x&exp={EXP}", InvalidSignatureFormat),
        (f"sig={'0' * 64}&exp={EXP}", InvalidSignature),
        (f"vt={'0' * 64}&exp={EXP}", InvalidSignature),
        (f"sig={SIG}&exp={EXP + 1}", InvalidSignature),
    ],
)
def test_a_user_is_told_the_first_thing_that_is_wrong(query: str, error: type) -> None:
    assert refusal(TILE, query) is error


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("%zz", MissingSignature),
        ("a=%ff", MissingSignature),
        ("&", MissingSignature),
        (f"sig={SIG}&&", MissingExpiry),
        (f"sig={SIG}&exp=%zz", InvalidExpiryFormat),
        (f"sig={SIG}&exp={NOW - 1}&&", SignatureExpired),
        (f"sig=%ff&exp={EXP}", InvalidSignatureFormat),
        (f"sig=é&exp={EXP}", InvalidSignatureFormat),
        (f"sig=\udcff&exp={EXP}", InvalidSignatureFormat),
        (f"{GOOD}&", InvalidSignature),
        (f"&{GOOD}", InvalidSignature),
        (f"{GOOD}#", InvalidSignatureFormat),
        (f"a=%0A&{GOOD}", InvalidSignature),
        (f"a=%ff&{GOOD}", InvalidSignature),
        (f"{'a&' * 60}{GOOD}", InvalidSignature),
        (f"a={'b' * 9000}&{GOOD}", InvalidSignature),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_a_broken_query_is_told_the_same_way_and_is_no_server_error(
    query: str, error: type
) -> None:
    assert refusal(TILE, query) is error


@pytest.mark.parametrize(
    "signature",
    [
        SIG.upper(),
        SIG[:-1],
        SIG + "0",
        SIG + "%0A",
        "+" + SIG[1:],
        SIG[:10] + "+" + SIG[10:],
        "0x" + SIG[2:],
        "%C3%A9" * 32,
        "%EF%BC%91" * 64,
        "g" * 64,
        "-" + SIG,
    ],
)
def test_a_signature_has_one_spelling(signature: str) -> None:
    is_hex = signature == SIG.upper()
    expected = InvalidSignature if is_hex else InvalidSignatureFormat
    assert refusal(TILE, f"sig={signature}&exp={EXP}") is expected
    assert refusal(TILE, f"vt={signature}&exp={EXP}") is expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "-1", "%2B5", "+5", "05", "5.0", "5e9", "0x5", "nan", "inf", "1_0", "%D9%A3"),
        *("%EF%BC%95", f"0{EXP}", f"%20{EXP}", f"{EXP}+", f"{EXP}.0", f"{EXP}%0A", f"{EXP},"),
        *("1" + "0" * 12, str(2**53), str(2**63), str(2**64), "9" * 5000),
    ],
    ids=lambda text: text[:30],
)
def test_no_spelling_of_the_expiry_makes_a_link_live_longer(text: str) -> None:
    for name in ("sig", "vt"):
        assert refusal(TILE, f"{name}={SIG}&exp={text}") is InvalidExpiryFormat


@pytest.mark.parametrize(
    ("exp", "now", "error"),
    [
        (0, NOW, SignatureExpired),
        (NOW - 1, NOW, SignatureExpired),
        (NOW, NOW + 1, SignatureExpired),
        (NOW, NOW, None),
        (NOW, NOW + 0.999, None),
        (NOW + 1, NOW, None),
        (2**31, NOW, None),
        (2**32, NOW, None),
        (10**12 - 1, NOW, None),
    ],
)
def test_a_link_lives_to_the_end_of_its_last_second(
    exp: int, now: float, error: type | None
) -> None:
    query = f"exp={exp}&sig={hmac_hex(f'{TILE}?exp={exp}')}"

    assert refusal(TILE, query, authenticator=make_authenticator(now=now)) is error


def test_rotating_the_secret_breaks_no_link() -> None:
    old = f"exp={EXP}&sig={hmac_hex(f'{TILE}?exp={EXP}', SECRET)}"
    new = f"exp={EXP}&sig={hmac_hex(f'{TILE}?exp={EXP}', OTHER_SECRET)}"
    before, during, after = (
        make_authenticator(SECRET),
        make_authenticator(OTHER_SECRET, SECRET),
        make_authenticator(OTHER_SECRET),
    )

    assert refusal(TILE, old, authenticator=before) is None
    assert refusal(TILE, old, authenticator=during) is None
    assert refusal(TILE, new, authenticator=during) is None
    assert refusal(TILE, new, authenticator=after) is None
    assert refusal(TILE, old, authenticator=after) is InvalidSignature


def test_tokens_are_made_with_the_first_secret_and_read_with_all() -> None:
    token = make_authenticator(OTHER_SECRET, SECRET).make_viewer_token(page("a.svs"))

    assert token is not None
    query = f"vt={token.vt}&exp={token.exp}"
    assert refusal(TILE, query, authenticator=make_authenticator(OTHER_SECRET)) is None
    assert refusal(TILE, query, authenticator=make_authenticator(SECRET, OTHER_SECRET)) is None
    assert refusal(TILE, query, authenticator=make_authenticator(SECRET)) is InvalidSignature


@pytest.mark.parametrize("secrets", [(), (b"",), (SECRET, b"")])
def test_an_empty_secret_does_not_open_the_server_to_all(secrets: tuple[bytes, ...]) -> None:
    with pytest.raises(ConfigError):
        SignedUrlAuthenticator(secrets, view_is_public=True, token_ttl_s=60)


def test_authentication_is_on_and_reads_the_clock_by_itself() -> None:
    authenticator: Authenticator = SignedUrlAuthenticator(
        (SECRET,), view_is_public=False, token_ttl_s=60
    )
    token = authenticator.make_viewer_token(page("a.svs"))

    assert authenticator.enabled
    assert token is not None
    authenticator.authorize(
        Access(Scope.SLIDE, TILE, f"vt={token.vt}&exp={token.exp}", slide_id="a.svs")
    )


def test_no_error_text_gives_the_right_signature_away() -> None:
    queries = ["", f"sig={'0' * 64}&exp={EXP}", f"sig=x&exp={EXP}", "sig=x", "sig=x&exp=x"]
    for query in queries:
        with pytest.raises(Unauthorized) as caught:
            make_authenticator().authorize(Access(Scope.SLIDE, TILE, query, "a.svs"))
        assert SIG not in str(caught.value)
        assert SECRET.decode() not in str(caught.value)


@pytest.mark.parametrize("signature", ["ab", "00" * 31, "00" * 32, "00" * 33, "ABCDEF"])
def test_hexadecimal_of_any_length_is_a_signature_that_does_not_match(signature: str) -> None:
    assert refusal(TILE, f"sig={signature}&exp={EXP}") is InvalidSignature
