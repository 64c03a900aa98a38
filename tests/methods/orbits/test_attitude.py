"""Slew times worked by hand, pointing quaternions, and where a rolled camera looks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.orbits.attitude import ground_points, pointing, roll_look, slew_time, turn_time
from assay.methods.orbits.frames import ecef_to_geodetic
from assay.methods.orbits.satellites import Agility


def about_x(degrees: float) -> list[float]:
    return [math.sin(math.radians(degrees / 2)), 0, 0, math.cos(math.radians(degrees / 2))]


def test_slew_times_as_worked_by_hand():
    # 3 deg/s is reached in 6 s over 9 deg; 30 deg: 12 s + 12 deg / 3 = 16 s, and 5 s to settle
    assert slew_time(about_x(0), about_x(30)) == pytest.approx(21)
    # 8 deg: never at top rate, sqrt(4 * 8 / 0.5) = 8 s, and 5 s
    assert slew_time(about_x(10), about_x(18)) == pytest.approx(13)
    assert slew_time(about_x(10), about_x(10)) == 0
    assert turn_time(90, Agility(rate=10, acceleration=10, settle_s=0)) == pytest.approx(10)


def test_a_quaternion_and_its_negative_are_the_same_attitude():
    assert slew_time(about_x(40), [-x for x in about_x(40)]) == 0


@given(st.floats(0.01, 179), st.floats(0.01, 179))
def test_a_longer_turn_takes_longer(a, b):
    assert turn_time(min(a, b)) <= turn_time(max(a, b)) + 1e-9


def test_turning_the_look_by_an_angle_turns_the_attitude_by_it():
    r, v = np.array([7000.0, 0, 0]), np.array([0, 7.5, 0])
    nadir = pointing(r, v, -r)
    rolled = pointing(r, v, roll_look(r, v, 20)[0])
    pitched = pointing(r, v, [-math.cos(0.2), math.sin(0.2), 0])
    assert math.degrees(2 * math.acos(abs(nadir @ rolled))) == pytest.approx(20)
    assert 2 * math.acos(abs(nadir @ pitched)) == pytest.approx(0.2)


def test_nadir_hits_the_ground_below_and_a_positive_roll_looks_right():
    r, v = np.array([[6928.0, 0, 0]]), np.array([[0, 0, 7.5]])  # over the equator, flying north
    lat, lon, height = ecef_to_geodetic(ground_points(r, roll_look(r, v, 0)))
    assert (lat[0], lon[0], height[0]) == pytest.approx((0, 0, 0), abs=1e-6)
    _, east, _ = ecef_to_geodetic(ground_points(r, roll_look(r, v, 30)))
    assert 2.8 < east[0] < 3.1  # 550 km up at 30 deg: about 320 km to the right, which is east


def test_a_look_past_the_limb_hits_nothing():
    assert np.isnan(ground_points([[6928.0, 0, 0]], [[0, 0, 1.0]])).all()
