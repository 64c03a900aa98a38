"""Arms that misbehave: the right status each, and the next unit as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import sample_trials as s

from assay.engine import run
from assay.engine.result import Result
from assay.engine.runner import RunOptions, run_trials
from assay.engine.trial import Arm, Trial, UnitResult


def statuses(result: Result, arm: str = "method") -> list[str]:
    return [u.status for u in result.arms if u.arm == arm]


def unit(result: Result, arm: str = "method", seed: int = 0) -> UnitResult:
    return next(u for u in result.arms if u.arm == arm and u.seed == seed)


@pytest.mark.parametrize(
    ("arm", "status", "words"),
    [
        (s.exits, "killed", "exit code 1"),
        (s.segfaults, "killed", "SIGSEGV"),
        (s.raises, "error", "RuntimeError: no such luck"),
        (s.raises_system_exit, "error", "SystemExit: 3"),
        (s.raises_keyboard_interrupt, "error", "KeyboardInterrupt"),
        (s.returns_nan, "invalid", "Measures.value: got nan"),
        (s.returns_text, "invalid", "returned str, wanted Measures"),
        (s.returns_nothing, "invalid", "returned NoneType, wanted Measures"),
        (s.returns_bad_extra, "invalid", "extra['loss']: got inf"),
        (s.returns_too_much, "invalid", "65 MB, wanted at most 64"),
        (s.connects, "error", "NetworkDisabled"),
        (s.connects_to_itself, "ok", ""),
        (s.asks_its_own_server, "ok", ""),
        (s.closes_streams, "ok", ""),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_misbehaviour_has_its_status_and_spares_the_others(arm: Arm, status: str, words: str) -> None:
    result = run(s.with_method(arm), seeds=2, workers=1)
    assert statuses(result) == [status, status]
    assert words in unit(result).error
    assert statuses(result, "baseline") == statuses(result, "placebo") == ["ok", "ok"]
    undisturbed = run(s.better_cards, seeds=2, isolation="inline")
    assert unit(result, "placebo", 1).value == unit(undisturbed, "placebo", 1).value


def test_a_value_outside_the_metrics_range_is_invalid() -> None:
    from assay.engine.trial import Metric

    ranged = replace(s.better_cards, metric=Metric("sum", better="higher", range=(0.0, 1.0)))
    result = run(ranged, seeds=1, isolation="inline")
    assert statuses(result) == ["invalid"]
    assert "outside the metric's range (0.0, 1.0)" in unit(result).error


def test_a_unit_that_never_ends_is_stopped_at_its_time_limit() -> None:
    result = run_trials([s.with_method(s.spins, timeout_s=1.0)], RunOptions(seeds=1, workers=1))[0]
    assert statuses(result) == ["timeout"]
    assert unit(result).error == "ran longer than 1 s"
    assert 1.0 <= unit(result).seconds < 10.0


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_program_that_an_arm_starts_finds_no_way_out_either(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    trial = s.with_method(s.downloads_in_child)
    blocked = run_trials([trial], RunOptions(seeds=1, workers=1, store=store))[0]
    log = next((tmp_path / "results.d" / "logs").rglob(f"{unit(blocked).unit_key}.log")).read_text()
    assert "Could not resolve proxy: units-have-no-network.invalid" in log


def test_a_process_that_left_the_arms_session_is_gone_with_the_run() -> None:
    result = run(s.with_method(s.daemonizes), seeds=1, workers=1)
    assert statuses(result) == ["ok"]
    assert not any("os.setsid()" in line for line in command_lines())


def command_lines() -> list[str]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return found


@pytest.fixture(scope="module")
def in_fresh_processes() -> Result:
    return run_trials([s.better_cards], RunOptions(seeds=1, workers=1, fresh=True))[0]


@pytest.mark.parametrize(
    "arm", [s.exits, s.segfaults, s.spins, s.allocates, s.leaves_child, s.leaves_thread, s.daemonizes, s.closes_streams]
)
def test_the_unit_after_is_as_in_a_fresh_process(arm: Arm, in_fresh_processes: Result) -> None:
    trial = replace(s.better_cards, name=arm.__name__, arms={"baseline": arm, "placebo": s.placebo, "method": s.method})
    result = run_trials([trial], RunOptions(seeds=1, workers=1, timeout_s=5.0, memory_mb=400))[0]
    for name in ("placebo", "method"):
        found, expected = unit(result, name), unit(in_fresh_processes, name)
        assert (found.status, found.value, dict(found.extra)) == ("ok", expected.value, dict(expected.extra))


def test_a_unit_that_ignores_sigterm_is_killed_five_seconds_later() -> None:
    result = run_trials([s.with_method(s.ignores_sigterm, timeout_s=0.5)], RunOptions(seeds=1, workers=1))[0]
    assert statuses(result) == ["timeout"]
    assert unit(result).seconds >= 5.0


@pytest.mark.parametrize("arm", [s.allocates, s.allocates_in_child], ids=lambda a: a.__name__)
def test_a_unit_that_takes_too_much_memory_is_killed_with_its_children(arm: Arm) -> None:
    result = run_trials([s.with_method(arm, memory_mb=400)], RunOptions(seeds=1, workers=1))[0]
    assert statuses(result) == ["oom"]
    assert "limit 400 MB" in unit(result).error
    assert unit(result).peak_rss_mb >= 400


def test_what_an_arm_changed_is_put_back_for_the_next_one() -> None:
    together = run(s.state_cards, seeds=2, workers=1)
    apart = run_trials([s.state_cards], RunOptions(seeds=2, workers=1, fresh=True, arms=("baseline", "method")))[0]
    assert [u.status for u in together.arms] == ["ok"] * 6
    for seed in range(2):
        for arm in ("baseline", "method"):
            assert dict(unit(together, arm, seed).extra) == dict(unit(apart, arm, seed).extra)
    state = unit(together, "method", 1).extra
    assert (state["itemsize"], state["grad"], state["threads"], state["files"]) == (4.0, 1.0, 1.0, 0.0)
    assert (state["left"], state["path"], state["sigterm"], state["filters"]) == (0.0, 0.0, 1.0, 0.0)


def test_a_child_left_behind_is_killed_and_the_worker_replaced() -> None:
    result = run(s.with_method(s.leaves_child), seeds=2, workers=1)
    assert statuses(result) == ["ok", "ok"]
    for left in (u.extra["pid"] for u in result.arms if u.arm == "method"):
        assert not psutil.pid_exists(int(left)) or psutil.Process(int(left)).status() == psutil.STATUS_ZOMBIE


def test_a_thread_left_behind_costs_the_worker_but_not_the_unit() -> None:
    result = run(s.with_method(s.leaves_thread), seeds=2, workers=1)
    assert statuses(result) == ["ok", "ok"]
    assert unit(result, seed=0).extra["pid"] != unit(result, seed=1).extra["pid"]


def test_a_worker_serves_many_units_unless_fresh_ones_are_asked_for() -> None:
    trial = s.with_method(s.reports_pid)
    kept = run(trial, seeds=3, workers=1)
    fresh = run_trials([trial], RunOptions(seeds=3, workers=1, fresh=True))[0]
    assert len({u.extra["pid"] for u in kept.arms if u.arm == "method"}) == 1
    assert len({u.extra["pid"] for u in fresh.arms if u.arm == "method"}) == 3


def test_a_resource_lives_as_long_as_its_worker_and_is_no_leak() -> None:
    result = run(s.with_method(s.keeps_resource), seeds=3, workers=1)
    pids = {int(u.extra["pid"]) for u in result.arms if u.arm == "method"}
    assert statuses(result) == ["ok"] * 3
    assert len(pids) == 1
    time.sleep(0.2)
    assert not psutil.pid_exists(pids.pop())


def test_output_is_kept_beside_the_store_up_to_its_last_megabyte(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    trials: list[Trial | str] = [s.with_method(s.prints_much), s.with_method(s.prints)]
    much, little = run_trials(trials, RunOptions(seeds=1, workers=1, store=store))
    logs = {path.stem: path.read_bytes() for path in (tmp_path / "results.d" / "logs").rglob("*.log")}
    assert logs[unit(little).unit_key] == b"hello from the arm\n"
    log = logs[unit(much).unit_key]
    assert len(log) == 1 << 20
    assert log.endswith(b"the last line\n")


def test_workers_are_in_sessions_of_their_own_so_that_ctrl_c_does_not_reach_them() -> None:
    result = run(s.with_method(s.reports_pid), seeds=1, workers=1)
    assert unit(result).extra["pid"] != os.getpid()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
