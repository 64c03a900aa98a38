"""The protocol between an agent and a case: queries, computed windows, staged actions, one committed plan.

All tools take and return plain JSON data. The state is one JSON file under a lock, so that an MCP server, a
notebook and a script act on the same plan; without a file it stays in memory.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay.methods.evaluation._astro_case import (
    Action,
    Case,
    Plan,
    action_from_json,
    action_to_json,
    plan_from_json,
    plan_to_json,
)
from assay.methods.evaluation._astro_coverage import revisit_gaps, stereo_metrics
from assay.methods.evaluation._astro_flight import Flight, by_satellite
from assay.methods.evaluation._astro_latency import latency_metrics
from assay.methods.evaluation._astro_satnet import antennas_of, track_alone, track_violations
from assay.methods.evaluation._astro_schedule import Worth, strip_candidates
from assay.methods.evaluation._astro_verify import KINDS, measure, plan_violations
from assay.methods.orbits.frames import format_time, seconds_after

Json = dict[str, Any]
PAGE, LONGEST_PAGE = 10, 100
_EMPTY: Json = {"actions": [], "windows": [], "strips": [], "committed": False, "calls": 0}


class Session:
    """One agent's work on one case. `session.plan` is what is staged; every other public method is a tool."""

    def __init__(self, case: Case, state_file: str | Path | None = None, flight: Flight | None = None) -> None:
        self.case, self.flight = case, flight or Flight(case)
        self._file = Path(state_file) if state_file is not None else None
        self._memory: Json = json.loads(json.dumps(_EMPTY))

    @property
    def plan(self) -> Plan:
        """The staged actions."""
        with self._open(counts=False) as state:
            return plan_from_json(state, self.case)

    @property
    def calls(self) -> int:
        """How many tool calls were made."""
        with self._open(counts=False) as state:
            return int(state["calls"])

    def tools(self) -> dict[str, Callable[..., Json]]:
        """Name -> bound method, for Inspect, MCP or a loop of one's own."""
        return {name: getattr(self, name) for name in TOOLS}

    def query_satellites(self, filters: Json | None = None, offset: int = 0, limit: int = PAGE) -> Json:
        """List satellites (for satnet: antennas) with what they carry. filters: exact values by field."""
        rows = [s.to_json() for s in self.case.satellites] or [asdict(a) for a in self.case.antennas]
        return self._listed(rows, filters, offset, limit)

    def query_targets(self, filters: Json | None = None, offset: int = 0, limit: int = PAGE) -> Json:
        """List what is asked for: targets, regions, link requests or track requests."""
        data = self.case.to_json()
        rows = [row for name in ("targets", "regions", "links", "requests") for row in data.get(name, [])]
        rows = [{k: v for k, v in row.items() if k != "views"} | _resources(row) for row in rows]
        return self._listed(rows, filters, offset, limit)

    def query_stations(self, filters: Json | None = None, offset: int = 0, limit: int = PAGE) -> Json:
        """List ground stations."""
        return self._listed([asdict(s) for s in self.case.stations], filters, offset, limit)

    def query_windows(self, filters: Json | None = None, offset: int = 0, limit: int = PAGE) -> Json:
        """List the windows computed so far, in order of time."""
        return self._listed("windows", filters, offset, limit)

    def query_actions(self, filters: Json | None = None, offset: int = 0, limit: int = PAGE) -> Json:
        """List the staged actions."""
        return self._listed("actions", filters, offset, limit)

    def query_strips(self, filters: Json | None = None, offset: int = 0, limit: int = PAGE) -> Json:
        """List the registered strips."""
        return self._listed("strips", filters, offset, limit)

    def compute_access_windows(self, by: list[str] | None = None, to: list[str] | None = None) -> Json:
        """Compute when satellites `by` see targets or stations `to` (None: all), and keep the windows to query.

        For satnet: when resources see the missions of requests. Answers with their number and the first page.
        """
        self._known(by, "by"), self._known(to, "to")
        rows = [w for w in self._windows() if (by is None or w["by"] in by) and (to is None or w["to"] in to)]
        with self._open() as state:
            merged = {(w["by"], w["to"], w["start"]): w for w in [*state["windows"], *rows]}
            state["windows"] = sorted(merged.values(), key=lambda w: (w["start"], w["by"], w["to"]))
        return {"total": len(rows), "items": rows[:PAGE]}

    def compute_strip_windows(self, satellite: str, limit: int = PAGE) -> Json:
        """Strips of a satellite that cover some of a region, those that cover most first; nothing is registered."""
        self._known([satellite], "satellite")
        with self._open():
            worth = Worth(self.flight)
            mine = [a for a in self._strip_candidates if a.by == satellite]
            found = sorted(mine, key=lambda a: (-int(worth.cover(a).sum()), a.start))
        rows = [
            {**_strip(action, self.case), "grid_points": int(worth.cover(action).sum())}
            for action in found[: _page(limit)]
        ]
        return {"total": len(found), "items": rows}

    def register_strips(self, strips: list[Json]) -> Json:
        """Name strips {id, satellite, start, end, roll}, to be staged by id."""
        with self._open() as state:
            for strip in strips:
                action = self._action(
                    {
                        "kind": "strip",
                        "by": strip.get("satellite"),
                        "to": strip.get("id"),
                        **{key: strip.get(key) for key in ("start", "end", "roll")},
                    },
                    str(strip.get("id")),
                )
                if any(known["id"] == action.to for known in state["strips"]):
                    raise ValueError(f"strip {action.to!r} is registered already")
                state["strips"].append(_strip(action, self.case))
            return {"registered": len(strips), "total": len(state["strips"])}

    def unregister_strips(self, ids: list[str]) -> Json:
        """Forget strips that are not staged."""
        with self._open() as state:
            staged = {a["to"] for a in state["actions"] if a["kind"] == "strip"}
            if used := sorted(staged & set(ids)):
                raise ValueError(f"strip {used[0]!r} is staged; unstage it first")
            state["strips"] = [s for s in state["strips"] if s["id"] not in ids]
            return {"total": len(state["strips"])}

    def compute_lighting_windows(self, satellite: str) -> Json:
        """When a satellite is in sunlight."""
        self._known([satellite], "satellite")
        with self._open():
            windows = self.flight.sunlit(satellite)
        return {"items": [{"start": self._text(a), "end": self._text(b)} for a, b in windows]}

    def get_ground_track(self, satellite: str, start: str, end: str, step_s: float = 60.0) -> Json:
        """Latitude and longitude below a satellite, at most 1,000 points."""
        self._known([satellite], "satellite")
        a, b = seconds_after(self.case.start, start), seconds_after(self.case.start, end)
        if not (step_s > 0 and 0 <= b - a <= 1000 * step_s):
            raise ValueError(f"step_s: got {step_s}, wanted a step that makes at most 1,000 points from start to end")
        with self._open():
            seconds = np.arange(a, b + 1e-9, step_s)
            track = self.flight.ground_track(satellite, seconds)
        rows = [
            {"time": self._text(float(t)), "lat": lat, "lon": lon} for t, (lat, lon) in zip(seconds, track.tolist())
        ]
        return {"items": rows}

    def evaluate_comms_latency(self) -> Json:
        """Connected share and latency of the staged links."""
        return self._evaluated(lambda plan: latency_metrics(self.case, plan, self.flight))

    def evaluate_revisit_gaps(self) -> Json:
        """Longest gap [h] and number of observations of each target in the staged plan."""

        def gaps(plan: Plan) -> Json:
            seen: dict[str, list[Action]] = {t.id: [] for t in self.case.targets}
            for action in plan:
                if action.kind == "observation":
                    seen[action.to].append(action)
            longest = {k: max(revisit_gaps(v, self.case.horizon_s), default=0.0) / 3600 for k, v in seen.items()}
            return {k: {"max_gap_h": longest[k], "observations": len(seen[k])} for k in seen}

        return self._evaluated(gaps)

    def evaluate_stereo_coverage(self) -> Json:
        """Share of targets with a stereo pair in the staged plan."""
        return self._evaluated(lambda plan: stereo_metrics(self.case, plan, self.flight))

    def evaluate_polygon_coverage(self) -> Json:
        """Covered share of every region in the staged plan."""
        return self._evaluated(lambda plan: measure(self.case, plan, self.flight)[0])

    def stage_action(
        self,
        kind: str,
        by: str,
        to: str,
        start: str = "",
        end: str = "",
        on: str | None = None,
        off: str | None = None,
        dry_run: bool = False,
    ) -> Json:
        """Add an action if it breaks no limit beside those staged; otherwise name the first limit it breaks.

        kind: observation, downlink, strip, link or track. A strip is staged by the id it is registered under (its
        times are those). dry_run: only say whether it would be staged.
        """
        with self._open() as state:
            words: Json = {"kind": kind, "by": by, "to": to, "start": start, "end": end, "on": on, "off": off}
            if kind == "strip":
                words |= self._registered(state, by, to)
            name = f"a{1 + max((int(a['id'][1:]) for a in state['actions']), default=0)}"
            action = self._action(words, name)
            violation = self._violation(action, plan_from_json(state, self.case))
            if violation is None and not dry_run:
                state["actions"].append(action_to_json(action, self.case))
                state["committed"] = False
        return {"staged": violation is None and not dry_run, "id": name, "violation": violation}

    def unstage_action(self, id: str) -> Json:
        """Take a staged action out, unless what stays would break a limit (a downlink of its data, say)."""
        with self._open() as state:
            left = [a for a in state["actions"] if a["id"] != id]
            if len(left) == len(state["actions"]):
                raise ValueError(f"action {id!r} is not staged")
            plan = plan_from_json({"actions": left}, self.case)
            busy = by_satellite(plan).items()
            violation = next(filter(None, (self.flight.budgets(s, mine) for s, mine in busy)), None)
            if violation is None:
                state["actions"], state["committed"] = left, False
            return {"unstaged": violation is None, "violation": violation}

    def get_plan_status(self) -> Json:
        """What is staged, what it breaks, and what it is worth."""
        with self._open() as state:
            return self._status(state)

    def commit_plan(self) -> Json:
        """Hand the plan in, if it is valid."""
        with self._open() as state:
            status = self._status(state)
            state["committed"] = status["committed"] = status["valid"]
            return status

    def reset_plan(self) -> Json:
        """Unstage everything; computed windows and registered strips stay."""
        with self._open() as state:
            state["actions"], state["committed"] = [], False
            return {"staged": 0}

    @contextmanager
    def _open(self, counts: bool = True) -> Iterator[Json]:
        """The state under a lock; written back, by way of a new file, unless the block raises."""
        if self._file is None:
            state = json.loads(json.dumps(self._memory))
            yield state
            self._memory = {**state, "calls": state["calls"] + counts}
            return
        with open(f"{self._file}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads(self._file.read_text("utf-8")) if self._file.exists() else json.loads(json.dumps(_EMPTY))
            yield state
            if counts:
                fresh = self._file.with_name(self._file.name + ".new")
                fresh.write_text(json.dumps({**state, "calls": state["calls"] + 1}), "utf-8")
                fresh.replace(self._file)

    def _listed(self, source: str | list[Json], filters: Json | None, offset: int, limit: int) -> Json:
        if offset < 0:
            raise ValueError(f"offset: got {offset}, wanted 0 or more")
        with self._open() as state:
            rows = state[source] if isinstance(source, str) else source
        kept = [row for row in rows if all(row.get(k) == v for k, v in (filters or {}).items())]
        return {"total": len(kept), "items": json.loads(json.dumps(kept[offset : offset + _page(limit)]))}

    def _windows(self) -> list[Json]:
        if self.case.family == "satnet":
            return [
                {"by": resource, "to": request.id, "start": self._text(a), "end": self._text(b)}
                for request in self.case.requests
                for resource, views in request.views.items()
                for a, b in views
            ]
        every = {**self.flight.access, **self.flight.contacts}
        return [
            {"by": by, "to": to, "start": self._text(a), "end": self._text(b), **self._geometry(by, to, a, b)}
            for (by, to), windows in every.items()
            for a, b in windows
        ]

    def _geometry(self, by: str, to: str, start: float, end: float) -> Json:
        """Where a target sees the satellite at both ends of the window [deg]."""
        if to not in self.flight.targets:
            return {}
        (az1, el1), (az2, el2) = (self.flight.view_from(to, by, t) for t in (start, end))
        return {"azimuth": [round(az1, 1), round(az2, 1)], "elevation": [round(el1, 1), round(el2, 1)]}

    @property
    def _strip_candidates(self) -> list[Action]:
        if not hasattr(self, "_strips"):
            self._strips = strip_candidates(self.flight)
        return self._strips

    def _registered(self, state: Json, satellite: str, name: str) -> Json:
        for strip in state["strips"]:
            if strip["id"] == name and strip["satellite"] == satellite:
                return {key: strip[key] for key in ("start", "end", "roll")}
        raise ValueError(f"no strip {name!r} of {satellite} is registered")

    def _action(self, words: Json, name: str) -> Action:
        return action_from_json({k: v for k, v in words.items() if v not in (None, "")}, self.case, name)

    def _violation(self, action: Action, plan: Plan) -> str | None:
        """The first limit that one more action breaks."""
        if action.kind not in KINDS[self.case.family]:
            return f"a {action.kind} does not belong in a {self.case.family} case"
        if action.kind == "track":
            (request,) = (r for r in self.case.requests if r.id == action.to)
            alone = track_alone(action, request, {a.id: a for a in self.case.antennas})
            near = [a for a in plan if a.to == action.to or set(antennas_of(a.by)) & set(antennas_of(action.by))]
            return alone or next(iter(track_violations(self.case, [*near, action])), None)
        if message := self.flight.alone(action):
            return message
        if action.kind == "link":
            return next(
                iter(plan_violations(self.case, [*(a for a in plan if a.kind == "link"), action], self.flight)), None
            )
        mine = by_satellite([*plan, action])[action.by]
        clashes = (self.flight.clash(other, action) for other in mine if other is not action)
        return next(filter(None, clashes), None) or self.flight.budgets(action.by, mine)

    def _evaluated(self, of: Callable[[Plan], Json]) -> Json:
        with self._open() as state:
            return of(plan_from_json(state, self.case))

    def _status(self, state: Json) -> Json:
        plan = plan_from_json(state, self.case)
        violations = plan_violations(self.case, plan, self.flight)
        metrics, score = measure(self.case, plan, self.flight)
        return {
            "staged": len(plan),
            "committed": state["committed"],
            "valid": not violations,
            "violations": violations,
            "metrics": metrics,
            "score": 0.0 if violations else score,
        }

    def _known(self, names: list[str] | None, argument: str) -> None:
        case = self.case
        groups = (case.satellites, case.stations, case.targets, case.requests, case.antennas)
        known = {item.id for group in groups for item in group} | {r for q in case.requests for r in q.views}
        for name in names or ():
            if name not in known:
                raise ValueError(f"{argument}: unknown id {name!r}")

    def _text(self, seconds: float) -> str:
        return format_time(self.case.start, seconds)


TOOLS = tuple(
    name for name, value in vars(Session).items() if callable(value) and not name.startswith("_") and name != "tools"
)


def commit(session: Session, plan: Plan) -> Json:
    """Replace what is staged by a plan made elsewhere, and hand it in."""
    with session._open() as state:
        state["actions"] = plan_to_json(tuple(replace(a) for a in plan), session.case)["actions"]
    return session.commit_plan()


def _page(limit: int) -> int:
    if not 1 <= limit <= LONGEST_PAGE:
        raise ValueError(f"limit: got {limit}, wanted 1 to {LONGEST_PAGE}")
    return limit


def _resources(row: Json) -> Json:
    return {"resources": sorted(row["views"])} if "views" in row else {}


def _strip(action: Action, case: Case) -> Json:
    times = {key: format_time(case.start, getattr(action, key)) for key in ("start", "end")}
    return {"id": action.to, "satellite": action.by, **times, "roll": action.roll}
