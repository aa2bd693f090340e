"""What the last slides needed is what is asked for of the next one, no less and not much more."""

from wsi_streamer.storage.reach import FIRST_HEAD, FIRST_TAIL, MOST, Reach

KIB, MIB, GIB = 1024, 1024**2, 1024**3


def learned(*openings: list[tuple[int, int]], size: int = GIB) -> tuple[int, int]:
    reach = Reach()
    for used in openings:
        reach.learn(size, used)
    return reach.head_bytes, reach.tail_bytes


def test_nothing_is_known_at_first() -> None:
    assert learned() == (FIRST_HEAD, FIRST_TAIL) == (256 * KIB, 2 * MIB)


def test_less_is_asked_for_once_several_slides_needed_less() -> None:
    used = [(0, 1000), (GIB - 300 * KIB, GIB)]
    assert learned(*[used] * 7) == (256 * KIB, 2 * MIB)
    assert learned(*[used] * 8) == (16 * KIB, 384 * KIB)


def test_a_tail_that_nobody_needs_is_not_asked_for() -> None:
    assert learned(*[[(0, 100 * KIB)]] * 8) == (128 * KIB, 0)


def test_more_is_asked_for_as_soon_as_a_slide_needed_more() -> None:
    little = [[(0, 1000)]] * 8
    assert learned(*little, [(0, 1000), (GIB - MIB, GIB - 5)]) == (16 * KIB, 1280 * KIB)
    assert learned(*little, [(0, 900 * KIB)])[0] == 1136 * KIB


def test_an_odd_slide_does_not_blow_up_what_is_asked_for() -> None:
    scattered = [(at, at + 1000) for at in range(0, GIB, MIB)]
    head, tail = learned(scattered)
    assert (head, tail) == (FIRST_HEAD, MOST)
    assert learned([(0, GIB)]) == (MOST, FIRST_TAIL)
    assert learned(*[[(0, 10), (GIB - 20 * MIB, GIB - 19 * MIB)]] * 8) == (16 * KIB, 0)


def test_a_directory_far_from_the_begin_is_not_read_with_all_that_lies_before_it() -> None:
    assert learned(*[[(0, 16), (2 * MIB, 2 * MIB + 500)]] * 8)[0] == 16 * KIB


def test_what_small_slides_needed_counts_from_the_nearer_end() -> None:
    used = [(0, 16), (900 * KIB, 1000 * KIB)]
    assert learned(*[used] * 8, size=1000 * KIB) == (16 * KIB, 128 * KIB)
    assert learned(*[[(0, 1000)]] * 8, size=1000) == (16 * KIB, 16 * KIB)
