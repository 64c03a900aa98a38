"""A disk that is really full, at whatever write that happens: what was shown as done is kept, and the rest goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import run

# In a mount namespace of its own: a small file system, a run that fills it, a larger one, the same run again.
SCRIPT = """
import os, subprocess, sys
from pathlib import Path
folder, size = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", folder], check=True)
sys.path.insert(0, os.environ["ASSAY_TEST_TRIALS"])
import sample_trials as s
from assay.engine.progress import Silent
from assay.engine.runner import RunOptions, run_trials
from assay.engine.store import Store
from assay.errors import AssayError

said = []

class Lines(Silent):
    def finished(self, result):
        said.append(result.unit_key)

store = Path(folder) / "results.duckdb"
options = RunOptions(seeds=8, store=store, isolation="inline")
try:
    code = run_trials([s.better_cards], options, Lines())[0].exit_code
except AssayError as error:
    code = f"{error.exit_code} {error}"
print("first", code)
print("said", len(said))
subprocess.run(["mount", "-o", "remount,size=65536k", folder], check=True)
Store(store).replay()
stored = {u.unit_key for u in Store(store).units()}
print("lost", len(set(said) - stored))
(again,) = run_trials([s.better_cards], options)
print("attempts", sum(u.attempt for u in Store(store).units()), len(Store(store).units()))
print("ran", again.ran == 24 - len(stored), again.exit_code)
print("values", *sorted(str(u.value) for u in again.arms))
"""
NAMESPACE = ["unshare", "--map-root-user", "--mount"]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = [*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no namespace in which a small file system can be mounted")
@pytest.mark.parametrize("size", [4, 12, 16, 20, 28, 40, 60, 300, 600, 900])
def test_what_was_shown_as_done_survives_a_disk_that_fills_up(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_TEST_TRIALS", str(s.HERE))
    folder = tmp_path / "disk"
    folder.mkdir()
    command = [*NAMESPACE, sys.executable, "-c", SCRIPT, str(folder), str(size)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    said = dict(line.split(" ", 1) for line in found.stdout.splitlines())
    print(size, said)
    assert said["first"][0] in "025"
    assert (said["lost"], said["attempts"], said["ran"]) == ("0", "0 24", "True 0")
    whole = run(s.better_cards, seeds=8, isolation="inline")
    assert said["values"].split() == sorted(str(u.value) for u in whole.arms)
