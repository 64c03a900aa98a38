import json

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, modelapi

from assay.cli.main import main
from assay.methods.data.stages import read_rows

ROWS = [
    {"query": "Which tea?", "memory": ["Likes oolong.", "Bought a kettle."], "response": "Oolong!", "preference": 2},
    {"query": "Which tea?", "memory": {"profile": ["Likes oolong."]}, "response": "Sencha!", "preference": 1},
    {"query": "Which tea?", "memory": "", "response": "Oolong!"},
]


@modelapi(name="dial")
class Dial(ModelAPI):
    """An Inspect provider of the test's own that finds every response at the level it is named after."""

    async def generate(self, input, tools, tool_choice, config):
        return ModelOutput.from_content(self.model_name, f'{{"level": {self.model_name}}}')


def use(*words) -> int:
    return main(["use", "memcontrol", "dependence", *map(str, words)])


def lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_levels_errors_and_the_table_are_told(tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    file = lines(tmp_path / "r.jsonl", ROWS)
    assert use(file, "--json", "--output", out) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["levels"] == {"1": 2, "2": 0, "3": 0, "4": 0, "5": 1}
    assert (told["alignment_error"], told["empty_memory"], told["errors"]) == (1.5, 1, 0)
    assert told["confusion"][1] == [0, 0, 0, 0, 1]
    assert [(row["md"], row["error"], row["empty_memory"]) for row in read_rows(out)] == [
        (5, 3, False), (1, 0, False), (1, None, True),
    ]  # fmt: skip
    assert use(file) == 0
    shown = capsys.readouterr().out
    assert "mean alignment error 1.50" in shown
    assert "1 have no memory" in shown


def test_a_judge_may_rate_and_its_failures_are_counted(tmp_path, capsys):
    file = lines(tmp_path / "r.jsonl", ROWS)
    assert use(file, "--judge", "dial/3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["alignment_error"] == 1.5  # |3 - 2| and |3 - 1|
    assert use(lines(tmp_path / "s.jsonl", ROWS[:2]), "--judge", "dial/9") == 1
    assert "2 got no usable level from the judge" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"query": "q", "memory": []}, "no field 'response'"),
        ({**ROWS[0], "preference": 6}, "row 1: 'preference' is 6, wanted a whole number from 1 to 5"),
        ({**ROWS[0], "memory": 3}, "row 1: memory: got '3'"),
        ({**ROWS[0], "response": None}, "row 1: 'response' is None, wanted text"),
    ],
)
def test_wrong_rows_end_in_one_line_and_exit_2(tmp_path, capsys, row, said):
    out = tmp_path / "out.jsonl"
    assert use(lines(tmp_path / "r.jsonl", [row]), "--output", out) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not out.exists()
