"""`assay use skill_scan`: output, options, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli.main import main

SKILLS = Path(__file__).parents[3] / "examples" / "skills"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def run(*words: str) -> int:
    return main(["use", "skill_scan", *words])


def test_a_scan_prints_a_table_and_fails_on_high_findings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("scan", str(SKILLS)) == 1
    assert "6 skills, 3 vulnerable" in capsys.readouterr().out
    assert run("scan", str(SKILLS), "--fail-on", "never") == 0
    assert run("scan", str(SKILLS / "tidy-csv")) == 0


@pytest.mark.parametrize("form", ["json", "sarif", "md"])
def test_output_goes_to_a_file_whole(tmp_path: Path, form: str) -> None:
    target = tmp_path / "report"
    assert run("scan", str(SKILLS), "--format", form, "--output", str(target)) == 1
    assert "meeting-summary" in target.read_text()
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_two_scans_without_time_are_byte_equal(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("scan", str(SKILLS), "--format", "json", "--no-time", "--no-cache", "--output", str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_baseline_clears_what_is_known(tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    run("scan", str(SKILLS), "--format", "json", "--output", str(old))
    assert "started" in json.loads(old.read_text())
    assert run("scan", str(SKILLS), "--baseline", str(old)) == 0


def test_rules_can_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    run("scan", str(SKILLS / "theme-switcher"), "--rules=-SC2", "--fail-on", "never")
    assert "SS-SC2" not in capsys.readouterr().out


def test_strict_tells_what_was_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "SKILL.md").write_text("---\nname: a\ndescription: b\n---\n")
    (tmp_path / "big.py").write_bytes(b"x" * 3_000_000)
    assert run("scan", str(tmp_path)) == 0
    assert "not read whole" in capsys.readouterr().err
    assert run("scan", str(tmp_path), "--strict") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("scan", "/no/such/folder"), "no such folder: /no/such/folder"),
        (("scan", __file__), "is a file"),
        (("scan", str(Path(__file__).parent)), "no SKILL.md under"),
        (("scan", str(SKILLS), "--rules", "XX"), "rules: got 'XX'"),
        (("scan", str(SKILLS), "--jobs", "0"), "jobs: got 0"),
        (("scan", str(SKILLS), "--baseline", __file__), "no JSON report"),
        (("scan", str(SKILLS), "--output", "/no/such/folder/x"), "no such folder"),
        (("retrain", str(SKILLS)), "no labels.jsonl"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_an_unknown_severity_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("scan", str(SKILLS), "--fail-on", "severe")
    assert stop.value.code == 2
