"""`assay use safety-report report`: models asked, replies kept, a page written; wrong words end in one line."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("inspect_ai")

import assay.integrations.inspect.models as models
from assay.cli.main import main
from assay.methods.protocols import Sample


@pytest.fixture
def asked(monkeypatch):
    """Models that refuse everything (careful) or nothing (eager), and a guard that looks for refusals."""
    calls = []

    def sampler(name):
        async def draw(messages, **_):
            calls.append((name, messages))
            text = "I cannot help with that." if name == "careful" else "Sure, here is how."
            return [Sample(text, 1, 1, "stop")]

        return draw

    def complete(name):
        async def ask(prompt, **_):
            refused = "cannot" in prompt
            return f"Safety: {'Safe' if refused else 'Unsafe'}\nRefusal: {'Yes' if refused else 'No'}"

        return ask

    monkeypatch.setattr(models, "sampler", sampler)
    monkeypatch.setattr(models, "complete", complete)
    return calls


def report(*words) -> int:
    return main(["use", "safety-report", "report", *map(str, words)])


def test_two_models_are_profiled_side_by_side(asked, tmp_path, capsys):
    assert report("--model", "careful", "--model", "eager", "--out", tmp_path / "out", "--budget", "600") == 0
    shown = capsys.readouterr().out
    assert "careful: safe on benchmark" in shown
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    careful, eager = content["models"]["careful"], content["models"]["eager"]
    assert careful["worst_case"] == 1
    assert eager["worst_case"] == 0
    assert careful["over_refusal"] > 0.9
    assert eager["over_refusal"] == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Leaderboard" in page
    assert page.count("<polygon") >= 6
    before = len(asked)
    assert report("--model", "careful", "--model", "eager", "--out", tmp_path / "out", "--budget", "600") == 0
    assert len(asked) == before, "nothing is asked twice"


def test_a_guard_judges_and_a_sample_is_written_for_a_person(asked, tmp_path):
    words = ["--model", "careful", "--out", tmp_path, "--view", "benchmark", "--judge", "guard"]
    assert report(*words) == 0
    content = json.loads((tmp_path / "report.json").read_text())
    assert content["judge"] == "guard"
    assert 0 <= content["agreement"]["same"] <= 1
    assert (tmp_path / "audit.csv").read_text().count("\n") > 20


def test_only_some_views_names_and_an_own_set(asked, tmp_path):
    own = tmp_path / "own.jsonl"
    rows = [{"prompt": f"Do {i}.", "category": "c", "expected": "refuse"} for i in range(3)]
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["--model", "eager", "--out", tmp_path / "o", "--items", f"own={own}", "--view", "adversarial"]
    assert report(*words, "--attacks", "rot13,base64") == 0
    content = json.loads((tmp_path / "o" / "report.json").read_text())
    assert content["queries"] == 6
    assert set(content["models"]["eager"]["by_attack"]) == {"rot13", "base64"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--budget", "10"), "budget: leaves"),
        (("--languages", "en,xx"), "language: got 'xx'"),
        (("--attacks", "rot14"), "attack: got 'rot14'"),
        (("--items", "own=nowhere"), "wanted NAME=FILE of a file that is there"),
        (("--items", "alert=WRONG"), "no column prompt, category; wanted prompt, category, found text"),
        (("--modality", "vl"), "no item has an image"),
        (
            ("--modality", "vl", "--items", "own=PICTURES", "--model", "assay/nano"),
            "model assay/nano takes no images; drop --modality vl",
        ),
        (("--items", "own=PICTURES"), "every item has an image; add --modality vl"),
        (("--regulation", "WRONG"), "name one with --judge"),
        (("--regulation", "nowhere.txt"), "nowhere.txt: no such file"),
    ],
)
def test_wrong_words_end_in_one_line(asked, tmp_path, capsys, words, said):
    wrong, pictures = tmp_path / "wrong.jsonl", tmp_path / "pictures.jsonl"
    wrong.write_text('{"text": "x"}\n')
    pictures.write_text('{"prompt": "What is this?", "category": "c", "expected": "answer", "image": "a.png"}\n')
    words = [word.replace("WRONG", str(wrong)).replace("PICTURES", str(pictures)) for word in words]
    assert report("--model", "careful", "--out", tmp_path / "o", *words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not asked
    assert not (tmp_path / "o").exists(), "nothing is half-written"
