"""The version of an object goes to disk and comes back as what the storage is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsi_streamer.storage.s3_version import S3Version, parse_version

ETAGS = st.text(st.characters(min_codepoint=32, max_codepoint=255), min_size=1).filter(
    lambda etag: "\x85" not in etag
)


@given(ETAGS | ETAGS.map('"{}"'.format), st.integers(0, 10**18 - 1))
def test_whatever_etag_a_storage_gives_comes_back_as_it_was(etag: str, size: int) -> None:
    version = S3Version(etag, size)

    assert parse_version(version.text) == version


@given(st.tuples(ETAGS, st.integers(0, 20)), st.tuples(ETAGS, st.integers(0, 20)))
def test_two_versions_never_look_alike(one: tuple[str, int], other: tuple[str, int]) -> None:
    assert (S3Version(*one).text == S3Version(*other).text) == (one == other)


def test_users_see_a_version_without_quotes() -> None:
    assert S3Version('"9b2cf535f277-3"', 1024).text == "9b2cf535f277-3-1024"
    assert S3Version('W/"9b2c"', 1024).text == '=W/"9b2c"-1024'


@pytest.mark.parametrize("text", ["", "a", "a-", "-5", "a-b", "a\nb-5", "a-" + "9" * 19, "Ü-5"])
def test_other_texts_are_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="not the version"):
        parse_version(text)
