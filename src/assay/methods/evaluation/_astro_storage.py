"""Storage and battery of one satellite as linear constraints over the moments at which they can change.

Actions have fixed times, so a budget is a chain of levels. Downlinks are whole seconds of contact that no
taken action uses. A battery level that may be anything up to what is charged says the same as saturation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from ortools.sat.python import cp_model

from assay.methods.evaluation._astro_case import Action
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.orbits.budgets import battery_flow

MILLI = 1000


def add_budgets(
    model: cp_model.CpModel,
    taken: dict[str, cp_model.IntVar],
    mine: Sequence[Action],
    flight: Flight,
    satellite: str,
    roomy: bool,
) -> None:
    """Keep the satellite's storage, and unless the battery is `roomy` anyway its charge, within their limits."""
    sent = _downlink_seconds(model, taken, mine, flight, satellite)
    _add_storage(model, taken, mine, sent, flight, satellite)
    if not roomy:
        _add_battery(model, taken, mine, sent, flight, satellite)


def _downlink_seconds(
    model: cp_model.CpModel, taken: dict[str, cp_model.IntVar], mine: Sequence[Action], flight: Flight, satellite: str
) -> list[tuple[int, cp_model.IntVar]]:
    """(end, seconds sent) for every stretch of contact, in order of time.

    Contact is cut where an action may begin or end; what no action can disturb and no end of an action divides is
    one stretch.
    """
    cuts = sorted({round(edge) for a in mine for edge in (a.start, a.end)})
    stretches: list[tuple[int, int, list[Action]]] = []
    for (begin, end), _ in flight.contact[satellite]:
        edges = [begin, *(c for c in cuts if begin < c < end), end]
        for a, b in pairwise(edges):
            disturbing = [x for x in mine if x.start < b and a < x.end]
            last = stretches[-1] if stretches else None
            if last and not disturbing and not last[2] and not any(last[0] < x.end <= a for x in mine):
                stretches[-1] = (b, last[1] + b - a, [])
            else:
                stretches.append((b, b - a, disturbing))
    sent = []
    for end, length, disturbing in stretches:
        seconds = model.new_int_var(0, length, "")
        for action in disturbing:
            model.add(seconds == 0).only_enforce_if(taken[action.id])
        sent.append((end, seconds))
    return sent


def _add_storage(
    model: cp_model.CpModel,
    taken: dict[str, cp_model.IntVar],
    mine: Sequence[Action],
    sent: Sequence[tuple[int, cp_model.IntVar]],
    flight: Flight,
    satellite: str,
) -> None:
    """0 <= stored <= capacity. Between two downlinks storage only fills, so its level is looked at where that turns."""
    storage = flight.satellites[satellite].storage
    fill, send = math.ceil(storage.observation_mb_s * MILLI), math.floor(storage.downlink_mb_s * MILLI)
    unit = math.gcd(fill, send)
    capacity = math.floor(storage.capacity_mb * MILLI / unit)
    changes: list[tuple[int, bool, cp_model.LinearExprT]] = [
        (math.ceil(a.end), True, fill // unit * math.ceil(a.end - a.start) * taken[a.id]) for a in mine
    ]
    changes += [(end, False, -(send // unit) * seconds) for end, seconds in sent]
    level: cp_model.LinearExprT = math.ceil(storage.start_mb * MILLI / unit)
    for _, run in groupby(sorted(changes, key=lambda item: item[:2]), key=lambda item: item[1]):
        turn = model.new_int_var(0, capacity, "")
        model.add(turn == level + sum(change for _, _, change in run))
        level = turn


def _add_battery(
    model: cp_model.CpModel,
    taken: dict[str, cp_model.IntVar],
    mine: Sequence[Action],
    sent: Sequence[tuple[int, cp_model.IntVar]],
    flight: Flight,
    satellite: str,
) -> None:
    """0 <= charge <= capacity at every change, in mWh; drains are rounded up and charging down."""
    power = flight.satellites[satellite].power
    seconds_to_mwh = MILLI / 3600
    drains = [
        (math.ceil(a.end), math.ceil(power.observation_w * seconds_to_mwh * (a.end - a.start)) * taken[a.id])
        for a in mine
    ]
    drains += [(end, math.ceil(power.downlink_w * seconds_to_mwh) * seconds) for end, seconds in sent]
    flow = battery_flow(power, [], flight.sunlit(satellite), flight.case.horizon_s)
    events = [(end, math.floor(watts * seconds_to_mwh * (end - begin))) for begin, end, watts in flow]
    capacity = math.floor(power.capacity_wh * MILLI)
    level: cp_model.LinearExprT = math.floor(power.capacity_wh * power.start_share * MILLI)
    ordered = sorted([*((t, 1, e) for t, e in events), *((t, 0, d) for t, d in drains)], key=lambda item: item[:2])
    for _, is_flow, change in ordered:
        after = model.new_int_var(0, capacity, "")
        model.add(after <= level + change if is_flow else after <= level - change)
        level = after
