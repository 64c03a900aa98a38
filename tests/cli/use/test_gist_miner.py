"""`assay use gist_miner mine`: formats, options, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.cli.main import main

SOURCE = "# Copilot got this wrong: it never closes the file. TODO fix\nx = '<b>'\n"
DOUBT = "# Written by ChatGPT, I am not sure it is right <i>\n"


def run(*words: str) -> int:
    return main(["use", "gist_miner", "mine", *words])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text(SOURCE)
    (tmp_path / "code" / "b.py").write_text(DOUBT)
    return tmp_path / "code"


def test_the_table_names_findings_and_exit_codes_follow_fail_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(folder)) == 0
    assert "a.py:1" in capsys.readouterr().out
    assert run(str(folder), "--fail-on", "source") == 1
    assert run(str(folder), "--fail-on", "any") == 1
    (folder / "a.py").unlink()
    assert run(str(folder), "--fail-on", "source") == 0
    assert run(str(folder), "--fail-on", "catalyst") == 1


@pytest.mark.parametrize("form", ["json", "sarif", "csv", "html", "table"])
def test_output_goes_to_a_file_whole(folder: Path, tmp_path: Path, form: str) -> None:
    target = tmp_path / "report"
    assert run(str(folder), "--format", form, "--output", str(target)) == 0
    text = target.read_text()
    assert "a.py" in text and "b.py" in text
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".part")] == []


def test_the_page_shows_roles_and_no_markup_of_a_stranger(folder: Path, tmp_path: Path) -> None:
    run(str(folder), "--format", "html", "--output", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "&lt;i&gt;" in page and "<i>" not in page
    assert '<mark class="tool">ChatGPT</mark>' in page


def test_json_is_the_schema_s(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(str(folder), "--format", "json")
    content = json.loads(capsys.readouterr().out)
    assert (content["schema"], content["summary"]["by_role"]) == (
        "assay.gist/1", {"source": 1, "catalyst": 1, "mitigator": 0},
    )  # fmt: skip


def test_files_that_are_no_text_are_told_and_strict_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.py").write_bytes(b"# ChatGPT \xff\n")
    assert run(str(folder)) == 0
    assert "1 files could not be read as text, the first c.py" in capsys.readouterr().err
    assert run(str(folder), "--strict") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("/no/such/folder",), "no such folder: /no/such/folder"),
        ((__file__,), "is a file"),
        ((str(Path(__file__).parent), "--since", "2024-01-01"), "known from git only"),
        ((str(Path(__file__).parent), "--jobs", "0"), "jobs: got 0"),
        ((str(Path(__file__).parent / "none"), "--git"), "no such folder"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_a_folder_that_is_no_repository_and_a_bad_day_are_wrong_use(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(str(folder), "--git") == 2
    assert "not in a git repository" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        run(str(folder), "--since", "yesterday")
    assert stop.value.code == 2
    assert run(str(folder), "--output", "/no/such/folder/x") == 2
