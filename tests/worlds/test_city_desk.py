import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.city import Stop, best_plan, check, world
from assay.worlds.city_desk import (
    CityDesk,
    by_the_minute,
    clock,
    marks,
    random_plan,
    read_plan,
    shortest_way,
    show_plan,
)

pytest.importorskip("ortools")
CITY = world(places=30, requests=6).sample(0)
DESK = CityDesk(CITY).tools()


def test_places_are_found_by_kind_hour_price_and_distance():
    meals = DESK["search_places"](kind="meal", open_at=13.0, at_most=40, limit=20)
    places = {place.name: place for place in CITY.places}
    assert meals
    for found in meals:
        own = places[found["name"]]
        assert own.kind == "meal"
        assert own.opens <= 13 < own.closes
        assert own.price <= 40
    assert [found["rating"] for found in meals] == sorted((found["rating"] for found in meals), reverse=True)
    here = CITY.places[0].name
    assert DESK["search_places"](near=here, limit=1)[0]["name"] == here


def test_all_that_is_known_of_a_place_is_told():
    place = CITY.places[3]
    told = DESK["look_up"](place.name)
    assert (told["opens"], told["price"], told["minutes"]) == (place.opens, place.price, place.minutes)


def test_a_way_is_timed_as_the_check_of_plans_times_it():
    request = CITY.requests[0]
    names = [stop.place for stop in best_plan(CITY, request)]
    told = DESK["time_way"](request.hotel, request.start, names)
    plan = read_plan("\n".join(f"{stop['arrive']} {stop['place']}" for stop in told["stops"]))
    faults = check(CITY, request, plan, shortest_way(CITY, request))
    assert (faults.untimely, faults.missing, faults.overspent) == (0, 0, 0)
    assert told["kilometres"] == pytest.approx(shortest_way(CITY, request), abs=0.01)
    assert told["spent"] == sum(CITY.place(name).price for name in names)
    assert DESK["time_way"](request.hotel, 9.0, [])["back"] == "9:00"


@given(st.integers(0, 5), st.integers(0, 100))
def test_a_plan_reads_back_as_it_was_written(number, seed):
    plan = random_plan(CITY, CITY.requests[number], random.Random(seed))
    read = read_plan(f"Here it is:\n{show_plan(plan)}\nEnjoy!")
    assert [stop.place for stop in read] == [stop.place for stop in plan]
    assert [stop.arrive for stop in read] == pytest.approx([stop.arrive for stop in plan])


@pytest.mark.parametrize(
    ("text", "stops"),
    [
        ("9:30 Elm Garden 17", [("Elm Garden 17", 9.5)]),
        ("- 09:05 - Elm Garden 17  ", [("Elm Garden 17", 9 + 5 / 60)]),
        ("at noon Elm Garden 17", []),
        ("9:30", []),
    ],
)
def test_stops_are_lines_that_begin_with_an_hour(text, stops):
    assert read_plan(text) == tuple(Stop(name, hour) for name, hour in stops)


def test_the_best_plan_has_the_best_marks_and_each_fault_costs_a_point():
    request = CITY.requests[1]
    shortest = shortest_way(CITY, request)
    best = by_the_minute(CITY, request, [stop.place for stop in best_plan(CITY, request)])
    top = marks(CITY, request, best, shortest)
    assert top == pytest.approx(0)
    assert marks(CITY, request, best[1:], shortest) < top - 0.99
    assert marks(CITY, request, (), shortest) < marks(CITY, request, best[:1], shortest)
    for seed in range(10):
        assert marks(CITY, request, random_plan(CITY, request, random.Random(seed)), shortest) <= top + 1e-9


def test_hours_are_told_to_the_minute():
    assert [clock(hour) for hour in (9.5, 0, 12 + 1 / 60, 23.999)] == ["9:30", "0:00", "12:01", "24:00"]


@pytest.mark.parametrize(
    ("tool", "words", "said"),
    [
        ("search_places", {"kind": "zoo"}, "kind: got 'zoo'"),
        ("search_places", {"limit": 0}, "limit: got 0"),
        ("look_up", {"name": "Nowhere"}, "name: got 'Nowhere'"),
        ("time_way", {"start": CITY.places[0].name, "hour": 9.0, "names": ["Nowhere"]}, "name: got 'Nowhere'"),
    ],
)
def test_wrong_input_is_named(tool, words, said):
    with pytest.raises(ValueError, match=said):
        DESK[tool](**words)
