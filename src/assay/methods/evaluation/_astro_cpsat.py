"""The specialised solver: CP-SAT (OR-Tools) over a family's candidates, with an upper bound on the score.

`coupled=False` takes the physics that ties actions together out (slew, storage, battery; for tracks setup and
teardown); its plan is then not possible, and `repair` drops what is not.

With `deterministic_time` and one worker the search stops after a counted amount of work, not of time, so that a
run repeats bit by bit; `seconds` and several workers are quicker and do not.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from ortools.sat.python import cp_model

from assay.methods.evaluation._astro_case import Action, Case, Plan, Request, numbered
from assay.methods.evaluation._astro_chains import Chain, chains, link_actions
from assay.methods.evaluation._astro_coverage import is_stereo
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_satnet import antennas_of, track_alone
from assay.methods.evaluation._astro_schedule import EarthSchedule, TrackSchedule
from assay.methods.evaluation._astro_storage import add_budgets
from assay.methods.orbits.attitude import turn_time

MOST_CANDIDATES = 2000
ROLLING_S = 6 * 3600
MINUTE_S = 60
Booleans = dict[str, cp_model.IntVar]


@dataclass(frozen=True)
class Limits:
    """How long to search: wall-clock `seconds`, or counted work (`deterministic_time`) on one worker."""

    seconds: float | None = 10.0
    workers: int = 2
    deterministic_time: float | None = None

    def __post_init__(self) -> None:
        for name in ("seconds", "deterministic_time"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}: got {value}, wanted more than 0")
        if self.workers < 1:
            raise ValueError(f"workers: got {self.workers}, wanted at least 1")


@dataclass(frozen=True)
class Solved:
    """A plan; `bound`: no plan of the candidates scores more (None after a rolling horizon); the search's status."""

    plan: Plan
    bound: float | None
    status: str


def cp_sat(
    case: Case,
    seconds: float | None = 10.0,
    workers: int = 2,
    deterministic_time: float | None = None,
    coupled: bool = True,
    flight: Flight | None = None,
) -> Solved:
    """Solve a case. Above 2,000 candidates the horizon is solved in steps of six hours, and there is no bound.

    The plan of an uncoupled model is handed back as it is; see `repair`.
    """
    flight, limits = flight or Flight(case), Limits(seconds, workers, deterministic_time)
    if case.family == "satnet":
        return _solve_tracks(case, limits, coupled)
    schedule = EarthSchedule(flight)
    if len(schedule.candidates) <= MOST_CANDIDATES:
        chosen, bound, status = _solve_earth(schedule, schedule.candidates, limits, coupled)
    else:
        chosen, bound, status = _rolling(schedule, limits, coupled)
    for action in chosen:
        schedule.add(action)
    if case.family != "latency":
        return Solved(schedule.plan(), bound, status)
    links, linked = _solve_chains(flight, limits)
    plan = numbered([*schedule.plan(), *link_actions(flight, links)])
    if case.targets:
        bound = None if bound is None else (bound + linked) / 2
    else:
        bound = linked
    return Solved(plan, bound, status)


def repair(case: Case, plan: Plan, flight: Flight) -> Plan:
    """In order of time, keep the actions that fit beside those kept; downlinks are worked out anew."""
    wanted = [a for a in plan if a.kind in ("observation", "strip", "track")]
    if case.family == "satnet":
        schedule: TrackSchedule | EarthSchedule = TrackSchedule(case)
    else:
        schedule = EarthSchedule(flight, wanted)
    requests, antennas = {r.id: r for r in case.requests}, {a.id: a for a in case.antennas}
    for action in wanted:
        track = case.family == "satnet"
        alone = track_alone(action, requests[action.to], antennas) if track else flight.alone(action)
        if alone is None and schedule.fits(action):
            schedule.add(action)
    return numbered([*schedule.plan(), *(a for a in plan if a.kind == "link")])


def _rolling(schedule: EarthSchedule, limits: Limits, coupled: bool) -> tuple[list[Action], None, str]:
    """Six hours at a time; what was chosen before stands."""
    chosen: list[Action] = []
    status = ""
    for begin in range(0, schedule.case.horizon_s, ROLLING_S):
        block = [a for a in schedule.candidates if begin <= a.start < begin + ROLLING_S]
        chosen, _, status = _solve_earth(schedule, [*chosen, *block], limits, coupled, fixed=chosen)
    return chosen, None, status


