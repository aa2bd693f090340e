"""Text of paths and queries to values: ASCII digits only, never a silent default."""

from flask import request

from wsi_streamer.auth.numbers import parse_decimal
from wsi_streamer.errors import BadParameter, InvalidLevel, InvalidQuality, TileOutOfBounds
from wsi_streamer.model.tile import TileAddress

TILE_SUFFIX = ".jpg"
# Far beyond any grid, and short enough to be printed in an answer.
MAX_DIGITS = 100


def one(name: str) -> str | None:
    """Return a query parameter, None if it is missing; raises BadParameter if it comes twice."""
    values = _values(name)
    if len(values) > 1:
        raise BadParameter(f"{name} was sent {len(values)} times")
    return values[0] if values else None


def quality() -> int | None:
    """Return the JPEG quality asked for, None if none is; raises InvalidQuality."""
    values = _values("quality")
    if not values:
        return None
    try:
        value = parse_decimal(values[0]) if len(values) == 1 else 0
    except ValueError:
        value = 0
    if not 1 <= value <= 100:
        raise InvalidQuality(
            f"Invalid quality: {', '.join(values)!r} (must be an integer from 1 to 100)"
        )
    return value


def clamped(name: str, default: int, low: int, high: int) -> tuple[int, int]:
    """Return a parameter as sent and as clamped to `low`..`high`; raises BadParameter."""
    text = one(name)
    if text is None:
        return default, default
    try:
        value = _integer(text)
    except ValueError:
        raise BadParameter(f"Invalid {name}: {text!r} (must be an integer)") from None
    return value, min(max(value, low), high)


def tile_address(level: str, col: str, row: str) -> TileAddress:
    """Return the tile that a path names; raises InvalidLevel and TileOutOfBounds.

    Numbers out of every range are let through: only the slide knows the valid ones.
    """
    try:
        level_index = _integer(level)
    except ValueError:
        raise InvalidLevel(f"Invalid level: {level!r} (must be a number from 0)") from None
    try:
        return TileAddress(level_index, _integer(col), _integer(row))
    except ValueError:
        raise TileOutOfBounds(
            f"Tile ({col}, {row}) is out of bounds (x and y must be numbers from 0)"
        ) from None


def _values(name: str) -> list[str]:
    return request.args.getlist(name) if request.query_string else []


def _integer(text: str) -> int:
    if not text.startswith("-"):
        return parse_decimal(text, MAX_DIGITS)
    value = parse_decimal(text[1:], MAX_DIGITS)
    if not value:
        raise ValueError("-0 is no number")
    return -value
