"""`assay use astroreason`: make, solve and check a case; errors are one line and leave nothing behind."""

import json

import pytest

from assay.cli.main import main

TLE = (
    "VANGUARD 1\n"
    "1 00005U 58002B   00179.78495062  .00000023  00000-0  28098-4 0  4753\n"
    "2 00005  34.2682 348.7242 1859667 331.7664  19.3264 10.82419157413667\n"
)


def test_a_case_is_made_solved_and_checked(tmp_path, capsys):
    folder = tmp_path / "case"
    assert main(["use", "astroreason", "new", "--family", "stereo", "--seed", "7", "--hours", "6", str(folder)]) == 0
    assert "8 satellites" in capsys.readouterr().out
    assert main(["use", "astroreason", "solve", str(folder), "--solver", "greedy"]) == 0
    assert main(["use", "astroreason", "check", str(folder / "plan.json"), "--case", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["valid"] and told["metrics"]["stereo_targets"] >= 0


def test_an_impossible_plan_exits_1_and_says_why(tmp_path, capsys):
    folder = tmp_path / "case"
    main(["use", "astroreason", "new", "--family", "revisit", "--hours", "6", str(folder)])
    times = {"start": "2026-01-13T00:00:00Z", "end": "2026-01-13T00:00:20Z"}
    plan = {"actions": [{"kind": "observation", "by": "sat-01", "to": "t001", **times}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert main(["use", "astroreason", "check", str(tmp_path / "plan.json"), "--case", str(folder)]) == 1
    assert "violation: a1 is longer than the access window of t001" in capsys.readouterr().out


def test_own_satellites_and_targets_are_accepted(tmp_path, capsys):
    tle, targets = tmp_path / "mine.tle", tmp_path / "mine.csv"
    tle.write_text(TLE)
    targets.write_text("id,lat,lon,weight\nhome,10.5,20.25,2\n")
    words = ["use", "astroreason", "new", "--family", "stereo", "--hours", "6", "--start", "2000-06-28T00:00:00Z"]
    assert main([*words, "--tle", str(tle), "--targets", str(targets), str(tmp_path / "case")]) == 0
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    assert case["satellites"][0]["id"] == "VANGUARD_1" and case["targets"][0]["id"] == "home"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["new", "--family", "stereo", "--load-factor", "-1", "OUT"], "load_factor: got -1.0"),
        (["new", "--family", "stereo", "--tle", "BAD.tle", "OUT"], "checksum"),
        (["new", "--family", "stereo", "--targets", "BAD.csv", "OUT"], "line 2: wanted id,lat,lon,weight"),
        (["new", "--family", "stereo", "--start", "2026-01-13T00:00:00", "OUT"], "timestamps need Z or an offset"),
        (["solve", "OUT"], "no such case"),
    ],
)
def test_what_a_user_gets_wrong_is_one_line_and_leaves_nothing(words, complaint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "BAD.tle").write_text(TLE.replace("4753", "4754"))
    (tmp_path / "BAD.csv").write_text("id,lat,lon\nhome,north,2\n")
    assert main(["use", "astroreason", *words]) == 2
    told = capsys.readouterr().err
    assert complaint in told and told.count("\n") == 1
    assert not (tmp_path / "OUT").exists()
