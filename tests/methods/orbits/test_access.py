"""Access windows against a fine scan of the same geometry, sunlight, and lines of sight."""

from datetime import UTC, datetime

import numpy as np
import pytest

from assay.methods.orbits.access import (
    Site,
    line_of_sight,
    sees_target,
    station_windows,
    sunlit_windows,
    target_windows,
    union,
)
from assay.methods.orbits.frames import azimuth_elevation, geodetic_to_ecef
from assay.methods.orbits.satellites import Satellite, Sensor, positions_ecef, walker

START = datetime(2026, 1, 13, tzinfo=UTC)
(ELEMENTS,) = walker("2026-01-13T00:00:00Z", 97.6, 1, 1, 0, 550)
SATELLITE = Satellite("s", elements=ELEMENTS)
SVALBARD = Site("svalbard", 78.23, 15.4)


def test_station_windows_are_where_a_one_second_scan_finds_elevation_over_the_mask():
    (windows,) = station_windows(SATELLITE, [SVALBARD], START, 86400)
    t = np.arange(0, 86401.0)
    _, elevation = azimuth_elevation(78.23, 15.4, 0, positions_ecef(SATELLITE, START, t))
    scanned = elevation >= 10
    inside = np.zeros(len(t), bool)
    for begin, end in windows:
        inside[begin : end + 1] = True
    assert 8 <= len(windows) <= 15
    assert not np.any(inside & ~scanned)
    assert np.count_nonzero(scanned & ~inside) <= 60  # only a pass shorter than the grid, or sub-second edges


def test_target_windows_hold_the_off_nadir_limit_and_the_sun():
    sites = [Site("kampala", 0.3, 32.6), Site("cape town", -33.9, 18.4)]
    for site, windows in zip(sites, target_windows(SATELLITE, sites, START, 5 * 86400)):
        assert windows
        for begin, end in windows:
            assert end - begin <= 95
            assert sees_target(SATELLITE, [site], START, np.arange(begin, end + 1), None).all()


def test_a_radar_sees_in_the_dark_what_a_camera_does_not():
    polar_night = Site("longyearbyen", 78.2, 15.6)
    radar = Satellite("r", elements=ELEMENTS, sensor=Sensor(min_sun_elevation=None))
    assert target_windows(SATELLITE, [polar_night], START, 86400) == [[]]
    assert len(target_windows(radar, [polar_night], START, 86400)[0]) >= 3


def test_off_nadir_of_a_target_below_is_zero_and_of_the_far_side_never_seen():
    below = positions_ecef(SATELLITE, START, [0])[0]
    lon = np.degrees(np.arctan2(below[1], below[0]))
    radar = Satellite("r", elements=ELEMENTS, sensor=Sensor(min_sun_elevation=None))
    lat = np.degrees(np.arcsin(below[2] / np.linalg.norm(below)))
    near, far = Site("near", lat, lon), Site("far", -lat, lon - 180 if lon > 0 else lon + 180)
    assert sees_target(radar, [near, far], START, [0.0], None).tolist() == [[True], [False]]


def test_a_low_satellite_spends_a_third_of_its_orbit_in_shadow_unless_it_flies_the_terminator():
    shares = []
    for raan in range(0, 360, 30):
        (e,) = walker("2026-01-13T00:00:00Z", 97.6, 1, 1, 0, 550, raan)
        windows = sunlit_windows(Satellite("s", elements=e), START, 86400)
        shares.append(sum(b - a for a, b in windows) / 86400)
    assert 0.60 < min(shares) < 0.66  # arcsin(R / (R + h)) / 180 = 0.37 of the orbit is dark at most
    assert max(shares) == pytest.approx(1, abs=0.01)


def test_the_line_of_sight_is_cut_by_the_earth_and_its_air():
    one, beside, behind = [7000.0, 0, 0], [0, 7000.0, 0], [-7000.0, 1, 0]
    assert line_of_sight([one, one], [[6900.0, 900, 0], behind]).tolist() == [True, False]
    assert not line_of_sight(one, beside)  # the chord of 90 degrees passes at 4950 km


def test_windows_that_touch_are_one():
    assert union([(5, 7), (0, 3), (3, 4)]) == [(0, 4), (5, 7)]


def test_a_site_off_the_globe_is_refused():
    with pytest.raises(ValueError, match="latitude: got 95"):
        Site("x", 95, 0)
    assert geodetic_to_ecef(0, 0).shape == (3,)
