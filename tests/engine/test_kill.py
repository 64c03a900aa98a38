"""A killed coordinator loses no unit that it said was done, runs none twice, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import psutil
import pytest
import sample_trials as s

from assay.engine import run
from assay.engine.result import Result
from assay.engine.store import Store

HERE = Path(__file__).parent
MARK = "ASSAY_KILL_TEST"

# Prints "start SEED ARM" and "done KEY" as a run goes; `fault` may kill the process inside a flush.
COORDINATOR = """
import os, sys
sys.path.insert(0, {here!r})
import sample_trials as s
from assay.engine.runner import RunOptions, run_trials
from assay.engine.progress import Silent
{fault}

class Lines(Silent):
    def finished(self, result):
        print("done", result.unit_key, flush=True)

from pathlib import Path
result = run_trials([s.{trial}], RunOptions(seeds={seeds}, workers=2, store=Path(sys.argv[1])), Lines())[0]
print("verdict", result.verdict.outcome, result.verdict.p, flush=True)
"""

# Each kills the process once, before or after one step of putting results away; {n} is which time.
FAULTS = {
    "before the journal write": ("assay.engine.journal.Journal", "_write_all", "before"),
    "before fsync": ("os", "fsync", "before"),
    "after fsync": ("os", "fsync", "after"),
    "before BEGIN": ("assay.engine.store.Store", "connect", "BEGIN"),
    "before the rows are inserted": ("assay.engine.rows", "insert", "before"),
    "before COMMIT": ("assay.engine.store.Store", "connect", "COMMIT"),
    "after COMMIT": ("assay.engine.store.Store", "flush", "after commit"),
    "before the segment is removed": ("assay.engine.journal.Segment", "done", "before"),
    "after the segment is removed": ("assay.engine.journal.Segment", "done", "after"),
}
INJECT = """
import importlib, signal
owner, name, when, n = {owner!r}, {name!r}, {when!r}, {n}
head, _, last = owner.rpartition(".")
target = importlib.import_module(owner) if not last[:1].isupper() else getattr(importlib.import_module(head), last)
original, count = getattr(target, name), [0]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

if when in ("BEGIN", "COMMIT"):
    import contextlib

    class Connection:  # dies when it is about to execute that statement for the n-th time
        def __init__(self, inner):
            self.inner = inner

        def execute(self, sql, *rest):
            if sql == when:
                count[0] += 1
                if count[0] == n:
                    die()
            return self.inner.execute(sql, *rest)

    @contextlib.contextmanager
    def faulty(*a, **k):
        with original(*a, **k) as connection:
            yield Connection(connection)
else:
    def faulty(*a, **k):
        count[0] += 1
        if count[0] == n and when == "before":
            die()
        if when == "after commit" and count[0] == n:
            a[0].add(__import__("assay.engine.journal", fromlist=["read"]).read(a[1].path).records)
            die()
        found = original(*a, **k)
        if count[0] == n and when == "after":
            die()
        return found

setattr(target, name, faulty)
"""


def coordinator(store: Path, *, trial: str = "slow_cards", seeds: int = 10, fault: str = "") -> subprocess.Popen[str]:
    code = COORDINATOR.format(here=str(HERE), trial=trial, seeds=seeds, fault=fault)
    environment = {**os.environ, MARK: str(store)}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(store)], stdout=subprocess.PIPE, text=True, env=environment
    )


def done_lines(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return [line.split()[1] for line in process.stdout.read().splitlines() if line.startswith("done ")]


def survivors(store: Path) -> list[int]:
    """Processes that carry this test's mark in their environment: coordinator, guard, workers and their children."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(store) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The workers that are up."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):
                if "assay.engine.worker" in " ".join(child.cmdline()):
                    found.append(child.pid)
    return found


@lru_cache(maxsize=2)
def undisturbed(seeds: int) -> Result:
    return run(s.slow_cards, seeds=seeds, isolation="inline")


def values(result: Result) -> dict[str, float | None]:
    return {u.unit_key: u.value for u in result.arms}


