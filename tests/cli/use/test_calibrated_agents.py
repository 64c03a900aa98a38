import json

import pytest

from assay.cli.main import main

RUN = [{"correct": i % 5 > 0, "response": "so <confidence>0.9</confidence>", "tool": "web_search"} for i in range(20)]
RUN += [{"correct": i % 2, "confidence": 0.5 + 0.4 * (i % 2), "tool": "oracle"} for i in range(20)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def report(*words) -> int:
    return main(["use", "calibrated_agents", "report", *map(str, words)])


def test_the_figures_are_those_worked_by_hand(tmp_path, capsys):
    assert report(write(tmp_path / "run.jsonl", RUN), "--verification", "oracle", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    evidence, verification = figures["evidence"], figures["verification"]
    assert (evidence["n"], evidence["accuracy"], evidence["ece"]) == pytest.approx((20, 0.8, 0.1))
    assert (evidence["confidence_when_wrong"], evidence["brier"]) == pytest.approx((0.9, 0.8 * 0.01 + 0.2 * 0.81))
    assert (verification["auroc"], verification["ece"]) == pytest.approx((1.0, 0.3))
    assert evidence["intervals"]["brier"][0] < evidence["brier"] < evidence["intervals"]["brier"][1]


def test_a_table_and_a_picture_are_made_for_people(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    rows = [*RUN[:20], *({**row, "correct": True} for row in RUN[20:])]
    picture = tmp_path / "reliability.png"
    assert report(write(tmp_path / "run.jsonl", rows), "--verification", "oracle", "--plot", picture) == 0
    shown = capsys.readouterr().out
    assert "evidence" in shown
    assert "verification: no AUROC, all answers are right" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.glob("*.png")] == ["reliability.png"]


def test_few_rows_without_a_tool_are_reported_together(tmp_path, capsys):
    rows = [{"correct": True, "confidence": 0.7}, {"correct": False, "confidence": 0.2}]
    assert report(write(tmp_path / "run.jsonl", rows), "--equal-mass") == 0
    assert "all: no AUROC, only 2 rows, at least 20 wanted" in capsys.readouterr().out


def test_an_inspect_log_is_read(tmp_path, capsys):
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput
    from inspect_ai.solver import solver

    @solver
    def sure():
        async def solve(state, generate):
            state.output = ModelOutput.from_content("none", r"\boxed{Rome} confidence: 90%")
            return state

        return solve

    task = inspect_ai.Task(dataset=[Sample(input=gold, target=gold) for gold in ("Rome", "Pisa")], solver=sure())
    (log,) = inspect_ai.eval(task, model=None, log_dir=str(tmp_path), display="none")
    assert report(log.location.removeprefix("file://"), "--json") == 0
    figures = json.loads(capsys.readouterr().out)["all"]
    assert (figures["n"], figures["accuracy"], figures["confidence"]) == pytest.approx((2, 0.5, 0.9))


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        ([{"correct": 2, "confidence": 0.5}], [], "row 1: 'correct' is 2"),
        ([{"confidence": 0.5}], [], "line 1: no field 'correct'"),
        ([{"correct": True, "response": "sure"}], [], "row 1: no confidence"),
        ([RUN[0], {"correct": True, "response": "confidence: 150%"}], [], "row 2: the confidence is 1.5"),
        ([{"correct": True, "confidence": "high"}], [], "row 1: the confidence is 'high'"),
        (RUN, [], "row 21: tool: got 'oracle'"),
        (RUN[:20], ["--bins", "0"], "bins: got 0"),
        (RUN[:20], ["--plot", "picture.svg"], "wanted a name that ends in .png"),
        ([], [], "no rows"),
    ],
)
def test_wrong_input_ends_in_one_line_and_exit_2(tmp_path, capsys, rows, words, said):
    assert report(write(tmp_path / "run.jsonl", rows), *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_log_is_named(tmp_path, capsys):
    assert report(tmp_path / "none.eval") == 2
    assert "none.eval: no such file" in capsys.readouterr().err
