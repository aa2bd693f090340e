"""Signatures that existing tools make and read."""

import ast
import json
from pathlib import Path

import pytest

import wsi_streamer.auth
from tests.auth.signed_requests import OTHER_SECRET, SECRET, hmac_hex
from wsi_streamer.auth import signing
from wsi_streamer.errors import BadParameter

VECTORS = json.loads(Path(__file__).with_name("signing-vectors.json").read_text("utf-8"))
SIGNED_URLS, VIEWER_TOKENS = VECTORS["signed_urls"], VECTORS["viewer_tokens"]


@pytest.mark.parametrize("vector", SIGNED_URLS, ids=lambda vector: vector["message"])
def test_links_signed_by_existing_tools_keep_working(vector: dict) -> None:
    params = [tuple(pair) for pair in vector["params"]]
    pairs = [*params, ("exp", str(vector["exp"]))]
    secret = VECTORS["secret"].encode()

    assert signing.path_message(vector["path"], pairs) == vector["message"]
    assert signing.sign_path(secret, vector["path"], params, vector["exp"]) == vector["sig"]
    assert signing.matches((secret,), vector["message"], vector["sig"])


@pytest.mark.parametrize("vector", VIEWER_TOKENS, ids=lambda vector: vector["message"])
def test_viewer_tokens_made_by_existing_tools_keep_working(vector: dict) -> None:
    secret = VECTORS["secret"].encode()

    assert signing.viewer_message(vector["slide_id"], vector["exp"]) == vector["message"]
    assert signing.sign_viewer(secret, vector["slide_id"], vector["exp"]) == vector["vt"]
    assert signing.matches((secret,), vector["message"], vector["vt"])


def test_the_gallery_token_is_no_token_of_a_slide_called_gallery() -> None:
    assert signing.sign_gallery(SECRET, 1000) == hmac_hex("gallery:1000")
    assert signing.sign_gallery(SECRET, 1000) != signing.sign_viewer(SECRET, "gallery", 1000)


def test_a_path_that_is_not_ascii_is_signed_as_it_is_sent() -> None:
    assert signing.sign_path(SECRET, "/tiles/Ä.svs", [], 1000) == hmac_hex("/tiles/Ä.svs?exp=1000")


@pytest.mark.parametrize(
    "path", ["", "viewer:a", "gallery:1", "tiles/a", "//host/a", "http://host/a", "/a?b=1", "?"]
)
def test_signing_a_path_never_makes_a_token_or_the_link_to_something_else(path: str) -> None:
    with pytest.raises(BadParameter, match="a path to sign"):
        signing.sign_path(SECRET, path, [("x", "y:99999")], 1000)


def test_while_secrets_are_rotated_links_of_both_work() -> None:
    for secret in (SECRET, OTHER_SECRET):
        signature = signing.sign_path(secret, "/a", [], 1000)
        assert signing.matches((SECRET, OTHER_SECRET), "/a?exp=1000", signature)
        assert signing.matches((OTHER_SECRET, SECRET), "/a?exp=1000", signature)


def test_a_link_of_a_withdrawn_secret_is_dead() -> None:
    assert not signing.matches((SECRET,), "/a?exp=1000", hmac_hex("/a?exp=1000", OTHER_SECRET))
    assert not signing.matches((), "/a?exp=1000", hmac_hex("/a?exp=1000"))


@pytest.mark.parametrize("signature", ["", "é" * 32, "\ud800", "\x00", "0" * 64, "a" * 10_000])
def test_odd_text_in_place_of_a_signature_does_not_match_and_does_not_crash(signature: str) -> None:
    assert not signing.matches((SECRET,), "/a\udcff?exp=1000", signature)


def test_signatures_are_compared_in_one_place_and_in_constant_time() -> None:
    folder = Path(wsi_streamer.auth.__file__).parent
    calls = [
        (path.name, node.attr)
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("compare_digest", "hexdigest")
    ]

    assert sorted(calls) == [("signing.py", "compare_digest"), ("signing.py", "hexdigest")]
