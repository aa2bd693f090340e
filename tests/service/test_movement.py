"""Movement: what tells a viewer from random access, on which bytes and waiting times depend."""

import random

import pytest

from wsi_streamer.model.tile import TileAddress
from wsi_streamer.service.movement import REMEMBERED, Movement, Step


def walk(*places):
    movement = Movement()
    return [movement.note(TileAddress(*place)) for place in places]


def test_the_first_tile_of_a_slide_is_read_alone():
    assert walk((0, 10, 10)) == [Step(is_near=False, down=0)]


@pytest.mark.parametrize("beside", [(0, 11, 10), (0, 12, 10), (0, 9, 10), (0, 10, 11), (0, 11, 9)])
def test_a_viewer_is_known_by_its_second_tile(beside):
    steps = walk((0, 10, 10), beside)
    assert [step.is_near for step in steps] == [False, True]


def test_a_tile_long_after_its_neighbour_is_read_alone():
    others = [(0, 10 * number, 50) for number in range(1, 6)]
    assert not walk((0, 10, 10), *others, (0, 11, 10))[-1].is_near
    assert walk((0, 10, 10), (0, 50, 70), (0, 11, 10))[-1].is_near


@pytest.mark.parametrize("far", [(0, 13, 10), (0, 10, 12), (1, 11, 10), (0, 40, 80)])
def test_a_tile_elsewhere_is_read_alone(far):
    assert not walk((0, 10, 10), (0, 10, 10), (0, 10, 10), far)[-1].is_near
    assert not walk((0, 10, 10), (0, 9, 10), (0, 9, 9), (0, 10, 9), (0, 50, 50))[-1].is_near


def test_the_same_tile_again_does_not_make_a_viewer():
    assert not walk((0, 10, 10), (0, 10, 10))[1].is_near


@pytest.mark.parametrize(
    ("places", "down"),
    [
        ([(0, 5, 5), (0, 6, 5), (0, 7, 5)], 1),
        ([(0, 5, 5), (0, 5, 6), (0, 5, 7)], 1),
        ([(0, 5, 5), (0, 5, 4), (0, 5, 3)], -1),
        ([(0, 5, 5), (0, 5, 7), (0, 6, 7), (0, 5, 6)], 0),
    ],
)
def test_a_viewer_that_loads_rows_finds_the_next_one_read(places, down):
    assert walk(*places)[-1].down == down


def test_random_access_to_a_large_slide_hardly_ever_pays_for_neighbours():
    rng = random.Random(7)
    movement = Movement()
    steps = [
        movement.note(TileAddress(0, rng.randrange(156), rng.randrange(117))) for _ in range(2000)
    ]
    assert sum(step.is_near for step in steps) / len(steps) < 0.01


def test_what_is_remembered_of_a_slide_is_bounded():
    movement = Movement()
    for col in range(10 * REMEMBERED):
        movement.note(TileAddress(0, col, 0))
    assert not movement.note(TileAddress(0, 1, 0)).is_near
