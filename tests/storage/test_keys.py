"""Which keys reach a storage at all."""

import pytest

from wsi_streamer.errors import SlideNotFound
from wsi_streamer.storage.keys import check_key, is_key

GOOD = [
    "a.svs",
    "case 1/slide.svs",
    "Größe/ß.tiff",
    "a+b:c#d?e'f\"g%2F%00.svs",
    "...",
    "..a/b..",
    ".hidden",
    "a" * 900,
    "ä" * 450,
    "\u2028/\N{GRINNING FACE}",
]
BAD = [
    "",
    "/",
    "/a.svs",
    "a.svs/",
    "a//b.svs",
    ".",
    "..",
    "../a.svs",
    "a/../../b.svs",
    "a/./b.svs",
    "a/..",
    "a\\b.svs",
    "..\\a.svs",
    "a\0.svs",
    "a\nb.svs",
    "a\r\nb.svs",
    "a\x1b[2J.svs",
    "a\x7f.svs",
    "a\x85.svs",
    "a\x9f.svs",
    "a\ud800.svs",
    "a\udcff.svs",
    "a" * 901,
    "ä" * 451,
]


@pytest.mark.parametrize("key", GOOD, ids=ascii)
def test_a_name_that_a_hospital_may_give_is_served(key: str) -> None:
    check_key(key)
    assert is_key(key)


@pytest.mark.parametrize("key", BAD, ids=ascii)
def test_a_name_that_could_leave_the_storage_is_refused_and_not_repeated(key: str) -> None:
    assert not is_key(key)
    with pytest.raises(SlideNotFound) as refused:
        check_key(key)
    assert str(refused.value) == "no slide can have this name"
