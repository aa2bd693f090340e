"""Decimal numbers in requests: one spelling for each number, in ASCII."""

import re

# int() also takes "+5", " 5", "1_000", "007" and digits of every script, so one request would
# have many spellings: as many valid URLs, and as many cache entries.
DECIMAL = re.compile(r"0|[1-9][0-9]*")


def parse_decimal(text: str, max_digits: int = 9) -> int:
    """Return the number that `text` spells without sign, space or leading zero.

    Raises ValueError.
    """
    # The length comes first: int() refuses to read some thousands of digits, and takes long.
    if len(text) > max_digits or not DECIMAL.fullmatch(text):
        raise ValueError(f"not a number of at most {max_digits} digits: {text[:40]!r}")
    return int(text)
