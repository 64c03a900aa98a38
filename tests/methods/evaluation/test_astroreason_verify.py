"""Verifiers of the five families against figures worked by hand."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.evaluation._astro_case import Action, Antenna, Case, LinkRequest, Region, Request, Target
from assay.methods.evaluation._astro_coverage import (
    grid_points,
    is_stereo,
    mapping_value,
    observation_metrics,
    revisit_gaps,
    strip_cover,
)
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_latency import shortest, terminal_violations
from assay.methods.evaluation._astro_satnet import satnet_metrics, track_violations
from assay.methods.evaluation.astroreason import plan_from_json, plan_to_json, verify
from assay.methods.orbits.access import Site
from assay.methods.orbits.satellites import Satellite, Sensor, walker

START = datetime(2026, 1, 13, tzinfo=UTC)
H = 3600
(ELEMENTS,) = walker("2026-01-13T00:00:00Z", 97.6, 1, 1, 0, 550)
RADAR = Satellite("s1", elements=ELEMENTS, sensor=Sensor(min_sun_elevation=None))


def observation(start: float, end: float, to: str = "t1", name: str = "a1") -> Action:
    return Action(name, "observation", "s1", to, start, end)


def track(name: str, by: str, to: str, on: float, off: float) -> Action:
    return Action(name, "track", by, to, on - H, off + 900, on=on, off=off)


@pytest.fixture(scope="module")
def network() -> Case:
    views = {"D1": ((0, 20 * H),), "D1_D2": ((5 * H, 20 * H),)}
    wish = {"duration_s": 4 * H, "duration_min_s": 2 * H, "setup_s": H, "teardown_s": 900, "start": 0, "end": 20 * H}
    return Case(
        family="satnet",
        seed=0,
        start=START,
        horizon_s=24 * H,
        antennas=(Antenna("D1", "here", ((12 * H, 14 * H),)), Antenna("D2", "here")),
        requests=(Request("r1", "M1", views=views, **wish), Request("r2", "M2", views=views, **wish)),
    )


@pytest.fixture(scope="module")
def flight() -> Flight:
    """One radar over two places below its track, two minutes into the day."""
    probe = Flight(Case("revisit", 0, START, 24 * H, satellites=(RADAR,)))
    (lat1, lon1), (lat2, lon2) = probe.ground_track("s1", np.array([120.0, 140.0]))
    targets = (Target("t1", lat1, lon1, duration_s=10), Target("t2", lat2, lon2, duration_s=10))
    station = Site("below", lat1, lon1)
    return Flight(Case("revisit", 0, START, 24 * H, satellites=(RADAR,), targets=targets, stations=(station,)))


def test_gaps_run_from_the_horizons_start_over_every_look_to_its_end():
    looks = [observation(6 * H, 6 * H + 10), observation(18 * H, 18 * H + 10), observation(18 * H + 5, 18 * H + 20)]
    assert revisit_gaps(looks, 24 * H) == [6 * H, 12 * H - 10, 6 * H - 20]
    assert revisit_gaps([], 24 * H) == [24 * H]


def test_gaps_of_zero_are_left_out_and_looks_beyond_the_horizon_are_not_clipped():
    assert revisit_gaps([observation(0, 10), observation(10, 24 * H)], 24 * H) == []
    assert revisit_gaps([observation(6 * H, 30 * H)], 24 * H) == [6 * H]


def test_quotas_count_overlapping_looks_each():
    assert mapping_value([observation(0, 10), observation(5, 15)], Target("t", 0, 0, "mapping", quota=4)) == 0.5
    assert mapping_value([observation(0, 10)] * 9, Target("t", 0, 0, "mapping", quota=3)) == 1


def test_the_revisit_score_weighs_every_target_the_same():
    targets = (Target("m1", 0, 0), Target("m2", 0, 1), Target("q", 0, 2, "mapping", quota=2))
    case = Case("revisit", 0, START, 24 * H, satellites=(RADAR,), targets=targets)
    plan = (observation(12 * H, 12 * H + 8, "m1"), observation(3 * H, 3 * H + 5, "q", "a2"))
    metrics = observation_metrics(case, plan)
    assert metrics["mean_max_gap_h"] == pytest.approx((12 + 24) / 2)
    assert metrics["monitoring"] == pytest.approx(1 - 18 / 24)
    assert metrics["mapping"] == 0.5
    from assay.methods.evaluation._astro_coverage import revisit_score

    assert revisit_score(case, metrics) == pytest.approx((2 * 0.25 + 1 * 0.5) / 3)


def test_a_stereo_pair_is_near_in_time_high_and_15_to_60_degrees_apart_across_north_too():
    assert is_stereo((0, 350, 40), (7200, 20, 40))
    assert not is_stereo((0, 350, 40), (7201, 20, 40))
    assert not is_stereo((0, 350, 30), (60, 20, 40))
    assert is_stereo((0, 0, 40), (60, 15, 40)) and is_stereo((0, 0, 40), (60, 60, 40))
    assert not is_stereo((0, 0, 40), (60, 14, 40)) and not is_stereo((0, 0, 40), (60, 61, 40))


@given(st.tuples(st.floats(0, 9000), st.floats(0, 360), st.floats(0, 90)),
       st.tuples(st.floats(0, 9000), st.floats(0, 360), st.floats(0, 90)))  # fmt: skip
def test_stereo_does_not_ask_which_look_came_first(one, other):
    assert is_stereo(one, other) == is_stereo(other, one)


def test_the_grid_of_a_one_degree_square_has_about_a_hundred_points():
    points = grid_points(Region("r", ((0.05, 0.05), (0.05, 1.05), (1.05, 1.05), (1.05, 0.05))))
    assert len(points) == 100
    assert points.min() == pytest.approx(0.1) and points.max() == pytest.approx(1.0)


def test_a_strip_covers_what_lies_within_half_a_swath(flight):
    strip = Action("a1", "strip", "s1", "x", 110, 130, roll=0.0)
    ((lat, lon),) = flight.strip_path("s1", 120, 120, 0.0)[:1]
    degree_of_lon = 111.2 * np.cos(np.radians(lat))
    points = np.array([[lat, lon], [lat, lon + 8 / degree_of_lon], [lat, lon + 13 / degree_of_lon], [lat + 2, lon]])
    assert strip_cover(flight, strip, points).tolist() == [True, True, False, False]


def test_access_slew_and_overlap_are_named_with_the_actions(flight):
    case = flight.case
    early = observation(115, 125)
    assert verify(case, (early,), flight).valid
    late = verify(case, (observation(1115, 1125),), flight)
    assert not late.valid and late.score == 0 and "access window of t1" in late.violations[0]
    short = verify(case, (observation(115, 120),), flight)
    assert "a1 lasts 5 s, t1 wants 10 s" in short.violations[0]
    hurried = verify(case, (early, observation(126, 136, "t2", "a2")), flight)
    assert "a2: the slew from a1 takes" in hurried.violations[0]
    assert verify(case, (early, observation(145, 155, "t2", "a2")), flight).valid
    overlapping = verify(case, (early, observation(120, 130, "t2", "a2")), flight)
    assert "a2 overlaps a1" in overlapping.violations


def test_data_that_were_never_stored_cannot_be_sent_unless_the_case_allows_it(flight):
    from dataclasses import replace

    (begin, _), *_ = flight.contacts["s1", "below"]
    send = (Action("a1", "downlink", "s1", "below", begin, begin + 30),)
    assert "never stored" in verify(flight.case, send, flight).violations[0]
    loose = Flight(replace(flight.case, strict_storage=False))
    assert verify(loose.case, send, loose).valid


def test_a_good_track_counts_its_hours_and_the_missions_left_out_their_share(network):
    plan = (track("a1", "D1", "r1", 2 * H, 5 * H),)
    verified = verify(network, plan)
    assert verified.valid and verified.score == pytest.approx(3 / 8)
    metrics = satnet_metrics(network, plan)
    assert (metrics["hours"], metrics["U_max"]) == (3, 1)
    assert metrics["U_rms"] == pytest.approx(np.sqrt((0.25**2 + 1) / 2))


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        ([track("a1", "D1", "r1", 2 * H, 3 * H)], "a1: tracks 3600 s, r1 wants 7200 s"),
        ([track("a1", "D1", "r1", 10 * H, 12 * H)], "D1 is down for maintenance"),
        ([track("a1", "D1_D2", "r1", 4 * H, 7 * H)], "longer than the view period of M1 from D1_D2"),
        ([track("a1", "D1", "r1", 1800, 3 * H)], "outside the window of r1"),
        ([Action("a1", "track", "D1", "r1", 0, 5 * H, on=2 * H, off=5 * H - 900)], "wants 3600 s of setup"),
        ([track("a1", "D1", "r1", 2 * H, 5 * H), track("a2", "D1_D2", "r2", 6 * H, 9 * H)], "a2 overlaps a1 on D1"),
        ([track("a1", "D1", "r1", 2 * H, 5 * H), track("a2", "D1", "r1", 15 * H, 18 * H)], "tracked more than once"),
    ],
)  # fmt: skip
def test_every_rule_of_a_track_is_checked(network, plan, complaint):
    assert any(complaint in violation for violation in track_violations(network, plan))


def test_the_shortest_chain_goes_over_satellites_and_no_third_station():
    places = {"a": [0, 0, 0], "b": [10, 0, 0], "x": [5, 1, 0], "y": [5, 9, 0], "c": [5, 0, 0]}
    places = {k: np.array(v, float) for k, v in places.items()}
    edges = [("a", "x"), ("x", "b"), ("a", "y"), ("y", "b"), ("a", "c"), ("c", "b"), ("a", "b")]
    km, chain = shortest("a", "b", edges, places, {"a", "b", "c"})
    assert chain == ["a", "x", "b"] and km == pytest.approx(2 * np.sqrt(26))
    assert shortest("a", "b", [("a", "x")], places, {"a", "b", "c"}) == (np.inf, [])


def test_a_satellite_holds_no_more_links_than_terminals():
    from dataclasses import replace

    one = replace(RADAR, terminals=1)
    case = Case("latency", 0, START, H, satellites=(one,), stations=(Site("p", 0, 0), Site("q", 1, 1)),
                links=(LinkRequest("k", "p", "q", 0, 600),))  # fmt: skip
    first, second = Action("a1", "link", "s1", "p", 0, 60), Action("a2", "link", "s1", "q", 60, 120)
    assert terminal_violations(case, [first, second]) == []
    both = [first, replace(second, start=59)]
    assert terminal_violations(case, both) == ["s1 holds 2 links at once, it has 1 terminals"]


def test_a_plan_survives_json_and_wrong_plans_are_refused_by_name(network):
    plan = (track("a1", "D1", "r1", 2 * H, 5 * H),)
    data = plan_to_json(plan, network)
    assert data["actions"][0]["on"] == "2026-01-13T02:00:00Z"
    assert plan_from_json(data, network) == plan
    good = data["actions"][0]
    for change, complaint in [
        ({"to": "r9"}, "to: unknown id 'r9'"),
        ({"start": "2026-01-13T01:00:00"}, "timestamps need Z or an offset"),
        ({"kind": "dance"}, "got kind 'dance'"),
        ({"end": good["start"]}, "start must lie before end"),
        ({"colour": 1}, "colour"),
        ({"roll": 3.0}, "roll belongs to a strip"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            plan_from_json({"actions": [{**good, **change}]}, network)
    with pytest.raises(ValueError, match="occurs more than once"):
        plan_from_json({"actions": [good, good]}, network)


def test_a_request_outside_the_horizon_is_refused(network):
    data = network.to_json()
    data["requests"][0]["end"] = "2026-01-15T00:00:00Z"
    with pytest.raises(ValueError, match="r1: its window lies outside the horizon"):
        Case.from_json(data)
    with pytest.raises(ValueError, match="family: got 'chess'"):
        Case.from_json({**data, "family": "chess"})
