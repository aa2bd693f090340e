"""Quantisation tables of JPEG streams, and the quality that they stand for (ITU-T T.81)."""

import struct
from functools import lru_cache

import numpy as np

from wsi_streamer.errors import DecodeError

# Steps of one component, row by row.
Steps = tuple[int, ...]

# Luminance quantisation, row by row (table K.1).
LUMINANCE: Steps = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
# The places of the 64 steps in the order in which a stream holds them (figure A.6).
ZIGZAG = sorted(
    range(64), key=lambda at: (at // 8 + at % 8, at // 8 if (at // 8 + at % 8) % 2 else at % 8)
)
# A stream has at most four tables, and a level one set of them.
MAX_NUMBER = 3
CACHED_TABLES = 256


def scaled_luminance(quality: int) -> Steps:
    """Return the table that libjpeg makes of K.1 for a quality from 1 to 100 (jcparam.c)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((step * scale + 50) // 100, 1), 255) for step in LUMINANCE)


@lru_cache(CACHED_TABLES)
def estimate_quality(steps: Steps) -> int:
    """Return the quality, 1 to 100, for which libjpeg's own table of luminance is nearest.

    Of a table that libjpeg made, it is the quality that the encoder was given.
    """
    apart = np.abs(_all_luminance() - np.array(steps)).sum(axis=1)
    return int(apart.argmin()) + 1


@lru_cache(1)
def _all_luminance() -> "np.ndarray[tuple[int, int], np.dtype[np.int64]]":
    return np.array([scaled_luminance(quality) for quality in range(1, 101)])


def parse_tables(segment: bytes) -> dict[int, Steps]:
    """Return the tables of a DQT segment by their numbers (B.2.4.1); raises DecodeError."""
    tables: dict[int, Steps] = {}
    position = 0
    while position < len(segment):
        kind, number = segment[position] >> 4, segment[position] & 15
        form = ">64H" if kind else ">64B"
        if kind > 1 or number > MAX_NUMBER or position + 1 + struct.calcsize(form) > len(segment):
            raise DecodeError("a JPEG stream has a damaged quantisation table")
        steps = [0] * 64
        for place, step in zip(
            ZIGZAG, struct.unpack_from(form, segment, position + 1), strict=True
        ):
            steps[place] = step
        tables[number] = tuple(steps)
        position += 1 + struct.calcsize(form)
    return tables
