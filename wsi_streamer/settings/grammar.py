"""The grammar of settings: from text to values, or ValueError with what is expected."""

import re
from collections.abc import Callable

# An origin is a scheme, a host and maybe a port (RFC 6454); no wildcards.
ORIGIN = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")

SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}


def parse_size(text: str) -> int:
    """Return the bytes that "100MB", "2GiB" or "4096" means; raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-z]*)", text.strip().lower(), re.A)
    if not match or match[2] not in SIZE_UNITS:
        raise ValueError("a size such as 100MB, 2GiB or a number of bytes")
    return int(float(match[1]) * SIZE_UNITS[match[2]])


def size(low: int, high: int = 10**15) -> Callable[[str], int]:
    """Return a parser of sizes in bytes from `low` to `high`."""

    def parse(text: str) -> int:
        value = parse_size(text)
        if low <= value <= high:
            return value
        raise ValueError(f"a size from {low} to {high} bytes")

    return parse


def parse_host(text: str) -> str:
    """Return a host name or address; IPv6 may stand in brackets, as in a URL."""
    return text.strip().removeprefix("[").removesuffix("]")


def parse_bool(text: str) -> bool:
    """Return what "true", "1", "yes" or "on" and their opposites mean; raises ValueError."""
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    try:
        return words[text.strip().lower()]
    except KeyError:
        raise ValueError("true or false") from None


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers from `low` to `high`."""

    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,15}", text.strip(), re.A) and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"an integer from {low} to {high}")

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of durations in seconds."""

    def parse(text: str) -> float:
        is_number = re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text.strip(), re.A)
        if is_number and low <= float(text) <= high:
            return float(text)
        raise ValueError(f"a number of seconds from {low:g} to {high:g}")

    return parse


def choice(*words: str) -> Callable[[str], str]:
    """Return a parser that accepts one of some words."""

    def parse(text: str) -> str:
        if text.strip().lower() in words:
            return text.strip().lower()
        raise ValueError(" or ".join(words))

    return parse


def parse_origins(text: str) -> tuple[str, ...]:
    """Return the origins of a comma-separated list; "any" and "*" give ("*",)."""
    origins = tuple(part.strip().rstrip("/") for part in text.split(",") if part.strip())
    if "any" in origins or "*" in origins:
        return ("*",)
    if any(not ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError('"any", or origins such as https://example.com, separated by commas')
    return origins
