"""Cases, actions and plans of the five families, and their JSON.

In memory every time is seconds after the horizon's start; in JSON it is an ISO timestamp with an offset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from assay.methods.orbits.access import Site, Window
from assay.methods.orbits.frames import format_time, parse_time, seconds_after
from assay.methods.orbits.satellites import Satellite

Family = Literal["satnet", "revisit", "regional", "stereo", "latency"]
Kind = Literal["observation", "strip", "downlink", "link", "track"]
FAMILIES: tuple[Family, ...] = get_args(Family)
CASE_FILE = "case.json"


@dataclass(frozen=True)
class Target:
    """A place to observe. `monitoring`: small revisit gaps; `mapping`: `quota` observations; `stereo`: a pair."""

    id: str
    lat: float
    lon: float
    kind: Literal["monitoring", "mapping", "stereo"] = "monitoring"
    duration_s: int = 10
    quota: int = 1
    weight: float = 1.0

    @property
    def site(self) -> Site:
        return Site(self.id, self.lat, self.lon)


@dataclass(frozen=True)
class Region:
    """A polygon to cover: corners (lat, lon), not across the date line."""

    id: str
    polygon: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class LinkRequest:
    """Two stations that want to be connected over satellites, from `start` to `end`."""

    id: str
    source: str
    sink: str
    start: float
    end: float


@dataclass(frozen=True)
class Antenna:
    """A dish of the deep-space network and when it is down for maintenance."""

    id: str
    complex: str
    maintenance: tuple[Window, ...] = ()


@dataclass(frozen=True)
class Request:
    """A deep-space track wanted by a mission. A resource is an antenna or an array such as `DSS-24_DSS-25`;
    `views` holds, for each resource that will do, when it sees the mission."""

    id: str
    mission: str
    duration_s: int
    duration_min_s: int
    setup_s: int
    teardown_s: int
    start: float
    end: float
    views: Mapping[str, tuple[Window, ...]]


@dataclass(frozen=True)
class Action:
    """One thing done. `by`/`to`: satellite/target (observation), satellite/strip name (strip), satellite/station
    (downlink), two nodes (link), resource/request (track). `roll` [deg] belongs to strips, `on` and `off` to tracks."""

    id: str
    kind: Kind
    by: str
    to: str
    start: float
    end: float
    roll: float | None = None
    on: float | None = None
    off: float | None = None


Plan = tuple[Action, ...]


@dataclass(frozen=True)
class Verified:
    """What the verifier says of a plan: valid, every violation in words, the metrics, and the score in [0, 1]."""

    valid: bool
    violations: tuple[str, ...]
    metrics: Mapping[str, float]
    score: float


@dataclass(frozen=True)
class Case:
    """One planning problem. Which of the lists are filled depends on the family."""

    family: Family
    seed: int
    start: datetime
    horizon_s: int
    satellites: tuple[Satellite, ...] = ()
    stations: tuple[Site, ...] = ()
    targets: tuple[Target, ...] = ()
    regions: tuple[Region, ...] = ()
    links: tuple[LinkRequest, ...] = ()
    antennas: tuple[Antenna, ...] = ()
    requests: tuple[Request, ...] = ()
    strict_storage: bool = True

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"family: got {self.family!r}, wanted one of {', '.join(FAMILIES)}")
        if self.horizon_s <= 0:
            raise ValueError(f"horizon_h: got {self.horizon_s / 3600:g}, wanted more than 0")
        for name in ("satellites", "stations", "targets", "regions", "links", "antennas", "requests"):
            ids = [item.id for item in getattr(self, name)]
            if doubled := {i for i in ids if ids.count(i) > 1}:
                raise ValueError(f"{name}: the id {min(doubled)!r} occurs more than once")
        for wish in (*self.links, *self.requests):
            if not 0 <= wish.start < wish.end <= self.horizon_s:
                raise ValueError(f"{wish.id}: its window lies outside the horizon of {self.horizon_s / 3600:g} h")
        stations = {s.id for s in self.stations}
        for link in self.links:
            if unknown := {link.source, link.sink} - stations:
                raise ValueError(f"{link.id}: unknown station {min(unknown)!r}")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Case:
        """A case from plain data; raises ValueError that names what is wrong."""
        try:
            start = parse_time(data["start"])
            many = {name: list(data.get(name, ())) for name in _PARTS}
            case = cls(
                family=data["family"],
                seed=int(data.get("seed", 0)),
                start=start,
                horizon_s=round(float(data["horizon_h"]) * 3600),
                strict_storage=bool(data.get("strict_storage", True)),
                **{name: tuple(_PARTS[name](item, start) for item in items) for name, items in many.items()},
            )
        except KeyError as error:
            raise ValueError(f"case: {error.args[0]!r} is missing") from None
        except TypeError as error:
            raise ValueError(f"case: {error}") from None
        for target in case.targets:
            target.site  # noqa: B018  a latitude beyond the pole is refused here
        return case

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back; empty lists are left out."""

        def when(seconds: float) -> str:
            return format_time(self.start, seconds)

        def spans(windows: Iterable[Window]) -> list[list[str]]:
            return [[when(a), when(b)] for a, b in windows]

        requests = [
            {
                **{k: v for k, v in asdict(r).items() if k != "views"},
                "start": when(r.start),
                "end": when(r.end),
                "views": {name: spans(windows) for name, windows in r.views.items()},
            }
            for r in self.requests
        ]
        lists = {
            "satellites": [s.to_json() for s in self.satellites],
            "stations": [asdict(s) for s in self.stations],
            "targets": [asdict(t) for t in self.targets],
            "regions": [{"id": r.id, "polygon": [list(corner) for corner in r.polygon]} for r in self.regions],
            "links": [{**asdict(x), "start": when(x.start), "end": when(x.end)} for x in self.links],
            "antennas": [{**asdict(a), "maintenance": spans(a.maintenance)} for a in self.antennas],
            "requests": requests,
        }
        head = {"family": self.family, "seed": self.seed, "start": when(0), "horizon_h": self.horizon_s / 3600}
        return {**head, "strict_storage": self.strict_storage, **{k: v for k, v in lists.items() if v}}


