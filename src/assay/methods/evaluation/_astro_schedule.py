"""Schedules under construction: candidate actions, what one more is worth, and whether it still fits.

`EarthSchedule` holds observations or strips and works out the downlinks by itself: data are sent at the first
chance, which leaves the most room for what comes after. `TrackSchedule` holds deep-space tracks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from assay.methods.evaluation._astro_case import Action, Case, Plan, numbered
from assay.methods.evaluation._astro_coverage import (
    Look,
    grid_points,
    look,
    mapping_value,
    monitoring_value,
    revisit_gaps,
    stereo_value,
    strip_cover,
)
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_satnet import antennas_of, tracked_seconds
from assay.methods.orbits.access import Site, target_windows, union
from assay.methods.orbits.budgets import Use, battery_breach

STEREO_STEP_S = 10
STRIP_START_S = 10
ROLL_STEP_DEG = 4
TRACK_START_S = 1800


class Schedule(Protocol):
    """What the solvers need of either kind."""

    candidates: list[Action]
    pairs: bool  # whether one action can be worth nothing without a second

    def rank(self, action: Action) -> float: ...
    def fits(self, action: Action) -> bool: ...
    def gain(self, action: Action) -> float: ...
    def add(self, action: Action) -> None: ...
    def remove(self, action: Action) -> None: ...
    def clashing(self, action: Action) -> list[Action]: ...
    def chosen(self) -> list[Action]: ...
    def plan(self) -> Plan: ...


class EarthSchedule:
    """Observations (or strips) of a case's satellites, with the downlinks that they need."""

    def __init__(self, flight: Flight, candidates: list[Action] | None = None) -> None:
        self.flight, self.case = flight, flight.case
        self.pairs = self.case.family == "stereo"
        self.candidates = candidates if candidates is not None else earth_candidates(flight)
        self.worth = Worth(flight)
        self._of_satellite: dict[str, list[Action]] = {s.id: [] for s in self.case.satellites}
        self._of_group: dict[str, list[Action]] = defaultdict(list)
        self.roomy = {s.id: battery_is_roomy(flight, s.id, self.candidates) for s in self.case.satellites}

    def rank(self, action: Action) -> float:
        """Greedy's order: what ends first is looked at first."""
        return action.end

    def fits(self, action: Action) -> bool:
        """Whether the action can join: no clash with its neighbours, room in storage, charge in the battery."""
        if self.clashing(action):
            return False
        mine = sorted([*self._of_satellite[action.by], action], key=lambda a: a.start)
        sent = downlinks(self.flight, action.by, mine)
        if sent is None:
            return False
        return self.roomy[action.by] or self.flight.budgets(action.by, [*mine, *sent]) is None

    def clashing(self, action: Action) -> list[Action]:
        """Chosen actions that cannot stand beside this one for time or slew."""
        mine = self._of_satellite[action.by]
        at = bisect_left([a.start for a in mine], action.start)
        found = []
        for neighbours in (mine[at - 1 :: -1] if at else [], mine[at:]):
            for other in neighbours:
                if not self.flight.clash(other, action):
                    break
                found.append(other)
        return found

    def gain(self, action: Action) -> float:
        """How much the score would rise."""
        group = self.worth.group(action)
        return self.worth.value(group, [*self._of_group[group], action]) - self.worth.value(
            group, self._of_group[group]
        )

    def add(self, action: Action) -> None:
        mine = self._of_satellite[action.by]
        mine.insert(bisect_left([a.start for a in mine], action.start), action)
        self._of_group[self.worth.group(action)].append(action)

    def remove(self, action: Action) -> None:
        self._of_satellite[action.by].remove(action)
        self._of_group[self.worth.group(action)].remove(action)

    def chosen(self) -> list[Action]:
        return [a for actions in self._of_satellite.values() for a in actions]

    def plan(self) -> Plan:
        """The chosen actions and their downlinks."""
        sent = [downlinks(self.flight, s, actions) or [] for s, actions in self._of_satellite.items()]
        return numbered([*self.chosen(), *(a for actions in sent for a in actions)])


