"""The command's front door: quick, and one line for what a user can get wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from assay.cli.extras import EXTRA_OF, install_hint
from assay.cli.main import COMMANDS, main
from assay.errors import UserError

HEAVY = ("numpy", "duckdb", "torch", "matplotlib", "inspect_ai", "scipy", "rich", "transformers")


def assay(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assay.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("words", [["--help"], ["trials", "list"], ["use", "--list"], ["papers", "list"]])
def test_listing_commands_import_nothing_heavy(words):
    code = (
        "import sys; from assay.cli.main import main; main(sys.argv[1:]); "
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]", done.stderr


def test_help_answers_in_less_than_0_3_seconds():
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert assay("--help").returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_help_names_every_command_with_its_question(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    for group, commands in COMMANDS.items():
        assert f"\n{group}\n" in text
        assert all(f"  {name}" in text for name in commands)


@pytest.mark.parametrize("name", [name for group in COMMANDS.values() for name in group])
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as done:
        main([name, "--help"])
    assert done.value.code == 0
    assert f"usage: assay {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rnu", "hadw"], "did you mean run"),
        (["use", "skill_scna", "scan"], "skill_scan"),
        (["use"], "assay use --list"),
        (["run", "hadww"], "hadw"),
        (["run", "hadw", "--seeds", "1000-1005"], "1000"),
        (["run", "hadw", "--seeds", "many"], "many"),
        (["verdict", "hadw", "--store", "/nowhere/results.duckdb"], "/nowhere"),
        (["papers", "list", "--date", "2026-13-01"], "YYYY-MM-DD"),
        (["papers", "show", "9999.99999"], "nearest"),
        (["plot", "hadw", "--out", "picture.gif"], ".png"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "results.duckdb"))
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("assay: ")
    assert printed.err.count("\n") == 1
    assert told in printed.err


def test_an_unwritable_store_is_named_before_anything_runs(capsys, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    assert main(["run", "hadw", "--quick", "--store", str(blocker / "results.duckdb")]) == 2
    assert str(blocker) in capsys.readouterr().err


def test_a_missing_extra_is_named_with_the_command_that_brings_it(monkeypatch, capsys):
    def broken(*_):
        raise ModuleNotFoundError("No module named 'ortools'", name="ortools")

    monkeypatch.setattr("assay.cli.main._dispatch", broken)
    assert main(["use", "astroreason"]) == 2
    assert "pip install 'assay-papers[evaluation]'" in capsys.readouterr().err


def test_a_model_without_a_key_is_one_line_whatever_command_asks_for_it(monkeypatch, capsys, tmp_path):
    pytest.importorskip("inspect_ai")
    pytest.importorskip("openai")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "rules.md").write_text("Nobody may delete audit records.\n")
    words = ["use", "safepred", "policies", str(tmp_path / "rules.md"), "--model", "openai/some-model"]
    assert main([*words, "--out", str(tmp_path / "policies.json")]) == 2
    told = capsys.readouterr().err
    assert "OPENAI_API_KEY" in told and "[bold]" not in told and len(told.splitlines()) == 1
    assert not (tmp_path / "policies.json").exists()


def test_a_missing_module_of_our_own_is_not_blamed_on_an_extra():
    assert install_hint("assay.nonsense") is None
    assert install_hint("sklearn.linear_model") == "pip install 'assay-papers[lm]'"


def test_every_extra_that_is_named_exists():
    from importlib.metadata import metadata

    assert set(EXTRA_OF.values()) <= set(metadata("assay-papers").get_all("Provides-Extra") or [])


def test_a_user_error_shows_its_traceback_on_request(monkeypatch):
    monkeypatch.setenv("ASSAY_DEBUG", "1")
    with pytest.raises(UserError):
        main(["nonsense"])


def test_a_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} -m assay.cli.main papers list | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