def _solve_earth(
    schedule: EarthSchedule, candidates: Sequence[Action], limits: Limits, coupled: bool, fixed: Sequence[Action] = ()
) -> tuple[list[Action], float, str]:
    """Which candidates to take, and a bound on the score."""
    if not candidates:
        return [], 0.0, "OPTIMAL"
    model = cp_model.CpModel()
    taken = {a.id: model.new_bool_var(a.id) for a in candidates}
    for action in fixed:
        model.add(taken[action.id] == 1)
    by_satellite: dict[str, list[Action]] = defaultdict(list)
    for action in candidates:
        by_satellite[action.by].append(action)
    for satellite, mine in by_satellite.items():
        mine.sort(key=lambda a: (a.start, a.end))
        for clique in _cliques(_conflicts(mine, schedule.flight, slews=coupled)):
            model.add_at_most_one(taken[mine[i].id] for i in clique)
        if coupled:
            add_budgets(model, taken, mine, schedule.flight, satellite, schedule.roomy[satellite])
    scale, worth = _earth_objective(model, taken, candidates, schedule)
    model.maximize(worth)
    solver, status = _search(model, limits)
    if status not in ("OPTIMAL", "FEASIBLE"):
        return list(fixed), 1.0, status
    chosen = [a for a in candidates if solver.value(taken[a.id])]
    return chosen, min(1.0, solver.best_objective_bound / scale), status


def _conflicts(mine: Sequence[Action], flight: Flight, slews: bool) -> np.ndarray:
    """(n, n) whether two actions of one satellite, in order of time, exclude each other."""
    longest = turn_time(180, flight.satellites[mine[0].by].agility) if slews else 0.0
    found = np.zeros((len(mine), len(mine)), bool)
    for i, first in enumerate(mine):
        for j in range(i + 1, len(mine)):
            gap = mine[j].start - first.end
            if gap >= longest and gap >= 0:
                break
            found[i, j] = found[j, i] = gap < 0 or (slews and flight.slew(first, mine[j]) > gap + 1e-6)
    return found


def _cliques(conflicts: np.ndarray) -> list[list[int]]:
    """Sets of actions of which at most one can be taken, that together hold every conflict.

    Grown greedily: far fewer and far stronger than pairs, which a linear bound satisfies with halves.
    """
    open_pairs, found = np.triu(conflicts), []
    for i in range(len(conflicts)):
        while open_pairs[i].any():
            clique = [i, int(np.argmax(open_pairs[i]))]
            common = conflicts[clique[0]] & conflicts[clique[1]]
            while common.any():
                clique.append(int(np.argmax(common)))
                common &= conflicts[clique[-1]]
            clique.sort()
            open_pairs[np.ix_(clique, clique)] = False
            found.append(clique)
    return found


def _earth_objective(
    model: cp_model.CpModel, taken: Booleans, candidates: Sequence[Action], schedule: EarthSchedule
) -> tuple[float, cp_model.LinearExprT]:
    """A linear objective and the number it is to be divided by to be the score."""
    case = schedule.case
    if case.family == "regional":
        return float(len(schedule.worth.points)), _coverage(model, taken, candidates, schedule)
    of_target: dict[str, list[Action]] = {t.id: [] for t in case.targets}
    for action in candidates:
        of_target[action.to].append(action)
    parts = []
    for target in case.targets:
        mine = of_target[target.id]
        if not mine:
            continue
        if target.kind == "stereo":
            parts.append(case.horizon_s * _paired(model, taken, mine, schedule))
        elif target.kind == "mapping":
            done = model.new_int_var(0, target.quota, "")
            model.add(done <= sum(taken[a.id] for a in mine))
            parts.append(math.ceil(case.horizon_s / target.quota) * done)
        else:
            parts.append(case.horizon_s - _longest_gap(model, taken, mine, case.horizon_s))
    return float(case.horizon_s * max(1, len(case.targets))), sum(parts)


