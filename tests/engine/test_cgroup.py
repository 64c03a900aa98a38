"""The kernel's own memory limit, where there is one to be had."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import cgroup, run
from assay.engine.pool import Pool

needs_cgroups = pytest.mark.skipif(
    cgroup.home() is None, reason="no writable cgroup (version 2) with the memory controller on this machine"
)


def folder(path: Path, controllers: str) -> Path:
    path.mkdir()
    (path / "cgroup.subtree_control").write_text(controllers)
    (path / "cgroup.procs").write_text("")
    return path


def test_the_nearest_group_that_hands_memory_on_is_taken(tmp_path: Path) -> None:
    root = folder(tmp_path / "cgroup", "cpu memory pids")
    user = folder(root / "user", "cpu memory")
    scope = folder(user / "shell.scope", "")
    assert cgroup.find_home(root, scope) == user
    (user / "cgroup.subtree_control").write_text("cpu pids")
    assert cgroup.find_home(root, scope) == root
    (root / "cgroup.subtree_control").write_text("")
    assert cgroup.find_home(root, scope) is None


def test_without_cgroups_the_pool_works_with_its_watchdog_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "home", lambda: None)
    assert cgroup.cgroup_for(os.getpid()) is None
    result = run(s.with_method(s.allocates, memory_mb=400), seeds=1, workers=1)
    assert [u.status for u in result.arms if u.arm == "method"] == ["oom"]


class Fake:
    """A folder that looks like the kernel's."""

    def __init__(self, path: Path, oom_kill: int) -> None:
        path.mkdir()
        (path / "memory.events").write_text(f"low 0\nhigh 0\nmax 3\noom 1\noom_kill {oom_kill}\n")
        self.group = cgroup.Cgroup(path)


def test_a_kill_by_the_kernel_is_read_from_the_groups_events(tmp_path: Path) -> None:
    assert Fake(tmp_path / "a", 1).group.overrun
    assert not Fake(tmp_path / "b", 0).group.overrun


def test_limits_are_written_in_bytes(tmp_path: Path) -> None:
    group = Fake(tmp_path / "a", 0).group
    group.limit(400)
    assert (group.path / "memory.max").read_text() == str(400 * 1024 * 1024)


@pytest.fixture
def no_group_left() -> Iterator[None]:
    yield
    parent = cgroup.home()
    assert parent is not None
    assert list(parent.glob(f"assay-{os.getpid()}-*")) == []


@needs_cgroups
def test_the_kernel_stops_a_unit_that_grows_faster_than_the_watchdog_looks(
    no_group_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pool, "_watch_memory", lambda self: None)
    result = run(s.with_method(s.allocates, memory_mb=400), seeds=2, workers=1)
    assert [u.status for u in result.arms if u.arm == "method"] == ["oom", "oom"]
    assert [u.status for u in result.arms if u.arm == "placebo"] == ["ok", "ok"]


@needs_cgroups
def test_groups_of_a_killed_coordinator_are_swept() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(s.HERE)!r}); import sample_trials as s, test_pool as t;"
        "pool = t.Pool(1, modules=(), threads=1, network=False, fresh=False); t.result(pool, s.baseline);"
        "print('up', flush=True); import time; time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    parent = cgroup.home()
    assert parent is not None
    assert list(parent.glob(f"assay-{process.pid}-*"))
    process.kill()
    process.wait()
    with Pool(1, modules=(), threads=1, network=False, fresh=False):
        pass  # it sweeps when it is made
    assert not list(parent.glob(f"assay-{process.pid}-*"))
