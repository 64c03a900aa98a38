"""Solvers: every plan is possible, CP-SAT is at its best where that can be known, and its limits bind."""

from dataclasses import replace

import numpy as np
import pytest

from assay.methods.evaluation._astro_case import Antenna, Case, Request
from assay.methods.evaluation._astro_cpsat import _cliques
from assay.methods.evaluation._astro_schedule import EarthSchedule, downlinks
from assay.methods.evaluation.astroreason import (
    FAMILIES,
    Flight,
    Session,
    agent_greedy,
    anneal,
    cp_sat,
    greedy,
    random_feasible,
    repair,
    verify,
)
from assay.methods.orbits.frames import parse_time
from assay.methods.orbits.satellites import Power
from assay.worlds.orbits.cases import generate

H = 3600


@pytest.fixture(scope="module")
def flights() -> dict[str, Flight]:
    return {f: Flight(Case.from_json(generate(f, 1000, hours=12.0))) for f in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_solver_makes_a_possible_plan_and_none_beats_the_bound(flights, family):
    flight = flights[family]
    case, rng = flight.case, np.random.default_rng(0)
    solved = cp_sat(case, deterministic_time=0.2, flight=flight)
    plans = {
        "random": random_feasible(case, rng, flight),
        "greedy": greedy(case, flight),
        "anneal": anneal(case, rng, flight, steps=300),
        "cp_sat": solved.plan,
    }
    if family != "latency":
        plans["agent"] = agent_greedy(Session(case, flight=flight))
    verified = {name: verify(case, plan, flight) for name, plan in plans.items()}
    assert {name: v.violations for name, v in verified.items()} == dict.fromkeys(plans, ())
    slack = 0.002 if family in ("revisit", "latency") else 0.0  # the seconds that passes are wide
    assert all(v.score <= solved.bound + slack + 1e-9 for v in verified.values())
    assert verified["cp_sat"].score >= verified["random"].score


def test_cp_sat_with_counted_work_repeats_exactly(flights):
    first, again = (cp_sat(flights["stereo"].case, deterministic_time=0.2, flight=flights["stereo"]) for _ in range(2))
    assert first == again


def test_cp_sat_serves_two_requests_that_only_fit_one_after_the_other():
    wish = {"duration_s": 4 * H, "duration_min_s": 4 * H, "setup_s": H, "teardown_s": H}
    requests = tuple(
        Request(name, name.upper(), start=0, end=12 * H, views={"D1": ((0, 12 * H),)}, **wish) for name in ("a", "b")
    )
    start = parse_time("2026-01-13T00:00:00Z")
    case = Case("satnet", 0, start, 12 * H, antennas=(Antenna("D1", "here"),), requests=requests)
    solved = cp_sat(case, deterministic_time=1)
    assert (solved.status, solved.bound, verify(case, solved.plan).score) == ("OPTIMAL", 1.0, 1.0)
    flat = cp_sat(replace(case, horizon_s=12 * H), deterministic_time=1, coupled=False)
    assert flat.bound == 1.0


def test_without_physics_the_plan_is_not_possible_until_it_is_repaired(flights):
    flight = flights["revisit"]
    flat = cp_sat(flight.case, deterministic_time=0.2, coupled=False, flight=flight)
    assert not verify(flight.case, flat.plan, flight).valid
    assert verify(flight.case, repair(flight.case, flat.plan, flight), flight).valid


def test_a_weak_battery_binds_in_cp_sat_as_in_the_verifier(flights):
    case = flights["revisit"].case
    hungry = Power(capacity_wh=100, start_share=0.8, idle_w=130, observation_w=20000, charge_w=300)
    weak = Flight(replace(case, satellites=tuple(replace(s, power=hungry) for s in case.satellites)))
    assert not all(EarthSchedule(weak).roomy.values())
    solved = cp_sat(weak.case, deterministic_time=0.3, flight=weak)
    strong = cp_sat(case, deterministic_time=0.3, flight=flights["revisit"])
    assert verify(weak.case, solved.plan, weak).valid
    assert verify(weak.case, solved.plan, weak).score < verify(case, strong.plan).score


def test_downlinks_come_early_and_never_send_what_is_not_there(flights):
    flight = flights["revisit"]
    schedule = EarthSchedule(flight)
    plan = greedy(flight.case, flight)
    for satellite in flight.satellites:
        mine = [a for a in plan if a.by == satellite and a.kind == "observation"]
        sent = downlinks(flight, satellite, mine)
        assert sent is not None
        assert flight.budgets(satellite, [*mine, *sent]) is None
    assert schedule.plan() == ()


def test_a_long_list_of_candidates_is_solved_in_steps_of_six_hours_without_a_bound(flights, monkeypatch):
    flight = flights["stereo"]
    monkeypatch.setattr("assay.methods.evaluation._astro_cpsat.MOST_CANDIDATES", 50)
    solved = cp_sat(flight.case, deterministic_time=0.2, flight=flight)
    verified = verify(flight.case, solved.plan, flight)
    assert solved.bound is None and verified.valid
    assert verified.score >= verify(flight.case, random_feasible(flight.case, np.random.default_rng(0), flight)).score


def test_cliques_hold_every_conflict_and_nothing_else():
    rng = np.random.default_rng(0)
    conflicts = np.triu(rng.random((30, 30)) < 0.3, 1)
    conflicts |= conflicts.T
    held = np.zeros_like(conflicts)
    for clique in _cliques(conflicts):
        held[np.ix_(clique, clique)] = True
    np.fill_diagonal(held, False)
    assert (held == conflicts).all()


def test_limits_that_make_no_sense_are_named(flights):
    case = flights["satnet"].case
    with pytest.raises(ValueError, match="deterministic_time: got 0"):
        cp_sat(case, deterministic_time=0)
    with pytest.raises(ValueError, match="workers: got 0"):
        cp_sat(case, workers=0)
    with pytest.raises(ValueError, match="cooling: got 1"):
        anneal(case, np.random.default_rng(0), cooling=1)
    with pytest.raises(ValueError, match="calls: got 5"):
        agent_greedy(Session(case), calls=5)
