import itertools
import pickle

import pytest

from assay.worlds.city import Place, Stop, best_plan, check, distance, timed, way, world

CITY = world(requests=8).sample(3)


def place(latitude, longitude):
    return Place("x", "sight", latitude, longitude, 0, 9, 17, 60, 4)


def test_distances_are_those_of_the_globe():
    assert distance(place(48.8566, 2.3522), place(51.5074, -0.1278)) == pytest.approx(343.6, abs=0.5)  # Paris, London
    assert distance(place(0, 0), place(0, 180)) == pytest.approx(20015, abs=1)


def test_the_best_plan_is_feasible_and_no_order_of_its_stops_is_shorter():
    for request in CITY.requests:
        plan = best_plan(CITY, request)
        length = way(CITY, request, [stop.place for stop in plan])
        faults = check(CITY, request, plan, length)
        assert (faults.untimely, faults.missing, faults.overspent, faults.detour) == (0, 0, 0, 0)
        for order in itertools.permutations(request.must):
            other = timed(CITY, request, order)
            if check(CITY, request, other, length).untimely == 0:
                assert way(CITY, request, order) >= length - 0.01


def test_every_fault_is_counted():
    request = CITY.requests[0]
    best = best_plan(CITY, request)
    length = way(CITY, request, [stop.place for stop in best])
    early = (Stop(best[0].place, best[0].arrive - 2), *best[1:])
    assert check(CITY, request, early, length).untimely >= 1
    assert check(CITY, request, best[1:], length).missing == 1
    unknown = (*best, Stop("nowhere", 12))
    assert check(CITY, request, unknown, length).untimely == 1
    names = [stop.place for stop in best] + [place.name for place in CITY.places if place.price >= 40]
    assert check(CITY, request, timed(CITY, request, names), length).overspent > 0
    assert check(CITY, request, timed(CITY, request, names), length).detour > 0
    late = tuple(Stop(stop.place, stop.arrive + 12) for stop in best)
    assert check(CITY, request, late, length).untimely >= len(best)


def test_a_request_that_cannot_be_met_has_no_plan():
    from dataclasses import replace

    assert best_plan(CITY, replace(CITY.requests[0], end=CITY.requests[0].start + 1)) is None


def test_a_seed_is_one_city_and_the_world_checks_a_plan():
    w = world(requests=8)
    assert w.sample(3) == CITY == pickle.loads(pickle.dumps(CITY))
    request = CITY.requests[0]
    assert w.check(CITY, (request, best_plan(CITY, request)))
    assert not w.check(CITY, (request, ()))
    with pytest.raises(ValueError, match="places: got 3"):
        world(places=3)
    with pytest.raises(ValueError, match="requests: got 0"):
        world(requests=0)
