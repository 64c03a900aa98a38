"""`assay trials new` writes a package that works as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.cli.main import main

RUFF = Path(sys.executable).parent / "ruff"
RULES = "E,F,W,I,B,UP,SIM,C4,RUF,PIE,RET,BLE,D100,D101,ANN"


@pytest.fixture
def package(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["trials", "new", "my-lab", "--paper", "2601.08521"]) == 0
    assert "assay trials check my_lab" in capsys.readouterr().out
    return tmp_path / "my_lab"


def python(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package / "src"), "ASSAY_CACHE": str(package.parent / "cache")}
    return subprocess.run(
        [sys.executable, *words], cwd=package, env=environment, capture_output=True, text=True, check=False
    )


def test_the_package_passes_the_check_as_it_is(package):
    done = python(package, "-m", "assay.cli.main", "trials", "check", "my_lab.trial:trial")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    assert done.stdout.rstrip().endswith("checks passed")


def test_its_own_tests_pass(package):
    done = python(package, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 0, done.stdout


def test_its_code_is_clean(package):
    for words in (["check", "--isolated", "--select", RULES, "--line-length", "120"], ["format", "--check"]):
        done = subprocess.run([RUFF, *words, "."], cwd=package, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_its_entry_points_name_what_is_there(package):
    text = (package / "pyproject.toml").read_text("utf-8")
    assert 'my_lab = "my_lab.trial:trial"' in text
    assert 'name = "my-lab"' in text
    assert "$" not in "".join(p.read_text("utf-8") for p in package.rglob("*.*") if p.suffix in (".py", ".toml", ".md"))


@pytest.mark.parametrize(
    ("name", "paper", "told"),
    [
        ("my_lab", "2601.08521", "my_lab exists"),
        ("numpy", "2601.08521", "a package of that name is there already"),
        ("json", "2601.08521", "a package of that name is there already"),
        ("assay", "2601.08521", "a package of that name is there already"),
        ("My", "2601.08521", "bad name 'My'"),
        ("../x", "2601.08521", "bad name"),
        ("class", "2601.08521", "bad name 'class'"),
        ("9lives", "2601.08521", "bad name"),
        ("", "2601.08521", "bad name ''"),
        ("fine_name", "26.1", "bad --paper '26.1'"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(package, capsys, name, paper, told):
    before = sorted(package.parent.rglob("*"))
    assert main(["trials", "new", name, "--paper", paper]) == 2
    printed = capsys.readouterr()
    assert told in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)
    assert sorted(package.parent.rglob("*")) == before


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "write_text", full)
    assert main(["trials", "new", "my_lab", "--paper", "2601.08521"]) == 2
    assert "No space left" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
