import json

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from assay.cli.main import main

ROWS = [
    {"problem": "p", "solution": "pair them", "correct": True, "idea": "pairs"},
    {"problem": "p", "solution": "pair both ends", "correct": True, "idea": "pairs"},
    {"problem": "p", "solution": "add one by one", "correct": False, "idea": "adding"},
    {"problem": "q", "solution": "only one", "correct": True, "idea": "guess"},
]


@pytest.fixture
def solutions(tmp_path):
    file = tmp_path / "solutions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def strategies(*words) -> int:
    return main(["use", "uniqueness", "strategies", *map(str, words)])


def test_a_table_is_printed_and_single_solutions_are_told(solutions, capsys):
    assert strategies(solutions, "--field", "idea") == 0
    shown = capsys.readouterr().out
    assert "0.667" in shown
    assert "1 problems with a single solution were left out" in shown


def test_json_holds_the_figures(solutions, capsys):
    assert strategies(solutions, "--field", "idea", "--json") == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["strategies"], line["right_strategies"], line["largest"]) == (2, 1, 2)
    assert line["pass@1"] == pytest.approx(2 / 3)
    assert line["auc"] == pytest.approx((2 / 3 + 1 + 1 - (2 / 3 + 1) / 2) / 2)


def test_rows_are_written_with_their_cluster_and_weight(solutions, tmp_path):
    out = tmp_path / "out.jsonl"
    assert strategies(solutions, "--field", "idea", "--alpha", "0.5", "--output", out) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["cluster"] for row in rows] == [0, 0, 1]
    assert [row["weight"] for row in rows] == pytest.approx([2**-0.5, 2**-0.5, 1])


@modelapi(name="sorter")
class Sorter(ModelAPI):
    """An Inspect provider of the test's own; the model's name says what it does."""

    async def generate(self, input, tools, tool_choice, config):
        alike = json.dumps({"groups": [{"idea": "pairs", "solutions": [1, 3]}]})
        output = ModelOutput.from_content(self.model_name, alike if self.model_name == "able" else "Hard to say.")
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output


def test_a_model_sorts_the_solutions(solutions, capsys):
    assert strategies(solutions, "--model", "sorter/able", "--json") == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert (line["strategies"], line["right_strategies"], line["largest"]) == (2, 2, 2)


def test_a_model_whose_replies_are_no_partition_is_told_to_the_user(solutions, capsys):
    assert strategies(solutions, "--model", "sorter/unable") == 0
    assert "1 problems got no usable reply from sorter/unable" in capsys.readouterr().out


def test_a_model_that_cannot_be_asked_for_json_ends_in_one_line(solutions, capsys):
    assert strategies(solutions, "--model", "assay/nano") == 2
    assert "assay/nano does not know response_schema" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        (json.dumps(ROWS[3]), ["--field", "idea"], "no problem with two solutions"),
        (json.dumps(ROWS[0]), ["--field", "plan"], "no 'plan' that names a strategy; it has problem, solution"),
        (
            '{"problem": "p", "solution": "s"}',
            ["--field", "idea"],
            "line 1: no field 'correct'; it has problem, solution",
        ),
        ('{"problem": "p", "solution": "s", "correct": 3}', ["--field", "idea"], "'correct' is 3"),
        ("nothing", ["--field", "idea"], "line 1: not JSON"),
        (json.dumps(ROWS[0]), ["--field", "idea", "--alpha", "2"], "alpha: got 2.0"),
    ],
)
def test_wrong_files_end_in_one_line_and_exit_2(tmp_path, capsys, text, words, said):
    file = tmp_path / "solutions.jsonl"
    file.write_text(text + "\n")
    assert strategies(file, *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_file_is_named(tmp_path, capsys):
    assert strategies(tmp_path / "none.jsonl", "--field", "idea") == 2
    assert "none.jsonl" in capsys.readouterr().err
