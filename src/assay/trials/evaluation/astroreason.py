"""Does a specialised solver plan satellites clearly better than an agent that works through tools?

Four families of the same seed at load factor 1.6. baseline: the greedy planner as an agent, 150 tool calls a case,
blind to windows it did not query. placebo: the same CP-SAT with the physics that couples actions taken out (no
slew, storage or battery; no setup and teardown of antennas), its plan repaired by dropping what is not possible.
CP-SAT stops after a fixed amount of counted work on one worker, so results repeat bit by bit.

The score of a family is divided by the bound that CP-SAT proves in the fixture; all arms share it. `greedy` (all
windows known, no limit of calls) and `random` are shown beside the judged arms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assay.engine.trial import Bar, Cost, Fixture, Measures, Metric, Trial
from assay.methods.evaluation.astroreason import (
    Case,
    Flight,
    Plan,
    Session,
    agent_greedy,
    cp_sat,
    greedy,
    random_feasible,
    repair,
    verify,
)

TOOL_CALLS = 150
WORK = 0.5  # CP-SAT's deterministic time a case, in its own units (about a second or two)

World = dict[str, dict[str, Any]]
Bounds = dict[str, float]


def bounds(world: World, models: object, seed: int) -> Bounds:
    """Family -> no plan of the solver's candidates scores more."""
    return {family: solve(Case.from_json(case)).bound or 1.0 for family, case in world.items()}


def baseline(world: World, models: object, seed: int, fixture: Bounds) -> Measures:
    def act(case: Case, flight: Flight) -> Plan:
        return agent_greedy(Session(case, flight=flight), TOOL_CALLS)

    return scored(world, fixture, act)


def placebo(world: World, models: object, seed: int, fixture: Bounds) -> Measures:
    return scored(world, fixture, lambda case, flight: repair(case, solve(case, flight, False).plan, flight))


def method(world: World, models: object, seed: int, fixture: Bounds) -> Measures:
    return scored(world, fixture, lambda case, flight: solve(case, flight).plan)


def greedy_free(world: World, models: object, seed: int, fixture: Bounds) -> Measures:
    return scored(world, fixture, greedy)


def random(world: World, models: object, seed: int, fixture: Bounds) -> Measures:
    rng = np.random.default_rng(seed)
    return scored(world, fixture, lambda case, flight: random_feasible(case, rng, flight))


def solve(case: Case, flight: Flight | None = None, coupled: bool = True) -> Any:
    return cp_sat(case, deterministic_time=WORK, coupled=coupled, flight=flight)


def scored(world: World, reference: Bounds, planner: Any) -> Measures:
    """Mean over families of score / bound; an impossible plan scores 0."""
    shares, actions, invalid = {}, 0, 0
    for family, data in world.items():
        case = Case.from_json(data)
        flight = Flight(case)
        plan = planner(case, flight)
        verified = verify(case, plan, flight)
        shares[family] = verified.score / reference[family]
        actions, invalid = actions + len(plan), invalid + (not verified.valid)
    extra = {f"share_{family}": share for family, share in shares.items()}
    return Measures(float(np.mean(list(shares.values()))), Cost(env_steps=actions), extra | {"invalid": float(invalid)})


trial = Trial(
    paper="2601.11354",
    claim="Specialised solvers plan satellites clearly better than a planner that acts through tools.",
    headline="general agents fall clearly below specialised solvers on every family",
    metric=Metric("share of the solver's bound", better="higher", unit="mean over families", range=(0, 1)),
    bar=Bar(versus="baseline", relative=0.20),
    arms={
        "baseline": baseline,
        "placebo": placebo,
        "method": method,
        "greedy_free": greedy_free,
        "random": random,
    },
    world="orbits/cases",
    world_args={"families": ["satnet", "revisit", "regional", "stereo"], "load_factor": 1.6, "hours": 24.0},
    quick_args={"families": ["satnet", "revisit"]},
    fixture=Fixture(bounds),
    seeds=16,
    quick_seeds=2,
    extras=("evaluation",),
    floor="random",
)
