"""`assay use sentiment_prompting run`: files written, options, one-line errors."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from assay.cli.main import main

ROWS = "text,label\n" + "\n".join(f"text <b> {i},{i % 2}" for i in range(6)) + "\n"


def run(*words: str) -> int:
    return main(["use", "sentiment_prompting", "run", *words])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text(ROWS)
    return tmp_path / "a.csv"


def test_a_run_writes_answers_figures_and_a_page(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "out"
    assert run("--data", str(data), "--task", "irony", "--model", "nano", "--strategies", "zero_shot,few_shot",
               "--out", str(out), "--limit", "4") == 0  # fmt: skip
    assert "zero_shot" in capsys.readouterr().out
    rows = list(csv.DictReader((out / "answers.csv").open()))
    assert [row["strategy"] for row in rows] == ["zero_shot"] * 4 + ["few_shot"] * 4
    report = json.loads((out / "report.json").read_text())
    told = report["models"]["nano"]["strategies"]
    for name, row in told.items():
        labelled = sum(bool(answer["answer"]) for answer in rows if answer["strategy"] == name)
        assert row["wrong"]["invalid"] == 1 - labelled / 4
    page = (out / "report.html").read_text()
    assert "nano: irony, 4 texts" in page and "default-src 'none'" in page
    assert not [p for p in out.iterdir() if p.name.endswith(".part")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "/no/such.csv", "--task", "irony"), "no such file: /no/such.csv"),
        (("--task", "irony", "--label-column", "mood"), "no column 'mood'"),
        (("--task", "aspect"), "no column 'aspect' for the aspect"),
        (("--task", "irony", "--strategies", "zero_shot,magic"), "no strategy 'magic'"),
        (("--task", "irony", "--limit", "0"), "--limit 0"),
        (("--task", "irony", "--temperature", "-1"), "temperature: got -1"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    words: tuple[str, ...], message: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = words if "--data" in words else ("--data", str(data), *words)
    assert run(*given, "--model", "mockllm/model") == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error
