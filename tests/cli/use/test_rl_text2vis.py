import json
import sys

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from assay.cli.main import main

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels are Linux's")

CODE = """import matplotlib.pyplot as plt
fig, ax = plt.subplots()
ax.bar(df["town"], df["sales"])
ax.set_title("Sales"); ax.set_xlabel("town"); ax.set_ylabel("sales")
fig.tight_layout()"""
EXPECTED = {"x": ["Ulm", "Kiel"], "y": [3, 9.5], "kinds": ["bar"]}


@modelapi(name="critic")
class Critic(ModelAPI):
    """An Inspect provider of the test's own: marks every picture 3 and 5; `critic/mute` never in form."""

    async def generate(self, input, tools, tool_choice, config):
        seen = any(getattr(part, "image", None) for part in input[-1].content if not isinstance(part, str))
        text = '{"why": "plain", "readability": 3, "correctness": 5}' if seen else '{"why": "so", "fits": true}'
        output = ModelOutput.from_content(self.model_name, "Hm." if self.model_name == "mute" else text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output


def reply(answer, code):
    return json.dumps({"answer": answer, "code": code})


@pytest.fixture
def files(tmp_path):
    table = tmp_path / "data.csv"
    table.write_text("town,sales\nUlm,3\nKiel,9.5\n")
    rows = [
        {"question": "Most?", "response": reply("Kiel", CODE), "answer": "Kiel", "expected": EXPECTED},
        {"question": "Most?", "response": reply("Ulm", CODE.replace("sales", "price")), "answer": "Kiel"},
        {"question": "Most?", "response": "Kiel", "answer": "Kiel"},
    ]
    file = tmp_path / "out.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file, table


def score(*words) -> int:
    return main(["use", "rl_text2vis", "score", *map(str, words)])


def test_each_reply_gets_its_scores_its_picture_or_its_error(files, tmp_path, capsys):
    file, table = files
    assert score(file, "--table", table, "--pictures", tmp_path / "png", "--timeout", 30) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["1", "1.000", "answer", "1.00", "code", "1.00", "visual", "1.00"]
    assert "0.125" in shown[1]
    assert "KeyError: 'price' (line 3)" in shown[1]
    assert 'no object with "answer" and "code"' in shown[2]
    assert shown[3] == "3 replies: 1 drew a figure; mean reward 0.375"
    assert [path.name for path in (tmp_path / "png").iterdir()] == ["1.png"]
    assert (tmp_path / "png" / "1.png").read_bytes().startswith(b"\x89PNG")


def test_a_vision_model_marks_the_picture(files, capsys):
    file, table = files
    assert score(file, "--table", table, "--judge", "critic/kind", "--json", "--timeout", 30) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["visual"], first["reasons"], first["total"]) == (0.5, ["plain"], 0.875)


def test_a_judge_out_of_form_leaves_rows_without_a_reward(files, capsys):
    file, table = files
    assert score(file, "--table", table, "--judge", "critic/mute", "--timeout", 30) == 0
    shown = capsys.readouterr().out
    assert "void" in shown
    assert "2 have no reward" in shown


@pytest.mark.parametrize(
    ("row", "table", "words"),
    [
        ({"question": "q"}, "a\n1\n", "no field 'response'"),
        ({"question": "q", "response": "r", "answer": "a", "expected": {"x": [1]}}, "a\n1\n", "expected must be"),
        ({"question": "q", "response": "r", "answer": "a"}, "a,a\n1,2\n", "each once"),
        ({"question": "q", "response": "r", "answer": "a"}, "a,b\n1\n", "1 cells, the header has 2"),
    ],
)
def test_wrong_files_end_in_one_line(files, capsys, row, table, words):
    file, csv = files
    file.write_text(json.dumps(row) + "\n")
    csv.write_text(table)
    assert score(file, "--table", csv) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert score(file, "--table", csv.with_name("none.csv")) == 2
