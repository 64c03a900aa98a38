"""A small city with opening hours, prices and distances, and days out in it that can be planned and checked.

Hours are numbers of the clock (9.5 is half past nine), distances kilometres along the great circle; in town one
moves at 15 km an hour. `best_plan` is the shortest day that keeps every opening hour, found by OR-Tools.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from assay.worlds.text.problem import digest

SPEED = 15.0  # km an hour
KINDS = ("sight", "meal", "hotel")
_FIRST = ("Amber", "Birch", "Copper", "Dove", "Elm", "Fox", "Glass", "Harbour", "Iron", "Jade", "King", "Lark")
_SECOND = {"sight": ("Museum", "Garden", "Tower", "Market"), "meal": ("Kitchen", "Table"), "hotel": ("House", "Inn")}
_EARTH_KM = 6371.0


@dataclass(frozen=True)
class Place:
    """Where it is (degrees), what it costs, when it is open, how long one stays (minutes), how it is liked (0 to 5)."""

    name: str
    kind: str
    latitude: float
    longitude: float
    price: int
    opens: float
    closes: float
    minutes: int
    rating: float


@dataclass(frozen=True)
class Request:
    """A day out: what must be seen (by name), from when to when, for how much, beginning and ending at a hotel."""

    text: str
    hotel: str
    must: tuple[str, ...]
    start: float
    end: float
    budget: int


@dataclass(frozen=True)
class Stop:
    """A place and the hour of arrival."""

    place: str
    arrive: float


Plan = tuple[Stop, ...]


@dataclass(frozen=True)
class City:
    """Places, and requests that can all be met."""

    places: tuple[Place, ...]
    requests: tuple[Request, ...]

    def place(self, name: str) -> Place:
        """The place of that name; KeyError without one."""
        for place in self.places:
            if place.name == name:
                return place
        raise KeyError(name)


@dataclass(frozen=True)
class Faults:
    """What a checked plan lacks: stops outside opening hours or reached before one can be there, musts left out,
    money over the budget as a share of it, and the length of the way over the shortest one, less one."""

    untimely: int
    missing: int
    overspent: float
    detour: float


def distance(a: Place, b: Place) -> float:
    """Kilometres along the great circle."""
    phi_a, phi_b = math.radians(a.latitude), math.radians(b.latitude)
    half = math.sin((phi_b - phi_a) / 2) ** 2
    half += math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(half))


def way(city: City, request: Request, names: Sequence[str]) -> float:
    """Kilometres from the hotel through the named places and back."""
    stops = [city.place(request.hotel), *(city.place(name) for name in names), city.place(request.hotel)]
    return sum(distance(a, b) for a, b in pairwise(stops))


def timed(city: City, request: Request, names: Sequence[str]) -> Plan:
    """The named places one after another, each as early as the way and its opening hour allow."""
    here, hour, stops = city.place(request.hotel), request.start, []
    for name in names:
        there = city.place(name)
        hour = max(hour + distance(here, there) / SPEED, there.opens)
        stops.append(Stop(name, hour))
        here, hour = there, hour + there.minutes / 60
    return tuple(stops)


def check(city: City, request: Request, plan: Plan, shortest: float) -> Faults:
    """What is wrong with a plan; `shortest` is the way of the best one, in km. An unknown place is untimely."""
    known = {place.name for place in city.places}
    stops = [stop for stop in plan if stop.place in known]
    here, free, untimely = city.place(request.hotel), request.start, len(plan) - len(stops)
    for stop in stops:
        there = city.place(stop.place)
        too_early = stop.arrive + 1e-6 < max(free + distance(here, there) / SPEED, there.opens)
        leaves = stop.arrive + there.minutes / 60
        untimely += too_early or leaves > there.closes + 1e-6
        here, free = there, leaves
    back = free + distance(here, city.place(request.hotel)) / SPEED
    spent = sum(city.place(stop.place).price for stop in stops)
    return Faults(
        untimely=untimely + (back > request.end + 1e-6),
        missing=sum(name not in {stop.place for stop in stops} for name in request.must),
        overspent=max(0.0, spent / request.budget - 1),
        detour=max(0.0, way(city, request, [stop.place for stop in stops]) / shortest - 1),
    )


def best_plan(city: City, request: Request) -> Plan | None:
    """The shortest way through all musts within their hours, exactly (CP-SAT); None where there is none."""
    from ortools.sat.python import cp_model

    nodes = [city.place(request.hotel), *(city.place(name) for name in request.must)]
    metres = [[round(1000 * distance(a, b)) for b in nodes] for a in nodes]
    model = cp_model.CpModel()
    arrive, arcs = _arrivals(model, nodes, request), {}
    for i, here in enumerate(nodes):
        for j in range(len(nodes)):
            if i == j:
                continue
            arcs[i, j] = model.new_bool_var(f"{i} to {j}")
            stay = 60 * here.minutes if i else 0
            leg = stay + math.ceil(metres[i][j] * 3.6 / SPEED)
            if j:
                model.add(arrive[j] >= arrive[i] + leg).only_enforce_if(arcs[i, j])
            else:
                model.add(arrive[i] + leg <= round(3600 * request.end)).only_enforce_if(arcs[i, j])
    model.add_circuit([(i, j, arc) for (i, j), arc in arcs.items()])
    model.minimize(sum(metres[i][j] * arc for (i, j), arc in arcs.items()))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1  # more workers find other optima among equals from run to run
    if solver.solve(model) != cp_model.OPTIMAL:
        return None
    order = sorted(range(1, len(nodes)), key=lambda j: solver.value(arrive[j]))
    return timed(city, request, [nodes[j].name for j in order])


def _arrivals(model: Any, nodes: Sequence[Place], request: Request) -> list[Any]:
    """The second of the day at which each node is reached, within its hours; node 0 is the hotel in the morning."""
    arrive = [model.new_constant(round(3600 * request.start))]
    for place in nodes[1:]:
        first, last = math.ceil(3600 * place.opens), math.floor(3600 * place.closes) - 60 * place.minutes
        arrive.append(model.new_int_var(first, max(first, last), place.name))
    return arrive


@dataclass(frozen=True)
class CityWorld:
    """One city a seed, with `requests` days out of five musts each that can be met."""

    places: int = 60
    requests: int = 40

    def __post_init__(self) -> None:
        if not 12 <= self.places <= 1000:
            raise ValueError(f"places: got {self.places}, wanted 12 to 1000")
        if self.requests < 1:
            raise ValueError(f"requests: got {self.requests}, wanted at least 1")

    def sample(self, seed: int) -> City:
        """The city of a seed."""
        rng = random.Random(digest("city", seed))
        centre = (rng.uniform(-60, 60), rng.uniform(-179, 179))
        quarters = [(rng.gauss(0, 2.5), rng.gauss(0, 2.5)) for _ in range(6)]  # km north and east of the centre
        city = City(tuple(_place(i, rng, centre, rng.choice(quarters)) for i in range(self.places)), ())
        found: list[Request] = []
        while len(found) < self.requests:
            request = _request(city, rng)
            plan = best_plan(city, request)
            if plan is not None and _is_met(city, request, plan):
                found.append(request)
        return City(city.places, tuple(found))

    def check(self, sample: City, plan: tuple[Request, Plan]) -> bool:
        """Whether a plan meets its request without any fault but the length of its way."""
        return _is_met(sample, *plan)


def world(places: int = 60, requests: int = 40) -> CityWorld:
    return CityWorld(places, requests)


def _place(i: int, rng: random.Random, centre: tuple[float, float], quarter: tuple[float, float]) -> Place:
    kind = KINDS[i] if i < len(KINDS) else rng.choices(KINDS, (8, 3, 1))[0]
    north, east = quarter[0] + rng.gauss(0, 0.6), quarter[1] + rng.gauss(0, 0.6)
    opens = {"sight": rng.choice((8.0, 9.0, 10.0)), "meal": rng.choice((11.0, 12.0)), "hotel": 0.0}[kind]
    closes = {"sight": rng.choice((14.0, 17.0, 19.0)), "meal": rng.choice((15.0, 22.0)), "hotel": 24.0}[kind]
    return Place(
        name=f"{rng.choice(_FIRST)} {rng.choice(_SECOND[kind])} {i}",
        kind=kind,
        latitude=centre[0] + north / 111.2,
        longitude=centre[1] + east / (111.2 * math.cos(math.radians(centre[0]))),
        price=rng.randint(0, 40) if kind == "sight" else rng.randint(10, 60),
        opens=opens,
        closes=closes,
        minutes=rng.choice((30, 45, 60, 75)),
        rating=round(rng.uniform(2, 5), 1),
    )


def _request(city: City, rng: random.Random) -> Request:
    hotel = rng.choice([place for place in city.places if place.kind == "hotel"])
    sights = rng.sample([place for place in city.places if place.kind == "sight"], 4)
    must = [*sights, rng.choice([place for place in city.places if place.kind == "meal"])]
    start, end = rng.choice((8.0, 9.0)), rng.choice((18.0, 20.0))
    budget = math.ceil(1.15 * max(20, sum(place.price for place in must)))
    names = tuple(place.name for place in must)
    text = (
        f"From {hotel.name}, see {', '.join(names)} in one day between {start:g} and {end:g} o'clock, "
        f"for at most {budget} in all, on a short way."
    )
    return Request(text, hotel.name, names, start, end, budget)


def _is_met(city: City, request: Request, plan: Plan) -> bool:
    faults = check(city, request, plan, shortest=1.0)
    return faults.untimely == faults.missing == faults.overspent == 0
