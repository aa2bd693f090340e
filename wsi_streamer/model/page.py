"""One page of a listing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """Some names in ascending order; `last` is where the next page goes on after, None at the end.

    A page may hold fewer names than asked for, or none, and still have a next one.
    """

    names: tuple[str, ...]
    last: str | None