class TrackSchedule:
    """Deep-space tracks: one a request, antennas free of overlap."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.requests = {r.id: r for r in case.requests}
        self.total = sum(r.duration_s for r in case.requests)
        self.pairs = False
        self.candidates = track_candidates(case)
        self._of_antenna: dict[str, list[Action]] = defaultdict(list)
        self._of_request: dict[str, Action] = {}

    def rank(self, action: Action) -> float:
        """Greedy's order: long tracks first, for the hours around a short one are lost all the same."""
        return -tracked_seconds(action, self.requests[action.to]) / len(antennas_of(action.by))

    def fits(self, action: Action) -> bool:
        return not self.clashing(action)

    def clashing(self, action: Action) -> list[Action]:
        """Chosen tracks of the same request, or on the same antenna at the same time."""
        found = {a.id: a for a in [self._of_request.get(action.to)] if a is not None}
        for antenna in antennas_of(action.by):
            found |= {a.id: a for a in self._of_antenna[antenna] if a.start < action.end and action.start < a.end}
        return list(found.values())

    def gain(self, action: Action) -> float:
        request, held = self.requests[action.to], self._of_request.get(action.to)
        before = tracked_seconds(held, request) if held else 0.0
        return max(0.0, tracked_seconds(action, request) - before) / self.total

    def add(self, action: Action) -> None:
        self._of_request[action.to] = action
        for antenna in antennas_of(action.by):
            self._of_antenna[antenna].append(action)

    def remove(self, action: Action) -> None:
        del self._of_request[action.to]
        for antenna in antennas_of(action.by):
            self._of_antenna[antenna].remove(action)

    def chosen(self) -> list[Action]:
        return list(self._of_request.values())

    def plan(self) -> Plan:
        return numbered(self.chosen())


class Worth:
    """The score as a sum over groups: each target is one, all strips together are another."""

    def __init__(self, flight: Flight) -> None:
        self.flight, self.case = flight, flight.case
        self._looks: dict[str, Look] = {}
        self._covers: dict[str, np.ndarray] = {}
        points = [grid_points(region) for region in self.case.regions]
        self.points = np.concatenate(points) if points else np.zeros((0, 2))

    def group(self, action: Action) -> str:
        return "" if action.kind == "strip" else action.to

    def value(self, group: str, actions: Sequence[Action]) -> float:
        """What the actions of one group add to the score."""
        if not group:
            covers = [self.cover(a) for a in actions]
            return float(np.any(covers, axis=0).mean()) if covers else 0.0
        target = self.flight.targets[group]
        if target.kind == "stereo":
            worth = stereo_value([self.look(a) for a in actions])
        elif target.kind == "mapping":
            worth = mapping_value(actions, target)
        else:
            worth = monitoring_value(revisit_gaps(actions, self.case.horizon_s), self.case.horizon_s)
        return worth / len(self.case.targets)

    def look(self, action: Action) -> Look:
        key = f"{action.by} {action.to} {action.start} {action.end}"
        if key not in self._looks:
            self._looks[key] = look(self.flight, action)
        return self._looks[key]

    def cover(self, action: Action) -> np.ndarray:
        """Which grid points of all regions a strip covers."""
        key = f"{action.by} {action.roll} {action.start} {action.end}"
        if key not in self._covers:
            self._covers[key] = strip_cover(self.flight, action, self.points)
        return self._covers[key]


