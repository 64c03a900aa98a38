"""The agent's protocol: what tools answer, what staging refuses, one plan for every way in."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from assay.methods.evaluation.astroreason import Case, Flight, Session, commit, cp_sat, greedy, plan_to_json, verify
from assay.worlds.orbits.cases import generate

TOOLS = {
    *("query_satellites", "query_targets", "query_stations", "query_windows", "query_actions", "query_strips"),
    *("compute_access_windows", "compute_strip_windows", "register_strips", "unregister_strips"),
    *("compute_lighting_windows", "get_ground_track", "evaluate_comms_latency", "evaluate_revisit_gaps"),
    *("evaluate_stereo_coverage", "evaluate_polygon_coverage", "stage_action", "unstage_action"),
    *("get_plan_status", "commit_plan", "reset_plan"),
}


def session_schema() -> dict:
    text = (Path(__file__).parents[3] / "docs" / "astro_cases.md").read_text("utf-8")
    blocks = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    return next(schema for schema in blocks if schema["title"] == "session.json")


@pytest.fixture(scope="module")
def flight() -> Flight:
    return Flight(Case.from_json(generate("stereo", 1000, hours=12.0)))


@pytest.fixture(scope="module")
def regional() -> Flight:
    return Flight(Case.from_json(generate("regional", 1000, hours=12.0)))


@pytest.fixture
def session(flight) -> Session:
    return Session(flight.case, flight=flight)


def first_target_window(session: Session) -> dict:
    session.compute_access_windows()
    rows = session.query_windows(limit=100)["items"]
    return next(w for w in rows if "azimuth" in w)


def test_the_tools_are_those_of_the_protocol_and_all_say_what_they_do(session):
    assert set(session.tools()) == TOOLS
    assert all(function.__doc__ for function in session.tools().values())


def test_queries_page_filter_and_count_as_calls(session):
    page = session.query_targets(limit=5)
    assert page["total"] == len(session.case.targets) and len(page["items"]) == 5
    rest = session.query_targets(offset=5, limit=100)
    assert page["items"][0] not in rest["items"]
    assert session.query_satellites({"id": "sat-03"})["total"] == 1
    assert session.calls == 3
    with pytest.raises(ValueError, match="limit: got 1000"):
        session.query_targets(limit=1000)
    with pytest.raises(ValueError, match="offset: got -1"):
        session.query_targets(offset=-1)


def test_windows_are_known_only_once_computed(session):
    assert session.query_windows()["total"] == 0
    target = session.case.targets[0].id
    some = session.compute_access_windows(to=[target])
    assert session.query_windows()["total"] == some["total"]
    with pytest.raises(ValueError, match="to: unknown id 'atlantis'"):
        session.compute_access_windows(to=["atlantis"])


def test_staging_takes_what_is_possible_and_names_the_first_limit_that_is_not(session):
    w = first_target_window(session)
    target = next(t for t in session.case.targets if t.id == w["to"])
    from assay.methods.orbits.frames import format_time, seconds_after

    begin = seconds_after(session.case.start, w["start"])
    end = format_time(session.case.start, begin + target.duration_s)
    assert session.stage_action("observation", w["by"], w["to"], w["start"], end, dry_run=True)["staged"] is False
    assert session.query_actions()["total"] == 0
    staged = session.stage_action("observation", w["by"], w["to"], w["start"], end)
    assert staged == {"staged": True, "id": "a1", "violation": None}
    again = session.stage_action("observation", w["by"], w["to"], w["start"], end)
    assert not again["staged"] and "overlaps" in again["violation"]
    late = (
        format_time(session.case.start, begin + 3000),
        format_time(session.case.start, begin + 3000 + target.duration_s),
    )
    assert "access window" in session.stage_action("observation", w["by"], w["to"], *late)["violation"]
    assert "does not belong" in session.stage_action("link", w["by"], "hawaii", w["start"], end)["violation"]
    assert session.unstage_action("a1")["unstaged"]
    with pytest.raises(ValueError, match="'a1' is not staged"):
        session.unstage_action("a1")


def test_a_call_that_fails_leaves_the_state_alone(session):
    with pytest.raises(ValueError, match="timestamps need Z"):
        session.stage_action("downlink", "sat-01", "hawaii", "2026-01-13T00:00:00", "2026-01-13T00:01:00Z")
    assert session.calls == 0 and session.plan == ()


def test_an_observation_whose_data_were_sent_cannot_be_unstaged(flight):
    session = Session(flight.case, flight=flight)
    solved = cp_sat(flight.case, deterministic_time=0.3, flight=flight)
    assert commit(session, solved.plan)["committed"]
    sender = next(a for a in solved.plan if a.kind == "downlink")
    before = [a for a in solved.plan if a.by == sender.by and a.kind == "observation" and a.end <= sender.start]
    answers = [session.unstage_action(a.id) for a in before]
    assert any("never stored" in (a["violation"] or "") for a in answers)


def test_two_sessions_on_one_file_share_a_plan_and_the_file_has_the_documented_form(flight, tmp_path):
    file = tmp_path / "session.json"
    one, other = (Session(flight.case, file, flight) for _ in range(2))
    w = first_target_window(one)
    solved = cp_sat(flight.case, deterministic_time=0.2, flight=flight)
    status = commit(one, solved.plan)
    assert status["committed"] and status["score"] == verify(flight.case, solved.plan, flight).score
    assert other.plan == solved.plan and other.query_windows({"by": w["by"]})["total"] > 0
    jsonschema.validate(json.loads(file.read_text()), session_schema())
    other.reset_plan()
    assert one.plan == ()


def test_strips_are_found_registered_staged_and_covered(regional):
    session = Session(regional.case, flight=regional)
    found = next(answer for s in regional.case.satellites if (answer := session.compute_strip_windows(s.id))["total"])
    strip = found["items"][0]
    assert session.register_strips([strip]) == {"registered": 1, "total": 1}
    with pytest.raises(ValueError, match="registered already"):
        session.register_strips([strip])
    assert session.stage_action("strip", strip["satellite"], strip["id"])["staged"]
    assert session.evaluate_polygon_coverage()["coverage"] > 0
    with pytest.raises(ValueError, match="is staged; unstage it first"):
        session.unregister_strips([strip["id"]])


def test_evaluations_tracks_and_light_answer_in_plain_data(session):
    gaps = session.evaluate_revisit_gaps()
    assert gaps[session.case.targets[0].id] == {"max_gap_h": 12.0, "observations": 0}
    assert session.evaluate_stereo_coverage()["coverage"] == 0
    light = session.compute_lighting_windows("sat-01")["items"]
    assert light and light[0]["start"].endswith("Z")
    track = session.get_ground_track("sat-01", "2026-01-13T00:00:00Z", "2026-01-13T00:10:00Z")["items"]
    assert len(track) == 11 and all(abs(p["lat"]) <= 90 for p in track)
    with pytest.raises(ValueError, match="at most 1,000 points"):
        session.get_ground_track("sat-01", "2026-01-13T00:00:00Z", "2026-01-13T10:00:00Z", step_s=1)


def test_deep_space_tracks_are_staged_with_setup_and_teardown():
    case = Case.from_json(generate("satnet", 1000, hours=24.0))
    session, plan = Session(case), greedy(case)

    data = plan_to_json(plan, case)["actions"][0]
    words = {k: data[k] for k in ("kind", "by", "to", "start", "end", "on", "off")}
    assert "setup" in session.stage_action(**{**words, "on": data["start"]})["violation"]
    assert session.stage_action(**words)["staged"]
    assert session.get_plan_status()["metrics"]["tracks"] == 1
