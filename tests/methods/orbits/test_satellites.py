"""Propagation against the published SGP4 verification vectors, TLE checks and the Walker pattern."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from assay.methods.orbits.satellites import Elements, Satellite, propagate, read_tles, walker

VANGUARD = (
    "1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753",
    "2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667",
)
EPOCH = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=178.78495062)


def test_vanguard_flies_the_published_verification_vectors():
    r, v = propagate(Satellite("vanguard", tle=VANGUARD), EPOCH, [0, 360 * 60])
    assert r[0] == pytest.approx([7022.46529266, -1400.08296755, 0.03995155], abs=1e-3)
    assert v[0] == pytest.approx([1.893841015, 6.405893759, 4.534807250], abs=1e-6)
    assert r[1] == pytest.approx([-7154.03120202, -3783.17682504, -3536.19412294], abs=1e-2)


def test_elements_give_the_altitude_and_the_inclination_they_name():
    (element,) = walker("2026-01-13T00:00:00Z", 97.6, 1, 1, 0, 550)
    start = datetime(2026, 1, 13, tzinfo=UTC)
    r, v = propagate(Satellite("s", elements=element), start, np.arange(0, 6000, 10))
    height = np.linalg.norm(r, axis=1) - 6378.135
    normal = np.cross(r, v)
    inclination = np.degrees(np.arccos(normal[:, 2] / np.linalg.norm(normal, axis=1)))
    assert 535 < height.min() < 550 < height.max() < 570
    assert inclination == pytest.approx(97.6, abs=0.1)


def test_a_walker_pattern_spreads_planes_satellites_and_phases():
    pattern = walker("2026-01-13T00:00:00Z", 51.6, 8, 4, 1, 500)
    assert [e.raan for e in pattern[::2]] == [0, 90, 180, 270]
    assert [e.mean_anomaly for e in pattern[:4]] == [0, 180, 45, 225]
    with pytest.raises(ValueError, match="divisor"):
        walker("2026-01-13T00:00:00Z", 51.6, 8, 3, 1, 500)


def test_a_wrong_checksum_is_named_with_its_line():
    broken = (VANGUARD[0][:-1] + "4", VANGUARD[1])
    with pytest.raises(ValueError, match="TLE line 1 has checksum 4, its digits give 3"):
        Satellite("vanguard", tle=broken)


def test_a_tle_file_gives_named_satellites(tmp_path):
    path = tmp_path / "sats.tle"
    path.write_text("VANGUARD 1\n" + "\n".join(VANGUARD) + "\n")
    (satellite,) = read_tles(path)
    assert satellite.id == "VANGUARD_1"
    path.write_text("nothing here\n")
    with pytest.raises(ValueError, match="no two-line element set"):
        read_tles(path)


def test_an_epoch_far_from_the_horizon_warns():
    with pytest.warns(UserWarning, match="epoch is .* days from"):
        propagate(Satellite("old", tle=VANGUARD), EPOCH + timedelta(days=40), [0])


def test_an_orbit_that_sgp4_cannot_fly_names_satellite_and_code():
    sunk = Satellite("sunk", elements=Elements("2026-01-13T00:00:00Z", altitude_km=-300, inclination=50, raan=0))
    with pytest.raises(ValueError, match=r"satellite sunk: SGP4 error \d"):
        propagate(sunk, datetime(2026, 1, 13, tzinfo=UTC), [0])


def test_a_satellite_survives_json_and_refuses_unknown_keys():
    (element,) = walker("2026-01-13T00:00:00Z", 97.6, 1, 1, 0, 550)
    satellite = Satellite("s", elements=element)
    assert Satellite.from_json(satellite.to_json()) == satellite
    assert Satellite.from_json(Satellite("v", tle=VANGUARD).to_json()).tle == VANGUARD
    with pytest.raises(ValueError, match="wings"):
        Satellite.from_json({**satellite.to_json(), "wings": 2})
    with pytest.raises(ValueError, match="either elements or tle"):
        Satellite("none")
