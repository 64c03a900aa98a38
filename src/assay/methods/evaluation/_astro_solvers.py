"""Solvers that build a plan action by action: random, greedy, simulated annealing."""

from __future__ import annotations

import math

import numpy as np

from assay.methods.evaluation._astro_case import Action, Case, Plan, numbered
from assay.methods.evaluation._astro_chains import chains, greedy_chains, link_actions
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_schedule import EarthSchedule, Schedule, TrackSchedule

ROUND = 200  # candidates looked at before one is taken
REMOVE_SHARE = 0.2  # of the moves of annealing


def open_schedule(case: Case, flight: Flight) -> Schedule:
    """An empty schedule of the kind that the case's family needs."""
    return TrackSchedule(case) if case.family == "satnet" else EarthSchedule(flight)


def random_feasible(case: Case, rng: np.random.Generator, flight: Flight | None = None) -> Plan:
    """Candidates in random order, each taken if it fits: what blind obedience to the limits gives."""
    flight = flight or Flight(case)
    schedule = open_schedule(case, flight)
    for i in rng.permutation(len(schedule.candidates)):
        if schedule.fits(schedule.candidates[i]):
            schedule.add(schedule.candidates[i])
    return _with_links(schedule, flight)


def greedy(case: Case, flight: Flight | None = None) -> Plan:
    """Take what raises the score most, again and again."""
    flight = flight or Flight(case)
    schedule = open_schedule(case, flight)
    fill(schedule, list(schedule.candidates))
    return _with_links(schedule, flight)


def fill(schedule: Schedule, waiting: list[Action]) -> None:
    """Greedy rounds over the actions that wait: of the 200 first by rank, the one that gains most and fits.

    For stereo the first look at a target is worth nothing by itself; where nothing gains, two looks that gain
    together are found by `_pair`. Rank and gain were chosen on seeds 1000 to 1003: for tracks, long ones first
    serve 0.41 of the hours where the earliest first serve 0.32.
    """
    waiting.sort(key=lambda a: (schedule.rank(a), a.end, a.start))
    while waiting:
        window = waiting[:ROUND]
        rated = sorted(((schedule.gain(a), -i) for i, a in enumerate(window)), reverse=True)
        taken = next((-i for rate, i in rated if rate > 1e-12 and schedule.fits(window[-i])), None)
        if taken is not None:
            schedule.add(window[taken])
            del waiting[taken]
        elif not _pair(schedule, window):
            del waiting[: len(window)]


def anneal(
    case: Case,
    rng: np.random.Generator,
    flight: Flight | None = None,
    initial_temperature: float = 1.0,
    cooling: float = 0.995,
    steps: int = 2000,
) -> Plan:
    """Simulated annealing from an empty plan; a move adds a candidate in place of what clashes, or removes one.

    Changes are counted in units of one target's (request's) full worth, so that a temperature of 1 accepts the
    loss of one with probability 1/e.
    """
    if not 0 < cooling < 1:
        raise ValueError(f"cooling: got {cooling}, wanted between 0 and 1")
    flight = flight or Flight(case)
    schedule = open_schedule(case, flight)
    unit = 1 / max(1, len(case.targets) or len(case.requests) or len(schedule.candidates))
    temperature, total, best, best_total = initial_temperature, 0.0, [], 0.0
    for _ in range(steps if schedule.candidates else 0):
        change, undo = _move(schedule, rng)
        if change < 0 and rng.random() >= math.exp(change / unit / temperature):
            undo()
        else:
            total += change
            if total > best_total + 1e-12:
                best, best_total = schedule.chosen(), total
        temperature = max(temperature * cooling, 1e-6)
    for action in schedule.chosen():
        schedule.remove(action)
    for action in best:
        schedule.add(action)
    return _with_links(schedule, flight)


def _move(schedule: Schedule, rng: np.random.Generator):  # type: ignore[no-untyped-def]
    """Make one random change; its effect on the score, and a function that takes it back."""
    chosen = schedule.chosen()
    if chosen and rng.random() < REMOVE_SHARE:
        out, new = [chosen[int(rng.integers(len(chosen)))]], None
    else:
        new = schedule.candidates[int(rng.integers(len(schedule.candidates)))]
        if new in chosen:
            return 0.0, lambda: None
        out = schedule.clashing(new)
    change = 0.0
    for action in out:
        schedule.remove(action)
        change -= schedule.gain(action)
    added = new is not None and schedule.fits(new)
    if added:
        change += schedule.gain(new)
        schedule.add(new)

    def undo() -> None:
        if added:
            schedule.remove(new)
        for action in out:
            schedule.add(action)

    if new is not None and not added:
        undo()
        return 0.0, lambda: None
    return change, undo


def _pair(schedule: Schedule, window: list[Action]) -> bool:
    """Add the first two waiting observations of one target that fit and gain together; whether there were any."""
    if not schedule.pairs:
        return False
    by_target: dict[str, list[Action]] = {}
    for action in window:
        by_target.setdefault(action.to, []).append(action)
    for first in window:
        if schedule.gain(first) > 0 or not schedule.fits(first):
            continue
        schedule.add(first)
        for second in by_target[first.to]:
            if second.start > first.start and schedule.gain(second) > 1e-12 and schedule.fits(second):
                schedule.add(second)
                window.remove(first)
                return True
        schedule.remove(first)
    return False


def _with_links(schedule: Schedule, flight: Flight) -> Plan:
    """The schedule's plan, and in a latency case the greedy chains of links."""
    if flight.case.family != "latency":
        return schedule.plan()
    links = link_actions(flight, greedy_chains(flight, chains(flight)))
    return numbered([*schedule.plan(), *links])
