import json

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, modelapi

from assay.cli.main import main
from assay.methods.data.stages import read_rows

SHORT = {"kind": "constraint", "id": "short", "text": "At most 3 words.", "check": {"rule": "words", "most": 3}}
TEA = {"kind": "constraint", "id": "tea", "text": "Names tea.", "check": {"rule": "has", "value": "tea"}}
KIND = {"kind": "constraint", "id": "kind", "text": "Is kind."}
STEPS = {"kind": "sequential", "steps": [SHORT, TEA]}
ROWS = [
    {"prompt": "Well?", "response": "I like my tea hot", "structure": STEPS},
    {"prompt": "Well?", "response": "no", "structure": {"kind": "conditional", "condition": False, "then": SHORT}},
]


@modelapi(name="kindly")
class Kindly(ModelAPI):
    """An Inspect provider of the test's own: finds everything kind and rewords to nothing; `kindly/mute` is no use."""

    async def generate(self, input, tools, tool_choice, config):
        judged = '{"1": true}' if "A response to it" in input[-1].text else "Please be brief."
        return ModelOutput.from_content(self.model_name, "Well." if self.model_name == "mute" else judged)


def use(*words) -> int:
    return main(["use", "lsrif", *map(str, words)])


def lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_verdicts_and_both_rewards_are_told_for_each_response(tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert use("reward", lines(tmp_path / "r.jsonl", ROWS), "--json", "--output", out) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [
        {"verdicts": {"short": 0.0, "tea": 1.0}, "structured": 0.25, "flat": 0.5},
        {"verdicts": {"short": 1.0}, "structured": None, "flat": 1.0},
    ]
    assert [row["structured"] for row in read_rows(out)] == [0.25, None]
    assert use("reward", tmp_path / "r.jsonl", "--decay", "0") == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["0.000", "0.500"]


def test_a_model_judges_what_has_no_check(tmp_path, capsys):
    rows = lines(tmp_path / "r.jsonl", [{**ROWS[0], "structure": {"kind": "parallel", "children": [KIND, SHORT]}}])
    assert use("reward", rows, "--model", "kindly/one", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdicts"] == {"kind": 1.0, "short": 0.0}
    assert use("reward", rows, "--model", "kindly/mute") == 0
    assert "1 responses got no usable reply" in capsys.readouterr().out


def test_instructions_are_written_in_the_wanted_proportion_and_again_the_same(tmp_path, capsys):
    questions = tmp_path / "q.txt"
    questions.write_text("What is tea?\n\nName 3 colours\n")
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for out in (first, second):
        assert use("instructions", questions, "--n", "20", "--mix", "0", "1", "1", "--output", out) == 0
    assert first.read_text() == second.read_text()
    rows = read_rows(first)
    assert {row["kind"] for row in rows} == {"sequential", "conditional"}
    assert [row["seed"] for row in rows[:2]] == ["What is tea?", "Name 3 colours"]
    assert "conditional" in capsys.readouterr().out
    checks = lines(tmp_path / "c.jsonl", [{**row, "response": "so"} for row in rows])
    assert use("reward", checks) == 0  # what one verb writes the other reads


def test_a_rewording_that_loses_a_demand_is_told(tmp_path, capsys):
    questions = tmp_path / "q.txt"
    questions.write_text("What is tea?\n")
    out = tmp_path / "a.jsonl"
    assert use("instructions", questions, "--n", "8", "--model", "kindly/one", "--output", out) == 0
    told = capsys.readouterr().out
    assert "rewordings that lost a demand" in told
    assert "; 0 rewordings" not in told


@pytest.mark.parametrize(
    ("rows", "options", "said"),
    [
        ([{"prompt": "p", "response": "r"}], [], "no field 'structure'"),
        ([{**ROWS[0], "structure": KIND}], [], "constraint 'kind' and 0 others have no check: name a --model"),
        ([{**ROWS[0], "structure": {"kind": "maybe"}}], [], "row 1: kind: got 'maybe'"),
        ([ROWS[1], {**ROWS[0], "response": None}], [], "row 2: 'response' is None, wanted text"),
        (ROWS, ["--decay", "2"], "decay: got 2.0"),
    ],
)
def test_wrong_responses_end_in_one_line_and_exit_2(tmp_path, capsys, rows, options, said):
    out = tmp_path / "out.jsonl"
    assert use("reward", lines(tmp_path / "r.jsonl", rows), "--output", out, *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("\n", [], "no questions"),
        (None, [], "no such file"),
        ("q", ["--n", "0"], "n: got 0"),
        ("q", ["--mix", "0", "0", "0"], "--mix: got"),
        ("q", ["--output", "data.txt"], "ends in .jsonl or .parquet"),
    ],
)
def test_wrong_questions_end_in_one_line_and_exit_2(tmp_path, capsys, monkeypatch, text, options, said):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "q.txt").write_text(text)
    assert use("instructions", tmp_path / "q.txt", "--output", "data.jsonl", *options) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("data*"))
