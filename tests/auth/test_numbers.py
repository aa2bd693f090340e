"""One spelling for each number."""

import pytest

from wsi_streamer.auth.numbers import parse_decimal

OTHER_SPELLINGS = [
    "",
    " ",
    "-1",
    "-0",
    "+5",
    "05",
    "00",
    "5.0",
    "5e9",
    "0x5",
    "0b1",
    "nan",
    "inf",
    " 5",
    "5 ",
    "5\n",
    "\t5",
    "5\x00",
    "1_0",
    "1,000",
    "٣",
    "５",
    "²",
    "५",
    "𝟓",
    "5٣",
    "five",
    "1" * 10,
    "9" * 5000,
]


@pytest.mark.parametrize("text", ["0", "1", "9", "10", "80", "1000", "999999999"])
def test_plain_numbers_are_understood(text: str) -> None:
    assert str(parse_decimal(text)) == text


@pytest.mark.parametrize("text", OTHER_SPELLINGS, ids=lambda text: ascii(text)[:20])
def test_a_tile_has_no_second_address_that_spells_its_numbers_otherwise(text: str) -> None:
    with pytest.raises(ValueError, match="not a number of at most 9 digits"):
        parse_decimal(text)


def test_the_caller_decides_how_many_digits_make_sense() -> None:
    assert parse_decimal("999999999999", 12) == 999_999_999_999
    with pytest.raises(ValueError, match="at most 12 digits"):
        parse_decimal("1000000000000", 12)
