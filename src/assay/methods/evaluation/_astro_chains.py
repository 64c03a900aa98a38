"""Links for a latency case: for every requested minute a chain of satellites, within their terminals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from assay.methods.evaluation._astro_case import Action, LinkRequest
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.evaluation._astro_latency import SAMPLE_S, node_positions, samples, shortest
from assay.methods.orbits.access import line_of_sight

Edge = tuple[str, str]


@dataclass(frozen=True)
class Chain:
    """One way to connect a request at one moment."""

    request: str
    second: float
    km: float
    edges: tuple[Edge, ...]


def chains(flight: Flight) -> dict[tuple[str, float], list[Chain]]:
    """(request, moment) -> the shortest chain first, then the shortest without each of its satellites in turn."""
    found = {}
    for request in flight.case.links:
        for second in map(float, samples(request)):
            found[request.id, second] = _alternatives(flight, request, second)
    return found


def greedy_chains(flight: Flight, options: dict[tuple[str, float], list[Chain]]) -> list[Chain]:
    """Moment by moment, the shortest chain that the terminals left free allow."""
    terminals = {s.id: s.terminals for s in flight.case.satellites}
    held: dict[float, set[Edge]] = defaultdict(set)
    taken = []
    for (_, second), ways in sorted(options.items(), key=lambda item: item[0][1]):
        for chain in ways:
            edges = held[second] | set(chain.edges)
            if all(
                sum(node in e for e in edges) <= terminals[node] for e in chain.edges for node in e if node in terminals
            ):
                held[second] = edges
                taken.append(chain)
                break
    return taken


def link_actions(flight: Flight, taken: Sequence[Chain]) -> list[Action]:
    """Links that hold for the minute of each chain (a second where sight is lost before), joined where they touch."""
    ends: dict[Edge, dict[float, float]] = defaultdict(dict)
    for chain in taken:
        for edge in chain.edges:
            seconds = np.append(np.arange(chain.second, chain.second + SAMPLE_S, 10.0), chain.second + SAMPLE_S)
            whole = chain.second + SAMPLE_S <= flight.case.horizon_s and flight.linked(*edge, seconds).all()
            ends[edge][chain.second] = chain.second + (SAMPLE_S if whole else 1)
    actions = []
    for (a, b), minutes in sorted(ends.items()):
        begin = end = -1.0
        for second in sorted(minutes):
            if second != end:
                if end > begin:
                    actions.append(Action("", "link", a, b, begin, end))
                begin = second
            end = minutes[second]
        actions.append(Action("", "link", a, b, begin, end))
    return actions


def _alternatives(flight: Flight, request: LinkRequest, second: float) -> list[Chain]:
    places = node_positions(flight, second)
    stations = {s.id for s in flight.case.stations}
    nodes = [s.id for s in flight.case.satellites]
    moment = np.array([second, second + 1])
    ground = [(n, s) for s in (request.source, request.sink) for n in nodes if flight.linked(n, s, moment).all()]
    pairs = list(combinations(nodes, 2))
    sight = line_of_sight([places[a] for a, _ in pairs], [places[b] for _, b in pairs], clearance_km=90.0)
    edges = [*ground, *(pair for pair, seen in zip(pairs, sight) if seen)]
    km, chain = shortest(request.source, request.sink, edges, places, stations)
    found = {}
    for left_out in [None, *chain[1:-1]]:
        usable = [e for e in edges if left_out not in e]
        km, way = shortest(request.source, request.sink, usable, places, stations)
        if math.isfinite(km):
            links = tuple(tuple(sorted(pair)) for pair in pairwise(way))
            found[links] = Chain(request.id, second, km, links)  # type: ignore[arg-type]
    return sorted(found.values(), key=lambda chain: chain.km)
