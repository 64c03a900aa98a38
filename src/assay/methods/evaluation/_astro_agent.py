"""The greedy planner as an agent: it knows only what it queried, and every try to stage costs a tool call."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from assay.methods.evaluation._astro_case import Action, Plan, action_from_json, numbered
from assay.methods.evaluation._astro_schedule import TrackSchedule, Worth, earth_candidates
from assay.methods.evaluation._astro_session import LONGEST_PAGE, Session
from assay.methods.evaluation._astro_solvers import fill
from assay.methods.orbits.frames import format_time, seconds_after

READING_SHARE = 0.3  # of the calls, at most, for queries
NEAR_S = 3 * 3600  # two orbits: a downlink further away seldom helps


def agent_greedy(session: Session, calls: int = 150) -> Plan:
    """Plan a case through its session with at most `calls` tool calls, and commit; the plan that was staged.

    It ranks candidates as `greedy` does and works out slews from the satellites' agility, but sees only windows it
    asked for, and learns of storage and battery from refusals; when storage is full it stages a downlink in a
    contact nearby and tries once more.
    """
    if session.case.family == "latency":
        raise ValueError("family: the agent plans observations and tracks; wanted satnet, revisit, regional or stereo")
    if calls < 20:
        raise ValueError(f"calls: got {calls}, wanted at least 20")
    desk = _Desk(session, calls - 1)
    fill(desk, list(desk.candidates))
    session.commit_plan()
    return numbered(session.plan)


class _Desk:
    """A schedule whose `fits` stages through the session: what fits is staged already when it is added."""

    def __init__(self, session: Session, calls: int) -> None:
        self.session, self.case, self._left = session, session.case, calls
        self.pairs = self.case.family == "stereo"
        self._staged: dict[Action, str] = {}
        self._of_group: dict[str, list[Action]] = defaultdict(list)
        self._contacts: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
        self._full: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._tracks = TrackSchedule(self.case) if self.case.family == "satnet" else None
        self._worth = Worth(session.flight)
        self.candidates = self._read()

    def rank(self, action: Action) -> float:
        return self._tracks.rank(action) if self._tracks is not None else action.end

    def fits(self, action: Action) -> bool:
        """Try to stage an action, with a downlink before it if storage asks for one; False when calls run out."""
        if self._left < 1 or self._is_hopeless(action):
            return False
        refusal = self._stage(action)
        if refusal and "storage is over" in refusal and self._left >= 2 and self._make_room(action):
            refusal = self._stage(action)
        return refusal is None

    def gain(self, action: Action) -> float:
        if self._tracks is not None:
            return self._tracks.gain(action) if not self._tracks.clashing(action) else 0.0
        group = self._worth.group(action)
        held = self._of_group[group]
        return self._worth.value(group, [*held, action]) - self._worth.value(group, held)

    def add(self, action: Action) -> None:
        if self._tracks is not None:
            self._tracks.add(action)
        self._of_group[self._worth.group(action)].append(action)

    def remove(self, action: Action) -> None:
        """Unstage; an action whose data are sent already, or for which no call is left, stays."""
        if self._left < 1:
            return
        self._left -= 1
        if self.session.unstage_action(self._staged[action])["unstaged"]:
            del self._staged[action]
            self._of_group[self._worth.group(action)].remove(action)

    def clashing(self, action: Action) -> list[Action]:
        return [a for a in self._staged if a.by == action.by and a.start < action.end and action.start < a.end]

    def chosen(self) -> list[Action]:
        return list(self._staged)

    def plan(self) -> Plan:
        return self.session.plan

    def _read(self) -> list[Action]:
        """Query, within the share of calls for it, and make candidates of the windows that came back."""
        stop = self._left * (1 - READING_SHARE)
        self._page(self.session.query_targets)
        self._page(self.session.query_satellites)
        self._left -= 1
        self.session.compute_access_windows()
        rows = self._page(self.session.query_windows, until=stop)
        start = self.case.start
        seen = defaultdict(list)
        for row in rows:
            span = (seconds_after(start, row["start"]), seconds_after(start, row["end"]))
            seen[row["by"], row["to"]].append(span)
            if row["to"] in self.session.flight.stations:
                self._contacts[row["by"]].append((*span, row["to"]))
        if self.case.family == "regional":
            return self._strips()
        every = self._tracks.candidates if self._tracks is not None else earth_candidates(self.session.flight)
        return [a for a in every if any(b <= _begin(a) and _end(a) <= e for b, e in seen[a.by, a.to])]

    def _strips(self) -> list[Action]:
        """Ask for the widest strips of every satellite and register them."""
        found = []
        for satellite in self.case.satellites:
            self._left -= 1
            found += self.session.compute_strip_windows(satellite.id, limit=LONGEST_PAGE)["items"]
        self._left -= 1
        self.session.register_strips(found)
        words: list[dict[str, Any]] = [
            {"kind": "strip", "by": s["satellite"], "to": s["id"], **{k: s[k] for k in ("start", "end", "roll")}}
            for s in found
        ]
        return [action_from_json(w, self.case, w["to"]) for w in words]

    def _page(self, query: Any, until: float = 0.0) -> list[dict[str, Any]]:
        """Every row of a query, page by page, until calls fall to `until`."""
        rows: list[dict[str, Any]] = []
        while self._left > until:
            self._left -= 1
            answer = query(offset=len(rows), limit=LONGEST_PAGE)
            rows += answer["items"]
            if len(rows) >= answer["total"]:
                break
        return rows

    def _stage(self, action: Action) -> str | None:
        """The refusal, or None."""
        self._left -= 1
        fields = ("start", "end") if action.kind != "track" else ("start", "end", "on", "off")
        times = {k: format_time(self.case.start, getattr(action, k)) for k in fields}
        answer = self.session.stage_action(action.kind, action.by, action.to, **times)
        if answer["staged"]:
            self._staged[action] = answer["id"]
        return answer["violation"]

    def _is_hopeless(self, action: Action) -> bool:
        """Whether a call would be wasted: no time beside what is staged, or storage known to be full."""
        if action.kind == "track":
            return False
        if any(self.session.flight.clash(other, action) for other in self._staged if other.by == action.by):
            return True
        return any(a <= action.start < b for a, b in self._full[action.by])

    def _make_room(self, action: Action) -> bool:
        """Stage a downlink of what is stored, in the contact near the action that can send most."""
        mine = [a for a in self._staged if a.by == action.by]
        storage = self.session.flight.satellites[action.by].storage
        offers = []
        for begin, end, station in self._contacts[action.by]:
            stored = storage.start_mb + sum(_change(a, storage) for a in mine if a.end <= begin)
            later = min((a.start for a in (*mine, action) if a.start >= begin), default=end)
            seconds = int(min(min(end, later) - begin, stored // storage.downlink_mb_s))
            span = Action("", "downlink", action.by, station, begin, begin + max(seconds, 0))
            clear = not any(a.start < span.end and span.start < a.end for a in (*mine, action))
            if seconds >= 1 and clear and abs(begin - action.start) <= NEAR_S:
                offers.append((seconds, span))
        if offers and self._stage(max(offers, key=lambda offer: offer[0])[1]) is None:
            return True
        before = max((a.end for a in mine if a.end <= action.start), default=0.0)
        after = min(
            (b for b, _, _ in self._contacts[action.by] if b > action.start), default=float(self.case.horizon_s)
        )
        self._full[action.by].append((before, after))
        return False


def _change(action: Action, storage: Any) -> float:
    rate = -storage.downlink_mb_s if action.kind == "downlink" else storage.observation_mb_s
    return rate * (action.end - action.start)


def _begin(action: Action) -> float:
    return action.on if action.on is not None else action.start


def _end(action: Action) -> float:
    return action.off if action.off is not None else action.end
