from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service.pixel_cache import PixelCache, PixelKey, Pixels


def tile(value: int, side: int = 16) -> Pixels:
    return np.full((side, side, 3), value, np.uint8)


def key(col: int, slide_id: str = "a.svs", version: str = "v1", reduce: int = 0) -> PixelKey:
    return PixelKey(slide_id, version, TileAddress(0, col, 0), reduce)


def test_pixels_come_back_for_their_own_key_only() -> None:
    cache = PixelCache(100_000)
    cache.put(key(1), tile(7))
    found = cache.get(key(1))
    assert found is not None
    assert (found == 7).all()
    for other in (key(2), key(1, slide_id="b.svs"), key(1, version="v2"), key(1, reduce=1)):
        assert cache.get(other) is None


def test_pixels_that_requests_share_cannot_be_painted_over() -> None:
    cache = PixelCache(100_000)
    pixels = tile(7)
    cache.put(key(1), pixels)
    found = cache.get(key(1))
    assert found is not None
    for shared in (pixels, found):
        with pytest.raises(ValueError, match="read-only"):
            shared[0, 0] = 0


def test_pixels_stay_as_they_were_when_the_array_they_came_from_is_painted_over() -> None:
    cache = PixelCache(100_000)
    canvas = tile(7, side=64)
    cache.put(key(1), canvas[:16, :16])
    canvas[:] = 0
    found = cache.get(key(1))
    assert found is not None
    assert (found == 7).all()
    assert found.base is None  # the 64 x 64 canvas can be freed


def test_least_recently_used_pixels_go_first() -> None:
    cache = PixelCache(10 * (16 * 16 * 3 + 512))
    for col in range(10):
        cache.put(key(col), tile(col))
    cache.get(key(0))
    cache.put(key(10), tile(10))
    assert cache.get(key(0)) is not None
    assert cache.get(key(1)) is None


def test_one_large_array_does_not_push_out_the_rest() -> None:
    cache = PixelCache(40_000)
    cache.put(key(1), tile(1))
    cache.put(key(2), tile(2, side=60))  # 10,800 bytes, more than a quarter
    assert cache.get(key(2)) is None
    assert cache.get(key(1)) is not None


def test_a_cache_of_no_bytes_keeps_nothing() -> None:
    cache = PixelCache(0)
    cache.put(key(1), tile(1))
    cache.put(key(2), np.empty((0, 0, 3), np.uint8))
    assert cache.get(key(1)) is None
    assert cache.get(key(2)) is None


def test_threads_never_see_the_pixels_of_another_key() -> None:
    cache = PixelCache(20_000)

    def work(seed: int) -> int:
        wrong = 0
        for step in range(2000):
            col = (step * 7 + seed) % 50
            found = cache.get(key(col))
            if found is None:
                cache.put(key(col), tile(col))
            else:
                wrong += int(found[0, 0, 0] != col)
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 0