def _coverage(
    model: cp_model.CpModel, taken: Booleans, candidates: Sequence[Action], schedule: EarthSchedule
) -> cp_model.LinearExprT:
    """Covered grid points; points under the same strips are one variable."""
    covers = np.array([schedule.worth.cover(a) for a in candidates])
    patterns, sizes = np.unique(covers.T, axis=0, return_counts=True)
    parts = []
    for pattern, size in zip(patterns, sizes):
        under = [taken[candidates[i].id] for i in np.flatnonzero(pattern)]
        if under:
            covered = model.new_bool_var("")
            model.add_bool_or([*under, covered.negated()])
            parts.append(int(size) * covered)
    return sum(parts)


def _paired(
    model: cp_model.CpModel, taken: Booleans, mine: Sequence[Action], schedule: EarthSchedule
) -> cp_model.IntVar:
    """1 if some taken observation has a taken partner that makes it a stereo pair."""
    looks = [schedule.worth.look(a) for a in mine]
    partners: dict[int, list[int]] = defaultdict(list)
    for i, j in combinations(range(len(mine)), 2):
        if is_stereo(looks[i], looks[j]):
            partners[i].append(j)
    pairs, served = [], model.new_bool_var("")
    for i, others in partners.items():
        paired = model.new_bool_var("")
        model.add_implication(paired, taken[mine[i].id])
        model.add_bool_or([*(taken[mine[j].id] for j in others), paired.negated()])
        pairs.append(paired)
    model.add_bool_or([*pairs, served.negated()])
    model.add(2 * served <= sum(taken[a.id] for a in mine))  # implied; the linear bound would do with one
    return served


def _longest_gap(model: cp_model.CpModel, taken: Booleans, mine: Sequence[Action], horizon_s: int) -> cp_model.IntVar:
    """The longest gap, from below: it is at least the span between any two passes with none taken between them.

    Observations of one pass count as one, seen from its first to its last second: optimistic by under 0.1 % of a day.
    """
    passes: list[list[Action]] = []
    for action in sorted(mine, key=lambda a: a.start):
        if passes and action.start <= max(a.end for a in passes[-1]):
            passes[-1].append(action)
        else:
            passes.append([action])
    used = []
    for group in passes:
        any_of = model.new_bool_var("")
        model.add_bool_or([*(taken[a.id] for a in group), any_of.negated()])
        used.append(any_of)
    edges = [(0, 0), *((int(g[0].start), int(max(a.end for a in g))) for g in passes), (horizon_s, horizon_s)]
    longest = model.new_int_var(0, horizon_s, "")
    for i in range(len(edges)):
        for j in range(i + 1, len(edges)):
            gap = edges[j][0] - edges[i][1]
            model.add(longest >= gap - gap * sum(used[i : j - 1]))
    return longest


