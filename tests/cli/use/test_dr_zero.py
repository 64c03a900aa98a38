import json

import pytest
from inspect_ai.model import ModelAPI, ModelOutput, modelapi

from assay.cli.main import main

ASKED = "<think>a fact</think><question>Where was Ada born?</question><answer>Rome</answer>"


@modelapi(name="quizmaster")
class Quizmaster(ModelAPI):
    """An Inspect provider of the test's own: asks one question, and answers it rightly every other time."""

    answered = 0

    async def generate(self, input, tools, tool_choice, config):
        text = ASKED
        if input[-1].text.startswith("Answer the question"):
            type(self).answered += 1
            text = f"<think>hm</think><answer>{'Rome' if self.answered % 2 else 'Pisa'}</answer>"
        return ModelOutput.from_content(self.model_name, text)


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "ada.md").write_text("Ada was born in Rome.")
    (folder / "long.txt").write_text("Rome is a town. " * 20)
    (folder / "rows.jsonl").write_text(json.dumps({"id": "row", "text": "Pisa has a tower."}) + "\n")
    (folder / "image.png").write_bytes(b"\x89PNG")
    return folder


def evolve(*words) -> int:
    return main(["use", "dr_zero", "evolve", *map(str, words)])


def test_questions_are_written_with_source_hops_and_attempts(corpus, tmp_path, capsys):
    out = tmp_path / "questions.jsonl"
    options = ("--iterations", 2, "--questions", 4, "--attempts", 3, "--piece", 200)
    assert evolve(corpus, "--model", "quizmaster/x", "--out", out, *options) == 0
    shown = capsys.readouterr().out
    assert "4 texts to ask from; 1 documents were longer than 200" in shown
    assert "iteration 2: 4 proposals, 4 in form" in shown
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 2 * 2 * 4
    assert {row["document"] for row in rows} <= {"ada.md", "long.txt#1", "long.txt#2", "row"}
    assert all(row["attempts"] == 3 and 0 < row["right"] < 3 and row["kept"] for row in rows)
    assert sorted({row["hops"] for row in rows}) == [1, 2, 3]
    assert not list(tmp_path.glob(".*")), "nothing is left beside the output"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"corpus": "nowhere"}, "no such folder"),
        ({"out": "questions.csv"}, "ends in .jsonl"),
        ({"out": "nowhere/questions.jsonl"}, "there is no folder"),
        ({"options": ("--iterations", 0)}, "iterations: got 0"),
        ({"options": ("--attempts", 1)}, "solver_n: got 1"),
        ({"options": ("--piece", 0)}, "most: got 0"),
        ({"remove": True}, "no text in it"),
    ],
)
def test_wrong_words_end_in_one_line_and_write_nothing(corpus, tmp_path, capsys, change, words):
    if change.get("remove"):
        for file in corpus.iterdir():
            file.unlink()
    out = tmp_path / change.get("out", "questions.jsonl")
    folder = tmp_path / change.get("corpus", "corpus")
    assert evolve(folder, "--model", "quizmaster/x", "--out", out, *change.get("options", ())) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1
    assert not out.exists()


def test_two_documents_of_one_name_are_refused(corpus, tmp_path, capsys):
    (corpus / "again.jsonl").write_text(json.dumps({"id": "row", "text": "Other."}) + "\n")
    assert evolve(corpus, "--model", "quizmaster/x", "--out", tmp_path / "q.jsonl") == 2
    assert "two documents are called 'row'" in capsys.readouterr().err