def kill_somewhere(store: Path, draw: random.Random, seeds: int) -> Iterator[str]:
    """Start the run, kill -9 it after a random part of its work; yields the keys it had said were done."""
    process = coordinator(store, seeds=seeds)
    assert process.stdout is not None
    wanted = draw.randrange(0, 12 * seeds // 10)
    if wanted == 0:
        time.sleep(draw.random())  # before it has begun, or while it begins
    for seen, line in enumerate(process.stdout if wanted else (), 1):
        if line.startswith("done "):
            yield line.split()[1]
        if seen >= wanted:
            break
    time.sleep(draw.random() * 0.06)
    process.kill()
    process.wait()
    yield from done_lines(process)


def check_kills(tmp_path: Path, rounds: int, seeds: int) -> None:
    """Kill runs of one store until it is complete, and begin another one, until so many were killed."""
    draw = random.Random(7)
    expected = values(undisturbed(seeds))
    finished = acknowledged = lost = since = 0
    slowest = 0.0
    for kill in range(1, rounds + 1):
        store = tmp_path / f"store{finished}" / "results.duckdb"
        said = set(kill_somewhere(store, draw, seeds))
        died = time.monotonic()
        while survivors(store) and time.monotonic() < died + 10:
            time.sleep(0.02)
        assert survivors(store) == []
        slowest = max(slowest, time.monotonic() - died)
        Store(store).replay()  # as every command does first
        known = {u.unit_key for u in Store(store).units()}
        acknowledged, lost, since = acknowledged + len(said), lost + len(said - known), since + 1
        assert not lost, "a unit that was shown as done is not stored"
        if len(known) == len(expected) or since == 8 or kill == rounds:
            finished, since = finished + 1, 0
            resumed = run(s.slow_cards, seeds=seeds, workers=2, store=store)
            assert resumed.ran == len(expected) - len(known)
            assert values(resumed) == expected
            assert resumed.verdict == undisturbed(seeds).verdict
            assert [u.attempt for u in Store(store).units()] == [0] * len(expected)
    print(f"{rounds} kills of {3 * seeds} units: {acknowledged} acknowledged, {lost} of them lost; {finished} runs")
    print("were finished by a resume, none of their units twice, with the values and verdict of an undisturbed one;")
    print(f"no process of a killed one was left after {slowest:.2f} s")


def test_a_coordinator_killed_at_random_moments_loses_no_acknowledged_unit(tmp_path: Path) -> None:
    check_kills(tmp_path, rounds=5, seeds=10)


@pytest.mark.slow
def test_two_hundred_kills_lose_no_acknowledged_unit(tmp_path: Path) -> None:
    check_kills(tmp_path, rounds=200, seeds=100)


def test_no_process_is_left_two_seconds_after_the_coordinator_is_killed(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    process = coordinator(store, trial="with_method(s.spins)")
    assert process.stdout is not None
    process.stdout.readline()  # the first unit is done: workers are up
    assert len(survivors(store)) >= 2
    process.kill()
    process.wait()
    time.sleep(2.0)
    assert survivors(store) == []


@pytest.mark.slow
@pytest.mark.parametrize("where", FAULTS)
@pytest.mark.parametrize("n", [1, 4])
def test_a_kill_inside_a_flush_loses_nothing(tmp_path: Path, where: str, n: int) -> None:
    owner, name, when = FAULTS[where]
    fault = INJECT.format(owner=owner, name=name, when=when, n=n)
    fault += "\nimport assay.engine.session as t; t.FLUSH_RECORDS = 6\n"
    store = tmp_path / "results.duckdb"
    process = coordinator(store, fault=fault)
    said = done_lines(process)
    assert process.wait() == -signal.SIGKILL, "the fault was not reached"
    assert set(said) <= {u.unit_key for u in Store(store).units()}
    resumed = run(s.slow_cards, seeds=10, workers=2, store=store)
    assert values(resumed) == values(undisturbed(10))
    assert [u.attempt for u in Store(store).units()] == [0] * 30


@pytest.mark.slow
def test_workers_killed_at_random_cost_their_units_and_the_next_run_makes_them_up(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    draw = random.Random(3)
    process = coordinator(store, seeds=100)
    kills = 0
    while process.poll() is None:
        time.sleep(0.1 + draw.random() * 0.5)
        if workers := workers_of(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(workers), signal.SIGKILL)
                kills += 1
    assert process.returncode == 0
    said = done_lines(process)
    stored = Store(store).units()
    found = [u.status for u in stored]
    print(f"{kills} workers killed: {found.count('killed')} of {len(found)} units were cut off")
    assert kills > 3
    assert len(said) == len(set(said)) == len(stored) == 300
    assert set(found) <= {"ok", "killed"}
    assert found.count("killed") <= kills
    resumed = run(s.slow_cards, seeds=100, workers=2, store=store)
    assert resumed.ran == found.count("killed")
    assert values(resumed) == values(undisturbed(100))


def test_workers_killed_from_outside_cost_their_unit_and_the_run_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    process = coordinator(store)
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(workers_of(process)[0], signal.SIGKILL)
    process.stdout.read()
    assert process.wait() == 0
    found = [u.status for u in Store(store).units()]
    assert len(found) == 30
    assert found.count("killed") <= 1
    resumed = run(s.slow_cards, seeds=10, workers=2, store=store)
    assert [u.status for u in resumed.arms] == ["ok"] * 30  # what was killed from outside is taken up again


def test_a_run_cut_off_is_shown_as_interrupted_until_it_is_taken_up(tmp_path: Path) -> None:
    from assay.engine.live import live_runs

    store = tmp_path / "results.duckdb"
    process = coordinator(store, trial="with_method(s.spins)")
    assert process.stdout is not None
    process.stdout.readline()
    (alive,) = live_runs(tmp_path / "results.d" / "live")
    assert (alive.alive, alive.trial, alive.pid) == (True, "spins", process.pid)
    process.kill()
    process.wait()
    (dead,) = live_runs(tmp_path / "results.d" / "live")
    assert not dead.alive