def downlinks(flight: Flight, satellite: str, actions: Sequence[Action]) -> list[Action] | None:
    """Downlinks, each as early and as long as the stored data allow, between actions in order of time.

    None where storage overflows all the same. Whole seconds; what is taken last is not sent.
    """
    storage = flight.satellites[satellite].storage
    sent: list[Action] = []
    level, spans, k, free_from = storage.start_mb, flight.contact[satellite], 0, 0.0
    for action in actions:
        while k < len(spans) and spans[k][0][0] < action.start:
            (begin, end), station = spans[k]
            begin = max(begin, int(np.ceil(free_from)))
            seconds = int(min(min(end, action.start) - begin, level // storage.downlink_mb_s))
            if seconds >= 1:
                sent.append(Action("", "downlink", satellite, station, begin, begin + seconds))
                level -= seconds * storage.downlink_mb_s
            if end > action.start:  # the rest of the contact comes after the action
                break
            k += 1
        free_from = action.end
        level += storage.observation_mb_s * (action.end - action.start)
        if level > storage.capacity_mb + 1e-6:
            return None
    return sent


def battery_is_roomy(flight: Flight, satellite: str, candidates: Sequence[Action]) -> bool:
    """Whether even all candidates and all contacts together leave the battery above 0."""
    mine = union([(int(a.start), int(np.ceil(a.end))) for a in candidates if a.by == satellite])
    uses = [Use("observation", a, b) for a, b in mine]
    uses += [Use("downlink", a, b) for (a, b), _ in flight.contact[satellite]]
    power = flight.satellites[satellite].power
    return battery_breach(power, uses, flight.sunlit(satellite), flight.case.horizon_s) is None


def earth_candidates(flight: Flight) -> list[Action]:
    """Observations at a few starts in every access window, or strips at a few rolls over every region."""
    if flight.case.family == "regional":
        return strip_candidates(flight)
    found = []
    for (satellite, target), windows in flight.access.items():
        wish = flight.targets[target]
        for begin, end in windows:
            last = end - wish.duration_s
            if last < begin or wish.duration_s > flight.satellites[satellite].sensor.max_observation_s:
                continue
            steps = range(begin, last, STEREO_STEP_S) if wish.kind == "stereo" else (begin, (begin + last) // 2)
            for start in sorted({*steps, last}):
                name = f"c{len(found) + 1}"
                found.append(Action(name, "observation", satellite, target, start, start + wish.duration_s))
    return found


def strip_candidates(flight: Flight) -> list[Action]:
    """Strips of the longest observation that cover at least one grid point."""
    worth, found = Worth(flight), []
    corners = [
        Site(f"{region.id}-{i}", *point)
        for region in flight.case.regions
        for i, point in enumerate([*region.polygon, np.mean(region.polygon, axis=0)])
    ]
    for satellite in flight.case.satellites:
        sensor, length = satellite.sensor, int(satellite.sensor.max_observation_s)
        limit = int(sensor.max_off_nadir // ROLL_STEP_DEG) * ROLL_STEP_DEG
        seen = target_windows(satellite, corners, flight.case.start, flight.case.horizon_s)
        for begin, end in union([window for row in seen for window in row]):
            for start in range(max(0, begin - length), min(end, flight.case.horizon_s - length), STRIP_START_S):
                for roll in range(-limit, limit + 1, ROLL_STEP_DEG):
                    name = f"c{len(found) + 1}"
                    strip = Action(name, "strip", satellite.id, name, start, start + length, roll=float(roll))
                    if worth.cover(strip).any() and flight.alone(strip) is None:
                        found.append(strip)
    return found


def track_candidates(case: Case) -> list[Action]:
    """Tracks of full and of least duration, at starts half an hour apart and as late as can be."""
    antennas = {a.id: a for a in case.antennas}
    found = []
    for request in case.requests:
        for resource, views in request.views.items():
            down = [w for name in antennas_of(resource) for w in antennas[name].maintenance]
            for view in views:
                low = max(view[0], request.start + request.setup_s)
                high = min(view[1], request.end - request.teardown_s)
                for length in sorted({request.duration_s, request.duration_min_s}):
                    last = int(high - length)
                    for on in sorted({*range(int(low), last, TRACK_START_S), last} if last >= low else ()):
                        start, end = on - request.setup_s, on + length + request.teardown_s
                        if all(b <= start or end <= a for a, b in down):
                            name = f"c{len(found) + 1}"
                            found.append(
                                Action(name, "track", resource, request.id, start, end, on=on, off=on + length)
                            )
    return found