def _solve_tracks(case: Case, limits: Limits, coupled: bool) -> Solved:
    """Deep-space tracks in whole minutes: an optional interval for every resource and view period of a request."""
    model = cp_model.CpModel()
    spans: dict[str, list[cp_model.IntervalVar]] = defaultdict(list)
    hours: dict[str, list[cp_model.LinearExprT]] = defaultdict(list)
    options: list[tuple[Request, str, cp_model.IntVar, cp_model.IntVar, cp_model.IntVar]] = []
    worth = []
    for request in case.requests:
        mine = []
        for resource, views in request.views.items():
            for view in views:
                option = _track_option(model, request, view)
                if option is None:
                    continue
                on, length, here = option
                setup, teardown = (request.setup_s // 60, request.teardown_s // 60) if coupled else (0, 0)
                end = model.new_int_var(0, case.horizon_s // MINUTE_S, "")
                whole = length + setup + teardown
                span = model.new_optional_interval_var(on - setup, whole, end, here, "")
                counted = model.new_int_var(0, request.duration_s // MINUTE_S, "")
                model.add(counted <= length)
                model.add(counted <= request.duration_s // MINUTE_S * here)
                for antenna in antennas_of(resource):
                    spans[antenna].append(span)
                    hours[antenna].append(counted + (setup + teardown) * here)
                worth.append(counted)
                mine.append(here)
                options.append((request, resource, on, length, here))
        model.add_at_most_one(mine)
    for antenna in case.antennas:
        down = [
            model.new_fixed_size_interval_var(a // MINUTE_S, math.ceil((b - a) / MINUTE_S), "")
            for a, b in antenna.maintenance
        ]
        model.add_no_overlap([*spans[antenna.id], *down])
        free = case.horizon_s // MINUTE_S - sum((b - a) // MINUTE_S for a, b in antenna.maintenance)
        model.add(sum(hours[antenna.id]) <= free)  # implied; without it the bound forgets that a day has 24 hours
    model.maximize(sum(worth))
    solver, status = _search(model, limits)
    total = sum(r.duration_s for r in case.requests)
    if status not in ("OPTIMAL", "FEASIBLE") or not total:
        return Solved((), 1.0, status)
    plan = []
    for request, resource, on_minute, length, here in options:
        if solver.value(here):
            on = solver.value(on_minute) * MINUTE_S
            off = on + solver.value(length) * MINUTE_S
            start, end = on - request.setup_s, off + request.teardown_s
            plan.append(Action("", "track", resource, request.id, start, end, on=on, off=off))
    return Solved(numbered(plan), min(1.0, solver.best_objective_bound * MINUTE_S / total), status)


def _track_option(
    model: cp_model.CpModel, request: Request, view: tuple[int, int]
) -> tuple[cp_model.IntVar, cp_model.IntVar, cp_model.IntVar] | None:
    """Start and length of tracking [min] and whether it is done, inside one view period; None if it cannot be."""
    low = math.ceil(max(view[0], request.start + request.setup_s) / MINUTE_S)
    high = math.floor(min(view[1], request.end - request.teardown_s) / MINUTE_S)
    least, most = math.ceil(request.duration_min_s / MINUTE_S), min(request.duration_s // MINUTE_S, high - low)
    if most < least:
        return None
    on, length = model.new_int_var(low, high - least, ""), model.new_int_var(least, most, "")
    model.add(on + length <= high)
    return on, length, model.new_bool_var("")


def _solve_chains(flight: Flight, limits: Limits) -> tuple[list[Chain], float]:
    """At most one chain for a request and moment, within the terminals: first as many as can be, then the shortest."""
    options = chains(flight)
    if not options:
        return [], 0.0
    model = cp_model.CpModel()
    used: dict[tuple[float, tuple[str, str]], cp_model.IntVar] = {}
    picks: list[tuple[Chain, cp_model.IntVar]] = []
    for ways in options.values():
        mine = [(chain, model.new_bool_var("")) for chain in ways]
        model.add_at_most_one(pick for _, pick in mine)
        for chain, pick in mine:
            for edge in chain.edges:
                link = used.setdefault((chain.second, edge), model.new_bool_var(""))
                model.add_implication(pick, link)
        picks += mine
    terminals = {s.id: s.terminals for s in flight.case.satellites}
    held: dict[tuple[float, str], list[cp_model.IntVar]] = defaultdict(list)
    for (second, edge), link in used.items():
        for node in edge:
            if node in terminals:
                held[second, node].append(link)
    for (_, node), links in held.items():
        model.add(sum(links) <= terminals[node])
    far = 1 + max((round(chain.km) for chain, _ in picks), default=0)
    model.maximize(sum((far * len(options) - round(chain.km)) * pick for chain, pick in picks))
    solver, status = _search(model, limits)
    taken = [chain for chain, pick in picks if status in ("OPTIMAL", "FEASIBLE") and solver.value(pick)]
    connected = max(len(taken), sum(bool(ways) for ways in options.values()) if status != "OPTIMAL" else 0)
    return taken, connected / len(options)


def _search(model: cp_model.CpModel, limits: Limits) -> tuple[cp_model.CpSolver, str]:
    solver = cp_model.CpSolver()
    solver.parameters.random_seed = 0
    solver.parameters.linearization_level = 2  # the bound comes from the linear relaxation; probing finds little here
    solver.parameters.cp_model_probing_level = 0
    if limits.deterministic_time is not None:
        solver.parameters.num_workers = 1
        solver.parameters.max_deterministic_time = limits.deterministic_time
    else:
        solver.parameters.num_workers = limits.workers
        if limits.seconds is not None:
            solver.parameters.max_time_in_seconds = limits.seconds
    return solver, solver.status_name(solver.solve(model))
