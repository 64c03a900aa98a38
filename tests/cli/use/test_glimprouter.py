"""`assay use glimprouter` on a small file of questions, with the built-in models through Inspect."""

from __future__ import annotations

import json

import pytest

from assay.cli.main import main
from assay.worlds.text import mix6


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.jsonl"
    problems = mix6.world(each=2).sample(1)
    path.write_text("".join(json.dumps({"input": p.prompt, "target": p.answer}) + "\n" for p in problems))
    return path


def test_route_writes_who_wrote_each_step(questions, tmp_path, capsys):
    out = tmp_path / "routed.jsonl"
    assert main(["use", "glimprouter", "route", str(questions), "--share", "0.4", "--output", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 6
    assert {step["by"] for row in rows for step in row["steps"]} <= {"small", "large"}
    assert all(step["entropy"] >= 0 for row in rows for step in row["steps"])
    printed = capsys.readouterr().out
    assert "assay/nano" in printed
    assert "of 6 answers equal their target" in printed


def test_calibrate_prints_a_falling_table(questions, capsys):
    assert main(["use", "glimprouter", "calibrate", str(questions)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    thresholds = [float(line.split()[-1]) for line in lines]
    assert len(thresholds) == 9
    assert thresholds == sorted(thresholds, reverse=True)


@pytest.mark.parametrize(
    ("content", "words", "told"),
    [
        ("not json\n", ["--share", "0.4"], "line 1"),
        ('{"question": "x"}\n', ["--share", "0.4"], "no field 'input'"),
        ('{"input": 7}\n', ["--share", "0.4"], 'wanted a text as "input"'),
        ("", ["--share", "0.4"], "no rows"),
        ('{"input": "x"}\n', [], "--threshold"),
        ('{"input": "x"}\n', ["--share", "0.4", "--threshold", "1"], "either"),
        ('{"input": "C63+5"}\n', ["--threshold", "-1"], "threshold"),
        ('{"input": "C63+5"}\n', ["--share", "1.5"], "large_share"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_nothing(tmp_path, capsys, content, words, told, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "questions.jsonl"
    path.write_text(content)
    assert main(["use", "glimprouter", "route", str(path), *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert [p.name for p in tmp_path.iterdir()] == ["questions.jsonl"]


def test_a_missing_file_is_named(tmp_path, capsys):
    assert main(["use", "glimprouter", "route", str(tmp_path / "none.jsonl"), "--share", "0.4"]) == 2
    assert "none.jsonl" in capsys.readouterr().err
