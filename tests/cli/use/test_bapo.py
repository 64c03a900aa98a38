import json

import pytest

from assay.cli.main import main

RUN = [
    {"question": "a", "answer": "Rome", "prediction": "Rome"},
    {"question": "b", "answer": ["Pisa", "the town of Pisa"], "prediction": r"so \boxed{town of Pisa}"},
    {"question": "c", "answer": "Ulm", "prediction": "I don't know"},
    {"question": "d", "answer": "Bonn", "prediction": "<think>x</think><answer>I do not know</answer>"},
    {"question": "e", "answer": "Kiel", "prediction": "Lübeck"},
]
BEFORE = [
    {"question": "c", "answer": "Ulm", "prediction": "Ulm"},
    {"question": "d", "answer": "Bonn", "prediction": "Trier"},
]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def reliability(*words) -> int:
    return main(["use", "bapo", "reliability", *map(str, words)])


def test_the_figures_are_those_worked_by_hand(tmp_path, capsys):
    run = write(tmp_path / "run.jsonl", RUN)
    assert reliability(run, "--json", "--reference", write(tmp_path / "before.jsonl", BEFORE)) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == pytest.approx(2 / 5)
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["answer_rate"] == pytest.approx(3 / 5)
    assert figures["reliability"] == pytest.approx(2 / 5 * 2 / 5 + 2 / 3 * 3 / 5)
    assert figures["refusals"] == {"all": 2, "solvable": 1, "not_solvable": 1, "not_in_reference": 0}


def test_a_table_is_printed_for_people(tmp_path, capsys):
    run = write(tmp_path / "run.jsonl", RUN)
    assert reliability(run, "--reference", write(tmp_path / "one.jsonl", BEFORE[:1])) == 0
    shown = capsys.readouterr().out
    assert "0.560" in shown
    assert "refusals: 2, of which the reference had 1 right and 0 not; 1 are not in it" in shown


def test_a_lower_f1_counts_more_as_right(tmp_path, capsys):
    run = write(tmp_path / "run.jsonl", [{"question": "a", "answer": "Rome", "prediction": "Rome in Italy"}])
    for bar, accuracy in (("1", 0.0), ("0.5", 1.0)):
        assert reliability(run, "--f1", bar, "--json") == 0
        assert json.loads(capsys.readouterr().out)["accuracy"] == accuracy


def inspect_log(folder, rows):
    """A real log, of a solver that says what the rows say; it fails on a row without a prediction."""
    inspect_ai = pytest.importorskip("inspect_ai")
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ModelOutput
    from inspect_ai.solver import solver

    @solver
    def scripted():
        async def solve(state, generate):
            state.output = ModelOutput.from_content("none", state.metadata["says"])
            return state

        return solve

    samples = [
        Sample(
            input=row["question"],
            target=row["answer"],
            metadata={"says": row["prediction"]} if row["prediction"] else {},
        )
        for row in rows
    ]
    task = inspect_ai.Task(dataset=samples, solver=scripted())
    (log,) = inspect_ai.eval(task, model=None, log_dir=str(folder), display="none")
    return log.location.removeprefix("file://")


def test_an_inspect_log_is_read_like_a_table(tmp_path, capsys):
    assert reliability(inspect_log(tmp_path, RUN), "--json") == 0
    from_log = json.loads(capsys.readouterr().out)
    assert reliability(write(tmp_path / "run.jsonl", RUN), "--json") == 0
    assert json.loads(capsys.readouterr().out) == from_log


def test_the_log_of_a_run_that_broke_off_is_refused(tmp_path, capsys):
    assert reliability(inspect_log(tmp_path, [*RUN, {"question": "f", "answer": "g", "prediction": ""}])) == 2
    assert "the run ended as 'error'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        ([{"question": "a", "answer": "b"}], [], "row 1: no 'prediction'; it has question, answer"),
        ([RUN[0], RUN[0]], [], "row 2: the question 'a' stands there twice"),
        ([], [], "no rows"),
        (RUN, ["--f1", "0"], "at_least: got 0.0"),
        ([{**RUN[0], "answer": []}], [], "golds: got none"),
    ],
)
def test_wrong_files_end_in_one_line_and_exit_2(tmp_path, capsys, rows, words, said):
    assert reliability(write(tmp_path / "run.jsonl", rows), *words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.jsonl", "{}\nnot json\n", "run.jsonl line 2: not JSON"),
        ("run.jsonl", "[1]\n", "line 1: got list"),
        ("run.json", "{}", "not an Inspect log"),
        ("run.eval", "no zip", "not an Inspect log"),
    ],
)
def test_a_broken_file_is_named(tmp_path, capsys, name, text, said):
    (tmp_path / name).write_text(text)
    assert reliability(tmp_path / name) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_file_is_named(tmp_path, capsys):
    assert reliability(tmp_path / "none.jsonl") == 2
    assert "none.jsonl: no such file" in capsys.readouterr().err
