"""The generator: reproducible, on land, as loaded as it says, and in the documented form."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from assay.methods.orbits.access import target_windows, union
from assay.methods.orbits.frames import parse_time
from assay.methods.orbits.satellites import Satellite
from assay.worlds.orbits.cases import FAMILIES, Orbits, generate, world
from assay.worlds.orbits.land import on_land

ROOT = Path(__file__).parents[3]


def schemas() -> dict[str, dict]:
    """The schemas of docs/astro_cases.md by title."""
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "astro_cases.md").read_text("utf-8"), re.DOTALL)
    return {schema["title"]: schema for schema in map(json.loads, blocks)}


@pytest.fixture(scope="module")
def cases() -> dict[str, dict]:
    return world(hours=6.0, satellites=4).sample(3)


def test_every_case_has_the_documented_form(cases):
    schema = schemas()["case.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    for case in cases.values():
        jsonschema.validate(case, schema)
    broken = {**cases["stereo"], "targets": [{**cases["stereo"]["targets"][0], "lat": 95}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_a_case_comes_back_the_same_from_its_seed_and_another_from_another(cases):
    small = Orbits(FAMILIES, 1.6, 4, 6.0)
    assert all(small.check(cases[family]) for family in ("satnet", "stereo"))
    assert generate("satnet", 4, hours=6.0) != generate("satnet", 3, hours=6.0)


def test_targets_lie_on_land(cases):
    assert all(on_land(t["lat"], t["lon"]) for t in cases["revisit"]["targets"])
    assert on_land(0, 20) and on_land(40, -100) and not on_land(0, -30) and not on_land(-60, 0)


def test_demand_reaches_the_load_factor_and_no_further_than_one_target(cases):
    case = cases["stereo"]
    start, horizon = parse_time(case["start"]), case["horizon_h"] * 3600
    from assay.methods.evaluation.astroreason import Case

    sites = [t.site for t in Case.from_json(case).targets]
    available = 0
    for satellite in map(Satellite.from_json, case["satellites"]):
        rows = target_windows(satellite, sites, start, horizon)
        available += sum(b - a for a, b in union([w for row in rows for w in row]))
    demand = 2 * sum(t["duration_s"] for t in case["targets"])
    assert demand >= 1.6 * available
    assert len(sites) == 20 or demand - 2 * case["targets"][-1]["duration_s"] < 1.6 * available


def test_a_deep_space_week_asks_for_the_hours_its_load_factor_says():
    case = generate("satnet", 1, load_factor=1.0)
    assert case["horizon_h"] == 168 and len(case["antennas"]) == 12
    assert 200 <= len(case["requests"]) <= 280  # about 80 a complex-week
    arrays = [r for r in case["requests"] if any("_" in name for name in r["views"])]
    assert 0.02 < len(arrays) / len(case["requests"]) < 0.15
    assert all(len(a["maintenance"]) <= 4 for a in case["antennas"])


def test_a_users_own_targets_and_satellites_take_the_place_of_drawn_ones(cases):
    fleet = [Satellite.from_json(s) for s in cases["revisit"]["satellites"][:1]]
    own = [{"id": "home", "lat": 50.0, "lon": 8.0, "weight": 2.0}]
    case = generate("stereo", 0, fleet=fleet, targets=own, hours=6)
    assert [t["id"] for t in case["targets"]] == ["home"] and len(case["satellites"]) == 1
    with pytest.raises(ValueError, match="no list of targets"):
        generate("regional", 0, targets=own)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"family": "chess"}, "family: got 'chess'"),
        ({"load_factor": 0}, "load_factor: got 0"),
        ({"satellites": 3}, "satellites: got 3, wanted 4 to 24"),
        ({"hours": 0.5}, "hours: got 0.5"),
        ({"seed": -1}, "seed: got -1"),
        ({"start": "2026-01-13"}, "timestamps need Z or an offset"),
    ],
)
def test_wrong_arguments_are_named(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        generate(**{"family": "satnet", "seed": 0, **change})
