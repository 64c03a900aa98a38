"""Chains of links between stations: connected share and travel time of light, on samples of one minute."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from assay.methods.evaluation._astro_case import Action, Case, LinkRequest
from assay.methods.evaluation._astro_flight import Flight
from assay.methods.orbits.frames import LIGHT_KM_PER_S, Array, geodetic_to_ecef
from assay.methods.orbits.satellites import positions_ecef

SAMPLE_S = 60


def samples(request: LinkRequest) -> Array:
    """The moments at which a request is looked at: every minute from its start, its end left out."""
    return np.arange(request.start, request.end, SAMPLE_S)


def node_positions(flight: Flight, second: float) -> dict[str, Array]:
    """Earth-fixed position (3,) of every satellite and station."""
    places = {s.id: geodetic_to_ecef(s.lat, s.lon, s.alt_km) for s in flight.case.stations}
    moment = [second]
    return places | {s.id: positions_ecef(s, flight.case.start, moment)[0] for s in flight.case.satellites}


def shortest(
    source: str, sink: str, edges: Sequence[tuple[str, str]], places: dict[str, Array], stations: set[str]
) -> tuple[float, list[str]]:
    """Length [km] and nodes of the shortest chain over the edges; (inf, []) where there is none.

    Other stations pass nothing on: a chain is station, satellites, station.
    """
    relays = stations - {source, sink}
    usable = [(a, b) for a, b in edges if a not in relays and b not in relays and {a, b} != {source, sink}]
    names = sorted({n for edge in usable for n in edge} | {source, sink})
    index = {name: i for i, name in enumerate(names)}
    if not usable:
        return math.inf, []
    length = [float(np.linalg.norm(places[a] - places[b])) for a, b in usable]
    rows, columns = [index[a] for a, _ in usable], [index[b] for _, b in usable]
    graph = coo_matrix((length, (rows, columns)), shape=(len(names), len(names))).tocsr()
    distance, before = dijkstra(graph, directed=False, indices=index[source], return_predecessors=True)
    if math.isinf(distance[index[sink]]):
        return math.inf, []
    chain = [index[sink]]
    while chain[-1] != index[source]:
        chain.append(int(before[chain[-1]]))
    return float(distance[index[sink]]), [names[i] for i in reversed(chain)]


def latencies(case: Case, plan: Sequence[Action], flight: Flight) -> dict[str, list[float]]:
    """Request -> one latency [ms] a sample, inf where its stations are not connected."""
    links = [a for a in plan if a.kind == "link"]
    stations = {s.id for s in case.stations}
    found: dict[str, list[float]] = {}
    for request in case.links:
        found[request.id] = []
        for second in samples(request):
            edges = [(a.by, a.to) for a in links if a.start <= second < a.end]
            places = node_positions(flight, float(second))
            km, _ = shortest(request.source, request.sink, edges, places, stations)
            found[request.id].append(km / LIGHT_KM_PER_S * 1000)
    return found


def latency_metrics(case: Case, plan: Sequence[Action], flight: Flight) -> dict[str, float]:
    """Connected share of the requested minutes; least, greatest and mean latency [ms] of the connected ones."""
    every = [ms for request in latencies(case, plan, flight).values() for ms in request]
    connected = [ms for ms in every if math.isfinite(ms)]
    metrics = {"connected": len(connected) / len(every) if every else 0.0}
    if connected:
        mean = sum(connected) / len(connected)
        metrics |= {"min_ms": min(connected), "max_ms": max(connected), "mean_ms": mean}
    return metrics


def terminal_violations(case: Case, plan: Sequence[Action]) -> list[str]:
    """Satellites that hold more links at once than they have terminals."""
    terminals = {s.id: s.terminals for s in case.satellites}
    steps: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for action in plan:
        if action.kind == "link":
            for node in {action.by, action.to} & set(terminals):
                steps[node] += [(action.start, 1), (action.end, -1)]
    found = []
    for node, changes in sorted(steps.items()):
        held = most = 0
        for _, change in sorted(changes):
            held += change
            most = max(most, held)
        if most > terminals[node]:
            found.append(f"{node} holds {most} links at once, it has {terminals[node]} terminals")
    return found
