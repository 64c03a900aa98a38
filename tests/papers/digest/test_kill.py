"""A digest that dies at any moment: the same call again comes to the report of an undisturbed one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.papers.digest.victims import PAPERS
from tests.papers.digest.world import publish


def _kill(server, folder: Path, moments: int) -> dict:
    publish(server, PAPERS)
    script = Path(__file__).with_name("victims.py")
    done = subprocess.run(
        [sys.executable, str(script), server.url, str(folder), str(moments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_killed_at_eight_moments_it_comes_to_the_same_report(server, tmp_path):
    told = _kill(server, tmp_path, 8)
    assert told["same"] == told["killed"] == 8, told


@pytest.mark.slow
def test_killed_at_fifty_moments_in_every_stage_it_comes_to_the_same_report(server, tmp_path):
    told = _kill(server, tmp_path, 50)
    assert told["same"] == told["killed"] == 50, told
    assert {"listed", "fetched", "written", "rendered", "failed"} <= set(told["stages"]), told
