import json

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, modelapi

from assay.cli.main import main
from assay.methods.data.stages import read_rows


@modelapi(name="teacher")
class Teacher(ModelAPI):
    """An Inspect provider of the test's own: writes three criteria and finds those met that a reply holds by title;
    `teacher/mute` never replies in form."""

    async def generate(self, input, tools, tool_choice, config):
        prompt = input[-1].text
        if self.model_name == "mute":
            text = "Well."
        elif '"grades"' in prompt:
            reply = prompt.split("===== answer\n")[1].split("\n=====")[0]
            words = [
                line.split(": ")[1] for line in prompt.split("===== criteria\n")[1].split("\n=====")[0].split("\n")
            ]
            text = json.dumps({"grades": [{"explanation": "seen", "met": word in reply} for word in words]})
        elif '"groups"' in prompt:
            text = '{"groups": []}'
        elif '"criteria"' in prompt:
            harder = "first answer" in prompt
            named = [("tea", 4)] if harder else [("red", 9), ("blue", 3), ("salt", int(self.model_name))]
            listed = [{"title": "holds", "description": word, "weight": w} for word, w in named]
            text = json.dumps({"criteria": listed})
        else:
            text = "red and blue"
        output = ModelOutput.from_content(self.model_name, text)
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return output


def use(*words) -> int:
    return main(["use", "rubrichub", *map(str, words)])


def lines(file, *rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def built(tmp_path, capsys):
    prompts = lines(tmp_path / "prompts.jsonl", {"id": "p", "prompt": "Which colours?"})
    assert use("build", prompts, "--models", "teacher/2", "--out", tmp_path / "out") == 0
    assert "rubrics of 1 of 1 prompts" in capsys.readouterr().out
    return tmp_path / "out" / "final.parquet"


def test_a_built_rubric_holds_proposed_and_hardened_criteria(built):
    (row,) = read_rows(built)
    assert [(one["criterion"], one["points"]) for one in row["rubrics"]] == [
        ("holds: red", 9), ("holds: blue", 3), ("holds: salt", 2), ("holds: tea", 4),
    ]  # fmt: skip
    assert read_rows(built.with_suffix(".jsonl")) == [row]


def test_answers_are_scored_and_what_the_rubric_tells_is_said(built, tmp_path, capsys):
    answers = lines(
        tmp_path / "answers.jsonl", {"id": "p", "response": "red tea"}, {"id": "p", "response": "red blue salt tea"}
    )
    assert use("score", answers, "--rubrics", built, "--grader", "teacher/2", "--output", tmp_path / "o.jsonl") == 0
    shown = capsys.readouterr().out
    assert " 0.722  p  2 of 4 criteria met" in shown
    assert "p: spread 0.139, 50% of answers saturated, 2 of 4 criteria tell nothing" in shown
    assert [row["reward"] for row in read_rows(tmp_path / "o.jsonl")] == [pytest.approx(13 / 18), 1.0]


def test_void_grades_are_counted_and_never_zero(built, tmp_path, capsys):
    answers = lines(tmp_path / "answers.jsonl", {"id": "p", "response": "red"})
    assert use("score", answers, "--rubrics", built, "--grader", "teacher/mute", "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert row["reward"] is None
    assert use("score", answers, "--rubrics", built, "--grader", "teacher/mute") == 0
    assert "1 answers got no usable reply" in capsys.readouterr().out


def test_the_filter_keeps_the_best_response_that_is_good_enough(built, tmp_path, capsys):
    data = lines(tmp_path / "data.jsonl", {"id": "p", "responses": ["salt", "red blue", "red blue tea"]})
    out = tmp_path / "kept.jsonl"
    assert use("filter", data, "--rubrics", built, "--grader", "teacher/2", "--out", out) == 0
    assert read_rows(out) == [
        {"id": "p", "prompt": "Which colours?", "response": "red blue tea", "reward": pytest.approx(16 / 18)}
    ]
    assert use("filter", data, "--rubrics", built, "--grader", "teacher/2", "--out", out, "--k", 1) == 0
    assert "kept 0 of 1; 1 below 0.6" in capsys.readouterr().out


def test_a_weight_out_of_range_is_the_rows_error_unless_clamped(tmp_path, capsys):
    prompts = lines(tmp_path / "prompts.jsonl", {"id": "p", "prompt": "Which colours?"})
    words = ("build", prompts, "--models", "teacher/12", "--out", tmp_path / "out")
    assert use(*words) == 1
    shown = capsys.readouterr().out
    assert "p: ValueError: weight: got 12" in shown
    assert "tries again" in shown
    assert use(*words, "--clamp") == 0


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "x"}, "no field 'id'"),
        ({"id": "q", "response": "x"}, "no rubric of 'q'"),
    ],
)
def test_wrong_files_end_in_one_line(built, tmp_path, capsys, row, words):
    answers = lines(tmp_path / "answers.jsonl", row)
    assert use("score", answers, "--rubrics", built, "--grader", "teacher/2") == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert use("score", answers, "--rubrics", tmp_path / "none.parquet", "--grader", "teacher/2") == 2
