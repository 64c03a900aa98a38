"""Tracks of the deep-space network: what breaks one, and how much of each mission's wish is served."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from assay.methods.evaluation._astro_case import Action, Antenna, Case, Request


def antennas_of(resource: str) -> tuple[str, ...]:
    """The antennas of a resource; an array such as `DSS-24_DSS-25` takes all of its own."""
    return tuple(resource.split("_"))


def track_alone(action: Action, request: Request, antennas: dict[str, Antenna]) -> str | None:
    """Why a track breaks its request by itself, or None."""
    assert action.on is not None and action.off is not None
    if action.by not in request.views:
        return f"{action.id}: {action.by} is not among the resources of {request.id}"
    if action.start + request.setup_s != action.on:
        return f"{action.id}: wants {request.setup_s} s of setup, has {action.on - action.start:g} s"
    if action.off + request.teardown_s != action.end:
        return f"{action.id}: wants {request.teardown_s} s of teardown, has {action.end - action.off:g} s"
    if action.off - action.on < request.duration_min_s:
        return (
            f"{action.id}: tracks {action.off - action.on:g} s, {request.id} wants {request.duration_min_s} s at least"
        )
    if not (request.start <= action.start and action.end <= request.end):
        return f"{action.id} lies outside the window of {request.id}"
    if not any(a <= action.on and action.off <= b for a, b in request.views[action.by]):
        return f"{action.id} is longer than the view period of {request.mission} from {action.by}"
    for name in antennas_of(action.by):
        if any(action.start < b and a < action.end for a, b in antennas[name].maintenance):
            return f"{action.id}: {name} is down for maintenance"
    return None


def track_violations(case: Case, plan: Sequence[Action]) -> list[str]:
    """Every rule that the tracks of a plan break."""
    requests, antennas = {r.id: r for r in case.requests}, {a.id: a for a in case.antennas}
    found = [m for action in plan if (m := track_alone(action, requests[action.to], antennas))]
    busy: dict[str, list[Action]] = defaultdict(list)
    for action in sorted(plan, key=lambda a: a.start):
        for name in antennas_of(action.by):
            busy[name].append(action)
    for name, actions in sorted(busy.items()):
        for first, second in pairwise(actions):
            if second.start < first.end:
                found.append(f"{second.id} overlaps {first.id} on {name}")
    tracked = [action.to for action in plan]
    found += [f"{name} is tracked more than once" for name in sorted(set(tracked)) if tracked.count(name) > 1]
    return found


def tracked_seconds(action: Action, request: Request) -> float:
    """What a track counts: never more than was asked for."""
    return min((action.off or 0.0) - (action.on or 0.0), request.duration_s)


def satnet_metrics(case: Case, plan: Sequence[Action]) -> dict[str, float]:
    """Hours tracked, and the unserved share of the missions: root mean square and worst."""
    requests = {r.id: r for r in case.requests}
    asked: dict[str, float] = defaultdict(float)
    served: dict[str, float] = defaultdict(float)
    for request in case.requests:
        asked[request.mission] += request.duration_s
    for action in plan:
        request = requests[action.to]
        served[request.mission] += tracked_seconds(action, request)
    unserved = [1 - min(served[m] / asked[m], 1.0) for m in sorted(asked)]
    total = sum(asked.values())
    return {
        "hours": sum(served.values()) / 3600,
        "satisfied_share": sum(served.values()) / total if total else 0.0,
        "U_rms": math.sqrt(sum(u * u for u in unserved) / len(unserved)) if unserved else 0.0,
        "U_max": max(unserved, default=0.0),
        "tracks": float(len(plan)),
    }
