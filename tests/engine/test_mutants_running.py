"""Faults that the tests of the running half must notice: each is put into a copy of the code, and a test must fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# file, what stands there, what the fault makes of it, the tests that must notice
MUTANTS = {
    "a unit is shown as done before it is on disk": (
        "runner.py",
        "        if cut_off or session.record(result):\n            progress.finished(result)",
        "        progress.finished(result)\n        if cut_off or session.record(result):\n            pass",
        ["test_kill.py", "-k", "flush_loses and journal and 4"],
    ),
    "the journal is not synced": (
        "journal.py",
        "            os.fsync(self._file.fileno())",
        "            pass",
        ["test_journal.py", "-k", "synced"],
    ),
    "a segment is removed before its rows are committed": (
        "store.py",
        "        self.add(contents.records)",
        "        segment.path.unlink()\n        self.add(contents.records)",
        ["test_store.py", "-k", "full_disk or cannot_get_the_lock"],
    ),
    "arms that met other data are paired": (
        "schedule.py",
        "if seen.setdefault(name, found) != found:",
        "if False:",
        ["test_run.py", "-k", "unpaired"],
    ),
    "every arm has a seed of its own": (
        "units.py",
        "shared = derived_seed(self.trial, seed)",
        "shared = derived_seed(self.trial, seed + len(arm))",
        ["test_units.py", "-k", "one_number_for_all_arms"],
    ),
    "quick units pass for full ones": (
        "units.py",
        '            "quick": self.quick,\n',
        "",
        ["test_units.py", "-k", "quick"],
    ),
    "units of changed code are taken for today's": (
        "units.py",
        '            "fingerprint": self.fingerprint,\n',
        "",
        ["test_units.py", "-k", "changed_code"],
    ),
    "what an arm patched stays patched": (
        "isolation.py",
        "setattr(module, name, value)",
        "pass",
        ["test_isolation.py", "-k", "put_back"],
    ),
    "the guard kills nobody": (
        "processes.py",
        "        end(pid, signal.SIGKILL)\n",
        "        pass\n",
        ["test_pool.py", "-k", "guard"],
    ),
    "a damaged length passes for a torn end": (
        "journal.py",
        "            damaged = _damaged(data, at)",
        "            damaged = False",
        ["test_journal.py", "-k", "damaged_length"],
    ),
    "the folder of a live process is swept": (
        "scratch.py",
        "        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "",
        ["test_scratch.py", "-k", "live_one"],
    ),
    "stored units are run again": (
        "runner.py",
        "reused = {} if options.force",
        "reused = {} if True",
        ["test_run.py", "-k", "complete_trial"],
    ),
}


def passes(copy: Path, words: list[str]) -> bool:
    tests, *rest = words
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"tests/engine/{tests}", *rest]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    found = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode in (0, 1), found.stdout + found.stderr  # 2 and above: pytest itself went wrong
    return found.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("fault", MUTANTS)
def test_the_suite_notices(fault: str, tmp_path: Path) -> None:
    file, right, wrong, words = MUTANTS[fault]
    for folder in ("src", "tests/engine"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert passes(tmp_path, words), "the tests do not even pass without the fault"
    source = tmp_path / "src" / "assay" / "engine" / file
    text = source.read_text("utf-8")
    assert text.count(right) == 1, "the place of the fault has moved"
    source.write_text(text.replace(right, wrong), "utf-8")
    assert not passes(tmp_path, words), f"no test noticed: {fault}"
