import json

import pytest

from assay.cli.main import main

ROWS = [
    {"question_id": "q", "trajectory_id": t, "agent": a, "reward": r}
    for t, a, r in ((0, "solver", 1.0), (1, "solver", 0.0), (1, "verifier", 0.0), (2, "solver", 0.2))
] + [{"question_id": "q", "trajectory_id": 2, "agent": "verifier", "reward": 0.2}]


@pytest.fixture
def episodes(tmp_path):
    file = tmp_path / "episodes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def advantages(*words) -> int:
    return main(["use", "dr_mas", "advantages", *map(str, words)])


def test_each_agent_has_its_mean_its_spread_and_its_inflation(episodes, capsys):
    assert advantages(episodes) == 0
    lines = capsys.readouterr().out.splitlines()
    verifier = next(line.split() for line in lines if line.startswith("verifier"))
    # mean 0.28 over all rows, variance 0.1376; the verifier's rewards 0 and 0.2: (0.28^2 + 0.08^2) / 2 / 0.1376
    assert verifier[1:5] == ["2", "0.100", "0.100", f"{(0.28**2 + 0.08**2) / 2 / 0.1376:.3f}"]
    assert float(verifier[5]) < 0 == float(verifier[6])


def test_json_holds_both_advantages_of_every_row(episodes, capsys):
    assert advantages(episodes, "--json") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["advantage_per_agent"] for row in rows if row["agent"] == "verifier"] == [-0.7071, 0.7071]
    of_one = {row["advantage_global"] for row in rows if row["trajectory_id"] == 1}
    assert len(of_one) == 1, "an episode has one advantage under the global baseline"


def test_an_agent_that_acts_once_is_pointed_out(episodes, capsys):
    episodes.write_text("".join(json.dumps(row) + "\n" for row in ROWS[:4]))
    assert advantages(episodes) == 0
    assert "1 agents acted once for a question" in capsys.readouterr().out


def test_trajectory_ids_may_start_anew_with_each_question(episodes, capsys):
    episodes.write_text("".join(json.dumps(row | {"question_id": q}) + "\n" for q in "ab" for row in ROWS))
    assert advantages(episodes) == 0
    assert capsys.readouterr().out.count("solver") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"question_id": "q", "trajectory_id": 0, "reward": 1}', "no field 'agent'"),
        ('{"question_id": "q", "trajectory_id": 0, "agent": "a", "reward": "x"}', "wanted a number"),
        ("", "no rows"),
    ],
)
def test_wrong_files_end_in_one_line(episodes, capsys, text, words):
    episodes.write_text(text + "\n")
    assert advantages(episodes) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
