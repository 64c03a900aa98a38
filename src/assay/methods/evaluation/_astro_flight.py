"""What a case's satellites can do: windows, attitudes, and every hard limit an action can break.

A satellite does one thing at a time; turning takes time between two pointed actions (observations and strips),
while antennas are steered by themselves. A station serves any number of satellites.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from assay.methods.evaluation._astro_case import Action, Case
from assay.methods.orbits.access import (
    Site,
    Window,
    in_sunlight,
    line_of_sight,
    sees_station,
    sees_target,
    station_windows,
    sunlit_windows,
    target_windows,
    union,
)
from assay.methods.orbits.attitude import ground_points, pointing, roll_look, slew_time, turn_time
from assay.methods.orbits.budgets import Use, battery_breach, storage_breach
from assay.methods.orbits.frames import (
    Array,
    azimuth_elevation,
    ecef_to_geodetic,
    ecef_to_teme,
    format_time,
    geodetic_to_ecef,
    julian_date,
    sun_direction,
    teme_to_ecef,
    up_vector,
)
from assay.methods.orbits.satellites import Satellite, positions_ecef, propagate

POINTED = ("observation", "strip")
STRIP_STEP_S = 5.0


class Flight:
    """The satellites of one case over its horizon; windows and attitudes are computed once and kept."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.satellites = {s.id: s for s in case.satellites}
        self.stations = {s.id: s for s in case.stations}
        self.targets = {t.id: t for t in case.targets}
        self._attitudes: dict[tuple[object, ...], Array] = {}
        self._sunlit: dict[str, list[Window]] = {}

    @cached_property
    def access(self) -> dict[tuple[str, str], list[Window]]:
        """(satellite, target) -> when the camera can see it."""
        sites = [t.site for t in self.case.targets]
        return self._windows(target_windows, sites)

    @cached_property
    def contacts(self) -> dict[tuple[str, str], list[Window]]:
        """(satellite, station) -> when it stands above the mask."""
        return self._windows(station_windows, self.case.stations)

    @cached_property
    def contact(self) -> dict[str, list[tuple[Window, str]]]:
        """Satellite -> spans, apart and in order, in which it can send to some station, with that station."""
        spans: dict[str, list[tuple[Window, str]]] = {s: [] for s in self.satellites}
        for satellite, kept in spans.items():
            every = [(w, station) for (by, station), ws in self.contacts.items() if by == satellite for w in ws]
            last = 0
            for (begin, end), station in sorted(every):
                if end > max(begin, last):
                    kept.append(((max(begin, last), end), station))
                last = max(last, end)
        return spans

    def _windows(self, find, sites: Sequence[Site]) -> dict[tuple[str, str], list[Window]]:  # type: ignore[no-untyped-def]
        found = {}
        for satellite in self.case.satellites:
            rows = find(satellite, sites, self.case.start, self.case.horizon_s)
            found |= {(satellite.id, site.id): row for site, row in zip(sites, rows)}
        return found

    def sunlit(self, satellite: str) -> list[Window]:
        """When the satellite is outside the Earth's shadow."""
        if satellite not in self._sunlit:
            windows = sunlit_windows(self.satellites[satellite], self.case.start, self.case.horizon_s)
            self._sunlit[satellite] = windows
        return self._sunlit[satellite]

    def ground_track(self, satellite: str, seconds: Array) -> Array:
        """Latitude and longitude (n, 2) below the satellite."""
        lat, lon, _ = ecef_to_geodetic(positions_ecef(self.satellites[satellite], self.case.start, seconds))
        return np.stack([lat, lon], axis=1)

    def strip_path(self, satellite: str, start: float, end: float, roll: float) -> Array:
        """Latitude and longitude (n, 2) of the middle of the swath of a rolled pass, NaN beyond the limb."""
        seconds = np.append(np.arange(start, end, STRIP_STEP_S), end)
        r, v = propagate(self.satellites[satellite], self.case.start, seconds)
        jd = julian_date(self.case.start) + seconds / 86400
        points = ground_points(teme_to_ecef(r, jd), teme_to_ecef(roll_look(r, v, roll), jd))
        lat, lon, _ = ecef_to_geodetic(points)
        return np.stack([lat, lon], axis=1)

    def view_from(self, target: str, satellite: str, second: float) -> tuple[float, float]:
        """Azimuth and elevation [deg] of the satellite as the target sees it."""
        t = self.targets[target]
        position = positions_ecef(self.satellites[satellite], self.case.start, [second])
        azimuth, elevation = azimuth_elevation(t.lat, t.lon, 0.0, position)
        return float(azimuth[0]), float(elevation[0])

    def attitude(self, action: Action, second: float) -> Array:
        """Quaternion of the satellite while it does a pointed action."""
        key = (action.by, action.to if action.kind == "observation" else action.roll, second)
        if key not in self._attitudes:
            r, v = propagate(self.satellites[action.by], self.case.start, [second])
            if action.kind == "observation":
                target = self.targets[action.to]
                jd = julian_date(self.case.start) + second / 86400
                look = ecef_to_teme(geodetic_to_ecef(target.lat, target.lon), jd) - r[0]
            else:
                look = roll_look(r, v, action.roll or 0.0)[0]
            self._attitudes[key] = pointing(r[0], v[0], look)
        return self._attitudes[key]

    def slew(self, first: Action, second: Action) -> float:
        """Seconds to turn from the end of one pointed action to the start of another of the same satellite."""
        turn = self.attitude(first, first.end), self.attitude(second, second.start)
        return slew_time(*turn, self.satellites[first.by].agility)

    def clash(self, first: Action, second: Action) -> str | None:
        """Why two actions of one satellite cannot both be done, or None."""
        if second.start < first.start:
            first, second = second, first
        if second.start < first.end:
            return f"{second.id} overlaps {first.id}"
        if first.kind in POINTED and second.kind in POINTED:
            gap = second.start - first.end
            agility = self.satellites[first.by].agility
            if gap < turn_time(180, agility) and (needed := self.slew(first, second)) > gap + 1e-6:
                return f"{second.id}: the slew from {first.id} takes {needed:.1f} s, {gap:.1f} s lie between"
        return None

    def alone(self, action: Action) -> str | None:
        """Why an action cannot be done even by itself: horizon, access, sensor limits; or None."""
        if action.start < 0 or action.end > self.case.horizon_s:
            return f"{action.id} lies outside the horizon"
        return getattr(self, f"_{action.kind}_alone")(action)

    def _observation_alone(self, action: Action) -> str | None:
        satellite, target = self.satellites[action.by], self.targets[action.to]
        length = action.end - action.start
        if length + 1e-6 < target.duration_s:
            return f"{action.id} lasts {length:g} s, {target.id} wants {target.duration_s} s"
        if length > satellite.sensor.max_observation_s + 1e-6:
            return f"{action.id} lasts {length:g} s, the sensor allows {satellite.sensor.max_observation_s:g} s"
        seen = sees_target(satellite, [target.site], self.case.start, _samples(action, 1.0), None)
        return (
            None if seen.all() else f"{action.id} is longer than the access window of {target.id} from {satellite.id}"
        )

    def _downlink_alone(self, action: Action) -> str | None:
        satellite, station = self.satellites[action.by], self.stations[action.to]
        seen = sees_station(satellite, [station], self.case.start, _samples(action, 10.0), None)
        return None if seen.all() else f"{action.id} is longer than the contact of {satellite.id} with {station.id}"

    def _strip_alone(self, action: Action) -> str | None:
        sensor, length = self.satellites[action.by].sensor, action.end - action.start
        if abs(action.roll or 0.0) > sensor.max_off_nadir + 1e-9:
            return f"{action.id} rolls {action.roll:g} deg, the sensor allows {sensor.max_off_nadir:g}"
        if not sensor.min_observation_s - 1e-6 <= length <= sensor.max_observation_s + 1e-6:
            limits = f"{sensor.min_observation_s:g} to {sensor.max_observation_s:g} s"
            return f"{action.id} lasts {length:g} s, the sensor allows {limits}"
        path = self.strip_path(action.by, action.start, action.end, action.roll or 0.0)
        if np.isnan(path).any():
            return f"{action.id} looks past the Earth"
        if sensor.min_sun_elevation is not None:
            jd = julian_date(self.case.start) + action.start / 86400
            sun = up_vector(path[:, 0], path[:, 1]) @ teme_to_ecef(sun_direction(jd), jd)
            if sun.min() < np.sin(np.deg2rad(sensor.min_sun_elevation)):
                return f"{action.id} lies in the dark"
        return None

    def _link_alone(self, action: Action) -> str | None:
        return (
            None
            if self.linked(action.by, action.to, _samples(action, 10.0)).all()
            else (f"{action.id}: {action.by} and {action.to} do not see each other all the time")
        )

    def linked(self, first: str, second: str, seconds: Array) -> Array:
        """Whether two nodes (satellites or stations) see each other at seconds (n,)."""
        if first in self.stations:
            first, second = second, first
        if first in self.stations:
            return np.zeros(len(seconds), bool)
        if second in self.stations:
            stations = [self.stations[second]]
            return sees_station(self.satellites[first], stations, self.case.start, seconds, None)[0]
        return line_of_sight(*(positions_ecef(self.satellites[s], self.case.start, seconds) for s in (first, second)))

    def budgets(self, satellite: str, actions: Iterable[Action]) -> str | None:
        """The first breach of battery or storage, or None. `actions` are that satellite's own."""
        spacecraft: Satellite = self.satellites[satellite]
        uses = [
            Use("downlink" if a.kind == "downlink" else "observation", a.start, a.end)
            for a in sorted(actions, key=lambda a: a.start)
            if a.kind != "link"
        ]
        if breach := storage_breach(spacecraft.storage, uses, self.case.strict_storage):
            when = format_time(self.case.start, breach.second)
            what = "storage is over its capacity" if breach.limit == "full" else "data are sent that were never stored"
            return f"{satellite}: {what} at {when} ({breach.level:.0f} MB)"
        if breach := battery_breach(spacecraft.power, uses, self.sunlit(satellite), self.case.horizon_s):
            return f"{satellite}: the battery is empty by {format_time(self.case.start, breach.second)}"
        return None

    def violations(self, plan: Sequence[Action]) -> list[str]:
        """Every limit a plan breaks, in order of time for each satellite."""
        found = [message for action in plan if (message := self.alone(action))]
        for satellite, actions in by_satellite(plan).items():
            pointed = [a for a in actions if a.kind in POINTED]  # a downlink between two of them hides no slew
            neighbours = [*pairwise(actions), *pairwise(pointed)]
            found += dict.fromkeys(m for first, second in neighbours if (m := self.clash(first, second)))
            if message := self.budgets(satellite, actions):
                found.append(message)
        return found

    def in_sunlight(self, satellite: str, seconds: Array) -> Array:
        """Whether the satellite is lit at seconds (n,)."""
        return in_sunlight(self.satellites[satellite], self.case.start, seconds)


def by_satellite(plan: Iterable[Action]) -> dict[str, list[Action]]:
    """The actions that keep a satellite busy, in order of time; links do not."""
    busy: dict[str, list[Action]] = defaultdict(list)
    for action in sorted(plan, key=lambda a: (a.start, a.end)):
        if action.kind in ("observation", "strip", "downlink"):
            busy[action.by].append(action)
    return dict(busy)


def merged(actions: Iterable[Action]) -> list[tuple[float, float]]:
    """The spans of actions, merged where they touch or overlap."""
    return union([(a.start, a.end) for a in actions])  # type: ignore[misc]


def _samples(action: Action, step: float) -> Array:
    return np.append(np.arange(action.start, action.end, step), action.end)
