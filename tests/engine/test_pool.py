"""The pool by itself: replacing workers, refusing what is too large, and its guard."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
import sample_trials as s

import assay.engine.pool as pools
from assay.engine.pool import Done, Limits, Pool
from assay.engine.trial import Arm, Metric
from assay.engine.worker import Job

LIMITS = Limits(timeout_s=60, memory_mb=4096)


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(1, modules=("sample_trials",), threads=1, network=False, fresh=False) as made:
        yield made


def job(arm: Arm, key: str = "k") -> Job:
    return Job(key, "arm", arm, Metric("sum", better="higher"), "sample_trials:cards", {}, number=1, sample_seed=1)


def result(pool: Pool, arm: Arm, limits: Limits = LIMITS) -> Done:
    pool.submit(job(arm), limits)
    while not (done := pool.wait()):
        assert pool.busy
    return done[0]


def pid(done: Done) -> int:
    assert done.outcome.measures is not None
    return int(done.outcome.measures.extra["pid"])


def test_a_worker_is_replaced_after_so_many_units(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "UNITS_PER_WORKER", 2)
    assert len({pid(result(pool, s.reports_pid)) for _ in range(4)}) == 2


def test_a_worker_that_grew_is_replaced(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "RSS_GROWTH_MB", -1.0)
    assert pid(result(pool, s.reports_pid)) != pid(result(pool, s.reports_pid))


def test_memory_and_time_of_a_unit_are_reported(pool: Pool) -> None:
    result(pool, s.baseline)
    done = result(pool, s.slow)
    assert done.outcome.seconds >= 0.02
    assert 10 < done.outcome.rss_mb < 1000


def test_a_worker_runs_with_the_threads_and_hash_seed_that_were_set(pool: Pool) -> None:
    result(pool, s.reports_pid)
    (worker,) = [p for p in psutil.Process().children() if "assay.engine.worker" in " ".join(p.cmdline())]
    environment = worker.environ()
    assert {environment[f"{v}_NUM_THREADS"] for v in ("OMP", "MKL", "OPENBLAS")} == {"1"}
    assert environment["PYTHONHASHSEED"] == "0"
    assert os.getsid(worker.pid) == worker.pid


def test_a_job_larger_than_a_message_is_refused_before_it_is_sent(pool: Pool) -> None:
    large = replace(job(s.baseline), world_args={"size": "x" * (65 << 20)})
    with pytest.raises(ValueError, match="65 MB cannot be sent"):
        pool.submit(large, LIMITS)
    assert not pool.busy


def test_an_arm_that_cannot_be_imported_there_is_an_error_of_its_unit(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s, "only_here", s.baseline, raising=False)
    lonely = type(s.baseline)(s.baseline.__code__, s.baseline.__globals__, "only_here")
    lonely.__qualname__, lonely.__module__ = "only_here", "sample_trials"
    monkeypatch.setattr(s, "only_here", lonely)
    done = result(pool, lonely)
    assert done.outcome.status == "error"
    assert "only_here" in done.outcome.error
    assert result(pool, s.baseline).outcome.status == "ok"


def test_closing_a_pool_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with Pool(2, modules=(), threads=1, network=False, fresh=False) as pool:
        pool.submit(job(s.spins, "a"), LIMITS)
        pool.submit(job(s.leaves_child, "b"), LIMITS)
        while not pool.wait():
            pass
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before


def test_the_guard_kills_the_children_of_workers_when_the_coordinator_dies() -> None:
    import subprocess
    import sys

    code = (
        f"import sys; sys.path.insert(0, {str(s.HERE)!r}); import sample_trials as s, test_pool as t;"
        "pool = t.Pool(1, modules=(), threads=1, network=False, fresh=False);"
        "done = t.result(pool, s.keeps_resource); print(t.pid(done), flush=True); import time; time.sleep(60)"
    )
    coordinator = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert coordinator.stdout is not None
    grandchild = int(coordinator.stdout.readline())
    assert psutil.pid_exists(grandchild)
    coordinator.send_signal(signal.SIGKILL)
    coordinator.wait()
    deadline = time.monotonic() + 10
    while psutil.pid_exists(grandchild) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE
