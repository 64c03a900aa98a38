"""The city as a desk for agents: tools to look at its places and to time a way, and plans as agents write them.

    desk = CityDesk(world().sample(0))
    desk.tools()["search_places"](kind="meal", open_at=12.5)
    read_plan("9:30 Amber Museum 4\\n11:00 Elm Garden 17")

A plan is written one stop a line, the hour of arrival before the place. `marks` says how good it is without any model.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from assay.worlds.city import KINDS, SPEED, City, Place, Plan, Request, Stop, best_plan, check, distance, way

MOST_SHOWN = 20
PATIENCE = 200  # orders of the musts that are tried for one that keeps the hours
_STOP = re.compile(r"^\W*(\d{1,2}):(\d{2})\s*(?:[-–:|]\s*)?(.*?)\s*$", re.MULTILINE)


class CityDesk:
    """A city's places behind three tools that only read."""

    def __init__(self, city: City) -> None:
        self.city = city

    def tools(self) -> dict[str, Callable[..., Any]]:
        """Name to function; each has type hints and a docstring, as `assay.integrations.mcp` wants them."""
        return {"search_places": self.search_places, "look_up": self.look_up, "time_way": self.time_way}

    def search_places(
        self, kind: str = "", open_at: float | None = None, at_most: int | None = None, near: str = "", limit: int = 10
    ) -> list[dict[str, Any]]:
        """Places by kind (sight, meal or hotel), open at an hour of the day such as 12.5, and at most at a price; the
        nearest to a place first where one is named, else the best liked."""
        if kind and kind not in KINDS:
            raise ValueError(f"kind: got {kind!r}, wanted one of {', '.join(KINDS)}")
        if not 1 <= limit <= MOST_SHOWN:
            raise ValueError(f"limit: got {limit}, wanted 1 to {MOST_SHOWN}")
        found = [
            place
            for place in self.city.places
            if (not kind or place.kind == kind)
            and (open_at is None or place.opens <= open_at < place.closes)
            and (at_most is None or place.price <= at_most)
        ]
        here = self._place(near) if near else None
        found.sort(key=lambda place: -place.rating if here is None else distance(here, place))
        return [{"name": p.name, "kind": p.kind, "price": p.price, "rating": p.rating} for p in found[:limit]]

    def look_up(self, name: str) -> dict[str, Any]:
        """All that is known of a place: where it is, price, opening hours, minutes that one stays, how it is liked."""
        return asdict(self._place(name))

    def time_way(self, start: str, hour: float, names: list[str]) -> dict[str, Any]:
        """The way from a place through others and back, on foot and by tram at 15 km an hour: arrival and departure at
        each stop, waiting for opening hours, the hour of return, kilometres, and what the stops cost together."""
        for name in (start, *names):
            self._place(name)
        asked = Request("", start, tuple(names), hour, 24.0, 0)
        plan = by_the_minute(self.city, asked, names)
        leave = [stop.arrive + self._place(stop.place).minutes / 60 for stop in plan]
        stops = [
            {"place": stop.place, "arrive": clock(stop.arrive), "leave": clock(free)} for stop, free in zip(plan, leave)
        ]
        free = leave[-1] if leave else hour
        back = free + distance(self._place(names[-1] if names else start), self._place(start)) / SPEED
        kilometres = round(way(self.city, asked, names), 2)
        spent = sum(self._place(name).price for name in names)
        return {"stops": stops, "back": clock(back), "kilometres": kilometres, "spent": spent}

    def _place(self, name: str) -> Place:
        try:
            return self.city.place(name)
        except KeyError:
            raise ValueError(f"name: got {name!r}, wanted a place as search_places names it") from None


def by_the_minute(city: City, request: Request, names: Sequence[str]) -> Plan:
    """The named places one after another, each as early as the way and its opening hour allow, in whole minutes."""
    here, free, stops = city.place(request.hotel), request.start, list[Stop]()
    for name in names:
        there = city.place(name)
        arrive = math.ceil(60 * max(free + distance(here, there) / SPEED, there.opens) - 1e-6) / 60
        stops.append(Stop(name, arrive))
        here, free = there, arrive + there.minutes / 60
    return tuple(stops)


def clock(hour: float) -> str:
    """9.5 as 9:30, to the nearest minute."""
    minutes = round(60 * hour)
    return f"{minutes // 60}:{minutes % 60:02d}"


def show_plan(plan: Plan) -> str:
    """A plan as agents are asked to write it."""
    return "\n".join(f"{clock(stop.arrive)} {stop.place}" for stop in plan)


def read_plan(text: str) -> Plan:
    """The stops of the lines that begin with an hour, in their order; nothing where there are none."""
    return tuple(Stop(name, int(hour) + int(minute) / 60) for hour, minute, name in _STOP.findall(text) if name)


def random_plan(city: City, request: Request, rng: random.Random) -> Plan:
    """All musts in an order drawn at random that keeps the opening hours; the last one drawn where none does."""
    plan: Plan = ()
    for _ in range(PATIENCE):
        plan = by_the_minute(city, request, rng.sample(request.must, len(request.must)))
        if check(city, request, plan, shortest=1.0).untimely == 0:
            break
    return plan


def shortest_way(city: City, request: Request) -> float:
    """Kilometres of the best plan. Raises ValueError for a request that cannot be met."""
    best = best_plan(city, request)
    if best is None:
        raise ValueError(f"request: {request.text!r} cannot be met")
    return way(city, request, [stop.place for stop in best])


def marks(city: City, request: Request, plan: Sequence[Stop], shortest: float) -> float:
    """How good a plan is: at most 0, a whole point off for each thing wrong with it (a stop out of time, a must left
    out, the budget overspent), and less than a point for the length of its way. No stops are as bad as can be."""
    if not plan:
        return -float(len(request.must) + 2)
    faults = check(city, request, tuple(plan), shortest)
    return -(faults.untimely + faults.missing + (faults.overspent > 0)) - faults.detour / (1 + faults.detour)
