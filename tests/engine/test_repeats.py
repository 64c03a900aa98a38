"""`--verify K`, and what a difference that it finds means for every later verdict on the same code."""

from __future__ import annotations

import os
import random
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import registry, units
from assay.engine.registry import Entry
from assay.engine.runner import RunOptions, run_trials
from assay.engine.scoreboard import scoreboard
from assay.engine.store import Store
from assay.engine.trial import Bar, Measures, Metric, Trial


def restless(world: list[float], models: object, seed: int) -> Measures:
    """Another value each time."""
    return Measures(sum(world) + random.Random(os.urandom(8)).random() * 0.1)


def forgetful(world: list[float], models: object, seed: int) -> Measures:
    """Leaves a measure out where the file that the test names is there."""
    return Measures(sum(world), extra={} if Path(os.environ["ASSAY_TEST_CALLS"]).exists() else {"rate": 0.5})


RESTLESS = replace(s.better_cards, name="restless", arms=dict.fromkeys(s.better_cards.arms, restless))


def verified(trial: Trial, **options: object) -> object:
    return run_trials([trial], RunOptions(**{"seeds": 6, "workers": 1, "verify": 2} | options))[0]  # type: ignore[arg-type]


def flagged(verdict: object) -> list[str]:
    return [flag for flag in verdict.flags if flag.startswith("nondeterministic")]


def test_measures_that_are_left_out_the_second_time_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls.txt"
    monkeypatch.setenv("ASSAY_TEST_CALLS", str(calls))
    trial = replace(s.better_cards, arms=dict.fromkeys(s.better_cards.arms, forgetful))
    store = tmp_path / "results.duckdb"
    assert verified(trial, store=store).differs == 0.0
    calls.touch()
    assert verified(trial, store=store).differs == float("inf")


def test_units_of_earlier_runs_are_repeated_too(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    verified(RESTLESS, store=store, verify=0)
    again = verified(RESTLESS, store=store, verify=2)
    assert (again.ran, again.reused) == (0, 18)
    assert 0 < again.differs <= 0.1


def test_times_are_not_repeated() -> None:
    timed = replace(RESTLESS, metric=Metric("seconds", better="higher", timed=True))
    result = verified(timed)
    assert result.differs is None
    assert flagged(result.verdict) == []


def test_a_sequential_run_repeats_what_it_ran() -> None:
    result = verified(replace(RESTLESS, bar=Bar(absolute=3.0)), seeds=None, sequential=True)
    assert result.verdict.outcome == "fails"
    assert len(result.planned) < 12
    assert len(flagged(result.verdict)) == 1


def test_repeats_can_be_interrupted() -> None:
    threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    cut = verified(s.better_cards, seeds=30, verify=90)
    assert (cut.interrupted, cut.verdict) == (True, None)


def test_code_that_did_not_repeat_stays_flagged_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "results.duckdb")
    options = {"store": store.path}
    before = verified(RESTLESS, verify=0, **options)
    entry = Entry(before.name, "test_repeats", "RESTLESS")
    monkeypatch.setattr(registry, "find", lambda name: entry)
    monkeypatch.setattr(registry, "load", lambda found: RESTLESS)

    def shown() -> list[list[str]]:
        return [flagged(judged.verdict) for plan in (False, True) for judged in scoreboard(store, plan=plan)[0]]

    assert shown() == [[], []]
    (flag,) = flagged(verified(RESTLESS, verify=2, **options).verdict)
    assert shown() == [[flag], [flag]]
    assert flagged(verified(RESTLESS, verify=0, **options).verdict) == [flag]  # nothing repeated: still known
    assert shown() == [[flag], [flag]]
    assert flagged(verified(RESTLESS, verify=0, seeds=7, **options).verdict) == [flag]  # of the same code
    monkeypatch.setattr(units, "trial_fingerprint", lambda trial: "of other code")
    assert flagged(verified(RESTLESS, verify=0, **options).verdict) == []