def _request(data: Mapping[str, Any], start: datetime) -> Request:
    views = {name: _spans(windows, start) for name, windows in data["views"].items()}
    moments = {key: seconds_after(start, data[key]) for key in ("start", "end")}
    return Request(**{**data, **moments, "views": views})


def _spans(windows: Iterable[Any], start: datetime) -> tuple[Window, ...]:
    return tuple((round(seconds_after(start, a)), round(seconds_after(start, b))) for a, b in windows)


_PARTS: dict[str, Any] = {
    "satellites": lambda item, start: Satellite.from_json(item),
    "stations": lambda item, start: Site(**item),
    "targets": lambda item, start: Target(**item),
    "regions": lambda item, start: Region(item["id"], tuple((float(a), float(b)) for a, b in item["polygon"])),
    "links": lambda item, start: LinkRequest(
        **{**item, "start": seconds_after(start, item["start"]), "end": seconds_after(start, item["end"])}
    ),
    "antennas": lambda item, start: Antenna(item["id"], item["complex"], _spans(item.get("maintenance", ()), start)),
    "requests": _request,
}


def load_case(path: str | Path) -> Case:
    """The case of a folder (its case.json) or of a JSON file."""
    path = Path(path)
    file = path / CASE_FILE if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such case; `assay use astroreason new` makes one")
    return Case.from_json(_read(file))


def load_plan(path: str | Path, case: Case) -> Plan:
    """The plan of a JSON file, checked against the ids of its case."""
    return plan_from_json(_read(Path(path)), case)


def plan_from_json(data: Mapping[str, Any], case: Case) -> Plan:
    """Actions from plain data. Raises ValueError for unknown ids, kinds and keys, and for backward times."""
    if not isinstance(data, Mapping) or not isinstance(data.get("actions"), list):
        raise ValueError('plan: wanted an object with a list "actions"')
    plan = tuple(action_from_json(item, case, f"a{i + 1}") for i, item in enumerate(data["actions"]))
    ids = [action.id for action in plan]
    if doubled := {i for i in ids if ids.count(i) > 1}:
        raise ValueError(f"plan: the action id {min(doubled)!r} occurs more than once")
    return plan


def action_from_json(item: Mapping[str, Any], case: Case, name: str) -> Action:
    """One action from plain data; `name` is its id where it has none."""
    times = {k: seconds_after(case.start, item[k]) for k in ("start", "end", "on", "off") if item.get(k) is not None}
    try:
        action = Action(**{"id": name, **item, **times})
    except TypeError as error:
        raise ValueError(f"action {item.get('id', name)}: {str(error).removeprefix('Action.__init__() ')}") from None
    check_ids(action, case)
    return action


def plan_to_json(plan: Plan, case: Case) -> dict[str, Any]:
    """Plain data that `plan_from_json` reads back."""
    return {"actions": [action_to_json(action, case) for action in plan]}


def action_to_json(action: Action, case: Case) -> dict[str, Any]:
    data = {key: value for key, value in asdict(action).items() if value is not None}
    return {k: format_time(case.start, v) if k in ("start", "end", "on", "off") else v for k, v in data.items()}


def check_ids(action: Action, case: Case) -> None:
    """Raise ValueError unless kind, ids and times of an action make sense in its case."""
    satellites, stations = {s.id for s in case.satellites}, {s.id for s in case.stations}
    ends: dict[str, tuple[set[str], set[str]]] = {
        "observation": (satellites, {t.id for t in case.targets}),
        "downlink": (satellites, stations),
        "link": (satellites | stations, satellites | stations),
        "track": ({r for request in case.requests for r in request.views}, {r.id for r in case.requests}),
        "strip": (satellites, {action.to}),
    }
    if action.kind not in ends:
        raise ValueError(f"action {action.id}: got kind {action.kind!r}, wanted one of {', '.join(ends)}")
    for field, known in zip(("by", "to"), ends[action.kind]):
        if getattr(action, field) not in known:
            raise ValueError(f"action {action.id}: {field}: unknown id {getattr(action, field)!r}")
    if not action.start < action.end:
        raise ValueError(f"action {action.id}: start must lie before end")
    for field, kind in (("roll", "strip"), ("on", "track"), ("off", "track")):
        if (getattr(action, field) is None) == (action.kind == kind):
            raise ValueError(f"action {action.id}: {field} belongs to a {kind}, and a {kind} needs it")


def numbered(actions: Iterable[Action]) -> Plan:
    """The actions in order of time, named a1, a2, …"""
    ordered = sorted(actions, key=lambda a: (a.start, a.by, a.to))
    return tuple(replace(action, id=f"a{i + 1}") for i, action in enumerate(ordered))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
