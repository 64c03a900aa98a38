import json

import pytest

from assay.cli.main import main

pytest.importorskip("inspect_ai")

from inspect_ai.model import ModelAPI, ModelOutput, modelapi

REPLIES = {
    "science": '{"domain": "physics"}',
    "List each": '{"faults": []}',
    "Review": '{"pass": true, "report": ""}',
}


@modelapi(name="studio")
def studio():
    class Studio(ModelAPI):
        """Solves everything by 4, and lets everything pass."""

        async def generate(self, input, tools, tool_choice, config):
            asked = input[-1].text
            reply = next((said for words, said in REPLIES.items() if words in asked), r"so \boxed{4}")
            return ModelOutput.from_content("studio", reply)

    return Studio


def use(*words) -> int:
    return main(["use", "p1_vl", *map(str, words)])


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


ROLLOUTS = [
    *[{"prompt": "easy", "correct": True}] * 4,
    *[{"prompt": "mid", "correct": i < 3} for i in range(5)],
    *[{"prompt": "hard", "response": rf"\boxed{{{i}}}", "answer": "0"} for i in range(4)],
    *[{"prompt": "never", "response": "?", "answer": ["1", "2"]}] * 2,
]


def test_rollouts_become_a_file_a_stage(tmp_path, capsys):
    out = tmp_path / "stages"
    assert use("curriculum", write(tmp_path / "r.jsonl", ROLLOUTS), "--output", out, "--windows", 10, 20, 30) == 0
    first, second, third = (read(out / f"stage{n}.jsonl") for n in (1, 2, 3))
    assert [row["prompt"] for row in first] == ["mid", "hard"]
    assert second == [{"prompt": "hard", "pass_rate": 0.25, "rollouts": 8, "window": 20}]
    assert [(row["prompt"], row["rollouts"]) for row in third] == [("hard", 16), ("never", 16)]
    shown = capsys.readouterr().out
    assert "4 prompts: 1 solved too often (above 0.7), 1 never" in shown
    assert "to 0.3      1 █" in shown


def test_pass_rates_can_be_sampled(tmp_path):
    rows = [{"prompt": "2+2", "answer": "4"}, {"prompt": "2+3", "answer": ["5"]}]
    out = tmp_path / "stages"
    words = ("--output", out, "--model", "studio/x", "--samples", 3)
    assert use("curriculum", write(tmp_path / "p.jsonl", rows), *words) == 0
    assert [row["pass_rate"] for row in read(out / "pass_rates.jsonl")] == [1.0, 0.0]
    assert [row["prompt"] for row in read(out / "stage3.jsonl")] == ["2+3"]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_mismatch_is_told_by_quantiles_and_what_thresholds_keep(tmp_path, capsys, suffix):
    rows = [{"trainer": [-1.0, -2.0], "rollout": [-1.0, -2.0]}, {"trainer": [-1.0], "rollout": [-1.1]}]
    file = tmp_path / f"l.{suffix}"
    if suffix == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), file)
    else:
        write(file, rows)
    assert use("mismatch", file, "--threshold", 1.01, 1.2, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kept"] == {"1.01": 0.5, "1.2": 1.0}
    assert (told["sequences"], told["tokens"]) == (2, 3)
    assert told["geo"]["1"] == pytest.approx(1.10517, rel=1e-4)
    assert told["mean_log_rho"] == pytest.approx(0.05)
    assert use("mismatch", file) == 0
    assert "50.0%" in capsys.readouterr().out


def test_a_problem_goes_through_the_studios(tmp_path, capsys):
    task = tmp_path / "task.txt"
    task.write_text("What is 2+2?")
    figure = tmp_path / "f.png"
    figure.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert use("minions", task, "--model", "studio/x", "--passes", 2) == 0
    assert r"so \boxed{4}" in (shown := capsys.readouterr().out)
    assert "passed 2 reviews in a row; physics, 1 rounds" in shown
    assert use("minions", task, "--figure", figure, "--model", "studio/x", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verified"]


@pytest.mark.parametrize(
    ("verb", "rows", "words", "said"),
    [
        ("curriculum", [{"prompt": "p"}], ["--output", "o"], "row 1: neither 'correct'"),
        ("curriculum", [{"correct": 1}], ["--output", "o"], "no field 'prompt'"),
        ("mismatch", [{"trainer": [-1], "rollout": [-1, -2]}], [], "row 1: got 1 and 2 log-probabilities"),
        ("mismatch", [{"trainer": 3, "rollout": [-1]}], [], "row 1: got no list and 1"),
        ("mismatch", [{"trainer": ["a"], "rollout": [-1]}], [], "column 'trainer'"),
        ("mismatch", [{"trainer": [-1], "rollout": [-1]}], ["--threshold", "0.5"], "--threshold 0.5: wanted"),
        ("minions", [{}], ["--model", "studio/x", "--figure", "none.png"], "none.png: no such file"),
        ("minions", [{}], ["--model", "studio/x", "--passes", "0"], "passes: got 0"),
    ],
)
def test_wrong_input_ends_in_one_line_and_exit_2(tmp_path, capsys, monkeypatch, verb, rows, words, said):
    monkeypatch.chdir(tmp_path)
    assert use(verb, write(tmp_path / "in.jsonl", rows), *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()
