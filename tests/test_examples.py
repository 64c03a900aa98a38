"""The examples run as they are shown, in a process and a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def shown(folder: Path, name: str, *words: str) -> str:
    """What the example prints; its errors are the test's."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_two_papers_train_in_one_trl_run_and_leave_a_picture(tmp_path):
    pytest.importorskip("trl")
    pytest.importorskip("matplotlib")
    printed = shown(tmp_path, "trl_two_papers.py", "--steps", "4")
    assert "HA-DW and Uniqueness" in printed
    assert (tmp_path / "two_papers.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hadw_trl.py", "bapo_trl.py"])
def test_an_example_that_trains_runs_to_its_end(tmp_path, name):
    pytest.importorskip("trl")
    assert shown(tmp_path, name)
