"""Temporary folders go away, at the latest with the next run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.engine import scratch as scratches
from assay.engine.scratch import scratch, sweep

HOLD = "import sys, time; from pathlib import Path; from assay.engine.scratch import scratch\n"
HOLD += "with scratch('unit', Path(sys.argv[1])) as folder: print(folder, flush=True); time.sleep(60)"


def hold(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def age(path: Path) -> None:
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))


def test_a_folder_is_there_while_it_is_used_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch("unit", tmp_path) as folder:
        (folder / "deep").mkdir()
        assert folder.parent == tmp_path
        assert folder.name.startswith("assay-unit-")
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_swept_and_that_of_a_live_one_is_not(tmp_path: Path) -> None:
    dead, live = hold(tmp_path), hold(tmp_path)
    dead[0].kill()
    dead[0].wait()
    for _, folder in (dead, live):
        (folder / "left.txt").write_text("x")
        age(folder)
    assert sweep(tmp_path) == 1
    assert [dead[1].exists(), live[1].exists()] == [False, True]
    live[0].kill()
    live[0].wait()
    assert sweep(tmp_path) == 1
    assert sweep(tmp_path) == 0


def test_what_is_new_or_not_ours_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assay-unit-new.tmp").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "assay-unit-link.tmp").symlink_to(elsewhere)
    for name in ("assay-unit-file.tmp", "assay-report.html"):
        (tmp_path / name).write_text("x")
        age(tmp_path / name)
    age(elsewhere)
    assert sweep(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 5
    age(tmp_path / "assay-unit-new.tmp")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert sweep(tmp_path) == 0


def test_a_folder_in_which_something_is_mounted_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "assay-unit-mounted.tmp"
    (folder / "there").mkdir(parents=True)
    age(folder)
    monkeypatch.setattr(scratches.os.path, "ismount", lambda path: str(path).endswith("there"))
    assert sweep(tmp_path) == 0
    monkeypatch.undo()
    assert sweep(tmp_path) == 1


def test_a_run_sweeps_what_killed_runs_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    from assay.engine.pool import Pool

    process, folder = hold(tmp_path)
    process.kill()
    process.wait()
    age(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Pool(1, modules=(), threads=1, network=False, fresh=False):
        pass
    assert not folder.exists()
