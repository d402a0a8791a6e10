"""Flying: CityNav's metrics, and the rewards of FlightGPT and CognitiveDrone against the specification's numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.core.picture import Frame, Point
from saccade.rewards.geometry.paths import Raster, fly, means, overall

# CityNav

coordinate = st.floats(-1e4, 1e4)
paths = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=8)


def test_a_flight_by_hand():
    flight = fly([(0, 0), (30, 0), (30, 40)], goal=(30, 55))
    straight = math.hypot(30, 55)
    assert flight.error == 15
    assert flight.is_success and flight.is_oracle_success
    assert flight.spl == pytest.approx(straight / 70)


def test_twenty_metres_are_inside():
    assert fly([(0, 0), (80, 0)], goal=(100, 0)).is_success
    assert not fly([(0, 0), (79.999, 0)], goal=(100, 0)).is_success


def test_passing_the_goal_is_an_oracle_success_only():
    flight = fly([(0, 0), (100, 0), (200, 0)], goal=(100, 5))
    assert (flight.is_success, flight.is_oracle_success, flight.spl) == (False, True, 0.0)


def test_a_straight_flight_has_full_spl_even_when_it_stops_short():
    """l is then less than l*, and max(l, l*) keeps the ratio at 1."""
    assert fly([(0, 0), (85, 0)], goal=(100, 0)).spl == 1.0
    assert fly([(0, 0), (100, 0)], goal=(100, 0)).spl == 1.0


def test_staying_at_the_goal_has_spl_zero():
    assert fly([(3, 4)], goal=(3, 4)).spl == 0.0
    assert fly([(3, 4)], goal=(3, 4)).is_success


def test_height_does_not_count():
    assert fly([(0, 0, 50), (90, 0, 900)], goal=(100, 0, 0)) == fly([(0, 0), (90, 0)], goal=(100, 0))


def test_a_crash_fails_but_stays_in_the_means():
    good, bad = fly([(0, 0), (100, 0)], goal=(100, 0)), fly([(0, 0), (90, 0)], goal=(100, 0), crashed=True)
    assert (bad.is_success, bad.is_oracle_success, bad.spl, bad.error) == (False, False, 0.0, 10.0)
    assert means([good, bad]) == {"NE": 5.0, "SR": 0.5, "OSR": 0.5, "SPL": 0.5}


def test_overall_weighs_files_by_their_episodes():
    hit, miss = fly([(0, 0)], goal=(10, 0)), fly([(0, 0)], goal=(30, 0))
    assert overall({"easy": [hit], "medium": [], "hard": [miss] * 3})["SR"] == 0.25
    assert overall({"easy": [hit], "hard": [miss] * 3})["NE"] == 25.0


@given(paths, st.tuples(coordinate, coordinate), st.tuples(coordinate, coordinate))
def test_flights_do_not_hang_on_where_the_world_begins(path, goal, shift):
    here = fly(path, goal=goal, radius=500)
    there = fly([(x + shift[0], y + shift[1]) for x, y in path], goal=(goal[0] + shift[0], goal[1] + shift[1]), radius=500)
    assert there.error == pytest.approx(here.error, abs=1e-6)
    assert 0 <= here.spl <= float(here.is_success) <= float(here.is_oracle_success)


@pytest.mark.parametrize("path", [[], [(1,)], [(0, math.nan)], [(math.inf, 0)]])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ValueError, match="pose"):
        fly(path, goal=(0, 0))


def test_no_episodes_have_no_means():
    with pytest.raises(ValueError, match="no episodes"):
        overall({"easy": []})


def test_map_and_world():
    raster = Raster(left=100, top=500)
    assert raster.to_pixel(112.5, 480) == Point(125.0, 200.0, Frame.PIXEL)
    assert raster.to_pixel(112.5, 481).y < 200  # y grows upwards, rows downwards
    assert raster.to_world(Point(0, 0, Frame.PIXEL)) == (100, 500)
    with pytest.raises(TypeError, match="pixels of the original"):
        raster.to_world(Point(0, 0, Frame.MODEL))


@given(coordinate, coordinate)
def test_map_and_world_there_and_back(x, y):
    raster = Raster(left=-37.25, top=1234.5)
    assert raster.to_world(raster.to_pixel(x, y)) == pytest.approx((x, y), abs=1e-6)
