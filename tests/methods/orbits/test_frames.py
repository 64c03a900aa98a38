"""Frames against published worked examples (Vallado, Fundamentals of Astrodynamics) and each other."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.orbits.frames import (
    azimuth_elevation,
    distance_to_path,
    ecef_to_geodetic,
    ecef_to_teme,
    format_time,
    geodetic_to_ecef,
    gmst,
    haversine,
    in_shadow,
    julian_date,
    parse_time,
    sun_direction,
    teme_to_ecef,
)


def test_sidereal_time_matches_the_worked_example_of_20_august_1992():
    jd = julian_date(datetime(1992, 8, 20, 12, 14, tzinfo=UTC))
    assert np.rad2deg(gmst(jd)) == pytest.approx(152.578787810, abs=1e-5)


def test_the_sun_stands_where_the_worked_example_of_2_april_2006_has_it():
    wanted = np.array([0.9771945, 0.1924424, 0.0834308])
    got = sun_direction(julian_date(datetime(2006, 4, 2, tzinfo=UTC)))
    angle = np.degrees(np.arccos(got @ wanted / np.linalg.norm(wanted)))
    assert angle < 0.02


def test_geodetic_latitude_matches_the_worked_example_of_a_high_satellite():
    lat, lon, height = ecef_to_geodetic([6524.834, 6862.875, 6448.296])
    assert (lat, lon, height) == pytest.approx((34.352496, 46.4464, 5085.22), abs=0.01)


def test_north_pole_and_equator_lie_at_the_two_radii_of_wgs84():
    assert geodetic_to_ecef(90, 0)[2] == pytest.approx(6356.7523142, abs=1e-6)
    assert geodetic_to_ecef(0, 0)[0] == pytest.approx(6378.137)


@given(st.floats(-89.9, 89.9), st.floats(-179.9, 179.9), st.floats(-5, 2000))
def test_geodetic_coordinates_survive_the_way_to_the_earth_fixed_frame_and_back(lat, lon, height):
    assert ecef_to_geodetic(geodetic_to_ecef(lat, lon, height)) == pytest.approx((lat, lon, height), abs=1e-6)


@given(st.floats(2.45e6, 2.47e6))
def test_rotating_to_the_earth_fixed_frame_and_back_changes_nothing(jd):
    vector = np.array([7000.0, -1200.0, 300.0])
    assert ecef_to_teme(teme_to_ecef(vector, jd), jd) == pytest.approx(vector)


def test_azimuth_and_elevation_of_things_north_east_and_overhead():
    north = geodetic_to_ecef(1.0, 0.0)
    east = geodetic_to_ecef(0.0, 1.0)
    overhead = geodetic_to_ecef(0.0, 0.0, 500.0)
    azimuth, elevation = azimuth_elevation(0.0, 0.0, 0.0, [north, east, overhead])
    assert azimuth[:2] == pytest.approx([0, 90], abs=1e-6)
    assert elevation[1] == pytest.approx(-0.5, abs=1e-3)  # half the angle of the chord
    assert elevation[2] == pytest.approx(90)


def test_shadow_is_a_cylinder_behind_the_earth():
    sun = np.array([1.0, 0.0, 0.0])
    behind, beside, before = [-7000.0, 0, 0], [-7000.0, 6400, 0], [7000.0, 0, 0]
    assert in_shadow([behind, beside, before], np.tile(sun, (3, 1))).tolist() == [True, False, False]


def test_a_degree_on_the_sphere_is_111_km_and_paris_london_344_km():
    assert haversine(0, 0, 0, 1) == pytest.approx(111.195, abs=0.001)
    assert haversine(48.8566, 2.3522, 51.5074, -0.1278) == pytest.approx(343.6, abs=0.5)


def test_distance_to_a_path_is_to_its_segments_not_only_to_its_corners():
    path = [[0.0, -1.0], [0.0, 1.0]]
    assert distance_to_path([0.1, 0.0, 0.0], [0.0, 0.5, 2.0], path) == pytest.approx([11.1195, 0, 111.195], abs=0.01)


def test_distance_to_a_path_across_the_date_line_is_short():
    assert distance_to_path([0.1], [180.0], [[0.0, 179.5], [0.0, -179.5]])[0] == pytest.approx(11.12, abs=0.01)


def test_timestamps_need_an_offset_and_come_back_in_utc():
    assert parse_time("2026-01-13T01:00:00+01:00") == datetime(2026, 1, 13, tzinfo=UTC)
    assert format_time(datetime(2026, 1, 13, tzinfo=UTC), 61.5) == "2026-01-13T00:01:01.500Z"
    with pytest.raises(ValueError, match="timestamps need Z or an offset"):
        parse_time("2026-01-13T00:00:00")
    with pytest.raises(ValueError, match="wanted ISO 8601"):
        parse_time("yesterday")


def test_a_latitude_beyond_the_pole_is_refused():
    with pytest.raises(ValueError, match="latitude: got 91"):
        geodetic_to_ecef(91, 0)
