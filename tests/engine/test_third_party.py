"""A package from outside, installed as pip installs it, is listed, checked, run and shown like the built-in trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "third_party"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example installed in `site`."""
    folder = tmp_path_factory.mktemp("lab")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(EXAMPLE)], check=True, capture_output=True)
    return folder


def assay(lab: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(lab / "site"), "ASSAY_CACHE": str(lab / "cache")}
    environment["ASSAY_STORE"] = str(lab / "results.duckdb")
    command = [sys.executable, "-m", "assay.cli.main", *words]
    return subprocess.run(command, cwd=lab, env=environment, capture_output=True, text=True, check=False)


def test_it_is_listed_without_being_imported(lab: Path) -> None:
    code = "import sys; from assay.cli.main import main; main(['trials', 'list']); print('second_guess' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(lab / "site"), "ASSAY_CACHE": str(lab / "other")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert "second-guess/second_guess" in done.stdout
    assert done.stdout.endswith("False\n")


def test_it_passes_the_check(lab: Path) -> None:
    done = assay(lab, "trials", "check", "second_guess")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_it_runs_to_a_verdict_with_its_own_world_and_model_and_is_on_the_page(lab: Path) -> None:
    done = assay(lab, "run", "second_guess", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["trial"], found["verdict"]["n"]) == ("second-guess/second_guess", 16)
    assert found["verdict"]["outcome"] in ("holds", "fails", "inconclusive")
    means = {row["arm"]: row["mean"] for row in found["arms"]}
    assert abs(means["baseline"] - 0.6) < 0.1  # the example's model is right in that share of calls
    exported = assay(lab, "store", "export", "out", "--format", "json")
    assert exported.returncode == 0
    unit = json.loads((lab / "out" / "units.json").read_text("utf-8").splitlines()[0])
    assert unit["models"] == {"guesser": "second-guess 0.1.0"}
    assert assay(lab, "report").returncode == 0
    assert "The majority of several answers is right more often" in (lab / "report.html").read_text("utf-8")
    listed = assay(lab, "trials", "list").stdout
    assert "2203.11171  The majority of several answers is right more often than one answer." in listed


def test_an_unknown_world_or_model_is_one_line(lab: Path) -> None:
    code = "from assay.models import Models; Models().load('gusser')"
    environment = {**os.environ, "PYTHONPATH": str(lab / "site")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "unknown model 'gusser'" in done.stderr
