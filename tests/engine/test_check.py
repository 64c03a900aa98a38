"""`trials check`: a sound trial passes, and each fault of a trial is found by the item that is there for it."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import check as checks
from assay.engine import run
from assay.engine.check import Finding, check
from assay.engine.result import Result
from assay.engine.runner import RunOptions, run_trials
from assay.engine.store import Store
from assay.engine.trial import Cost, Measures, Trial


class Answered(s.Cards):
    """Cards whose sum is to be guessed."""

    def check(self, sample: list[float], answer: float) -> bool:
        return abs(sum(sample) - answer) < 1e-9

    def examples(self, sample: list[float]) -> list[tuple[bool, tuple[object, ...]]]:
        return [(True, (sample, sum(sample))), (False, (sample, sum(sample) + 1))]


class Gullible(Answered):
    def check(self, sample: list[float], answer: float) -> bool:
        return True


class OnlyRight(Answered):
    def examples(self, sample: list[float]) -> list[tuple[bool, tuple[object, ...]]]:
        return super().examples(sample)[:1]


def answered() -> Answered:
    """Eight cards and their sum."""
    return Answered()


def gullible() -> Gullible:
    """Takes any answer."""
    return Gullible()


def only_right() -> OnlyRight:
    """Has no wrong answer to show."""
    return OnlyRight()


def lucky(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world) + random.random())


def restless(world: list[float], models: object, seed: int) -> Measures:
    """Another value of an extra measure in every process."""
    return Measures(sum(world), extra={"noise": random.Random(os.urandom(8)).random()})


def dear(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world), cost=Cost(model_calls=12))


def cheap(world: list[float], models: object, seed: int) -> Measures:
    return Measures(sum(world) + 1.0 + random.random() * 0.1, cost=Cost(model_calls=10))


def partial(world: list[float], models: object, seed: int) -> Measures:
    """Better in the method's place: A/A gives it another number than the one its seed has."""
    from assay.engine.units import derived_seed

    mine = {derived_seed(SOUND, i) for i in range(8)}
    return Measures(random.random() * 0.01 - (seed in mine))


def two_words(world: list[float], models: object) -> Measures:
    return Measures(0.0)


SOUND = replace(
    s.better_cards,
    name="sound",
    world="test_check:answered",
    seeds=13,
    arms={"baseline": lucky, "placebo": s.placebo, "method": s.method},
)


@pytest.fixture
def nothing_stored(tmp_path: Path) -> Store:
    return Store(tmp_path / "none.duckdb")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that need no worker of their own: what is found does not depend on it, and it is ten times as quick."""

    def quick(trial: Trial, **options: object) -> Result:
        return run_trials([trial], RunOptions(quick=True, isolation="inline", **options))[0]  # type: ignore[arg-type]

    monkeypatch.setattr(checks, "_quick", quick)


def found(trial: Trial, store: Store) -> dict[str, Finding]:
    return {f.what: f for f in check("field/sound", trial, store)}


def wrong(trial: Trial, store: Store) -> set[str]:
    return {what for what, f in found(trial, store).items() if not f.ok}


def test_a_sound_trial_has_nothing_wrong_and_everything_was_looked_at(nothing_stored: Store) -> None:
    findings = found(SOUND, nothing_stored)
    assert [f for f in findings.values() if not f.ok] == []
    assert [f for f in findings.values() if "not looked at" in f.detail] == []
    assert len(findings) == 16
    assert findings["the baseline does not beat itself (A/A)"].detail == "inconclusive on 6 seeds"
    assert findings["the whole trial takes at most 5 min"].detail == "0 s for 13 seeds"


def arms(**changed: object) -> Trial:
    return replace(SOUND, arms={**SOUND.arms, **changed})  # type: ignore[arg-type]


def faults() -> Iterator[tuple[Trial, str]]:
    yield arms(placebo=SOUND.arms["method"]), "the placebo measures something else than the method"
    yield arms(placebo=dear, method=cheap), "the placebo's budget is within 10 % of the method's"
    yield arms(baseline=restless), "two runs give the same measures, bit by bit"
    yield arms(baseline=partial), "the baseline does not beat itself (A/A)"
    yield arms(method=s.raises), "every arm of the quick run ends well, with measures that can be judged"
    yield arms(method=s.returns_nan), "every arm of the quick run ends well, with measures that can be judged"
    yield replace(SOUND, world="sample_trials:drifting"), "all arms of a seed met the same world"
    yield replace(SOUND, world="test_check:gullible"), "the world's check accepts right answers and rejects wrong ones"
    yield (
        replace(SOUND, world="test_check:only_right"),
        "the world's check accepts right answers and rejects wrong ones",
    )


@pytest.mark.parametrize(("trial", "what"), list(faults()), ids=lambda v: v if isinstance(v, str) else "")
def test_a_fault_is_found_by_its_item(trial: Trial, what: str, nothing_stored: Store, in_this_process: None) -> None:
    assert what in wrong(trial, nothing_stored)


def test_arms_that_cannot_run_at_all_are_named_before_anything_runs(nothing_stored: Store) -> None:
    local = arms(method=lambda world, models, seed: Measures(1.0))
    assert wrong(local, nothing_stored) == {"arm functions can be imported by a worker"}
    assert wrong(arms(method=two_words), nothing_stored) == {"arm method takes what the engine gives"}
    greedy = arms(placebo=s.matched_placebo)  # wants `earlier`, and the trial names nothing that it runs after
    assert wrong(greedy, nothing_stored) == {"arm placebo takes what the engine gives"}


def test_a_missing_need_is_a_finding(nothing_stored: Store) -> None:
    assert wrong(replace(SOUND, needs=("no-such-program",)), nothing_stored) == {
        "what the trial needs is on this machine"
    }


def test_times_are_held_against_the_limits_for_quick_and_whole_runs(
    nothing_stored: Store, monkeypatch: pytest.MonkeyPatch, in_this_process: None
) -> None:
    monkeypatch.setattr(checks, "QUICK_S", 0.0)
    monkeypatch.setattr(checks, "FULL_S", 0.0)
    assert wrong(SOUND, nothing_stored) == {"the quick run takes at most 0 s", "the whole trial takes at most 0 min"}


def test_trained_trials_have_more_time() -> None:
    assert not checks._trained(SOUND)
    assert checks._trained(replace(SOUND, prepare=("nano",)))
    assert checks._trained(s.table_cards)
    assert (checks.QUICK_S, checks.QUICK_TRAINED_S, checks.FULL_S, checks.FULL_TRAINED_S) == (30, 60, 300, 900)


def test_a_trial_whose_quick_form_is_smaller_is_timed_by_its_full_runs(tmp_path: Path) -> None:
    sized = replace(SOUND, world="sample_trials:cards", quick_args={"size": 1}, name="sized")
    store = Store(tmp_path / "results.duckdb")
    what = "the whole trial takes at most 5 min"
    quick = run(sized, quick=True, isolation="inline")
    assert checks._takes(quick.name, sized, quick, store).detail.startswith("not looked at: no full run of")
    run(sized, seeds=2, workers=1, store=store.path)
    known = checks._takes(quick.name, sized, quick, store)
    assert (known.what, known.ok) == (what, True)
    assert known.detail.endswith(" s for 13 seeds")


def test_a_fixture_counts_as_often_as_it_is_built(nothing_stored: Store) -> None:
    from assay.engine.trial import Fixture

    few = replace(s.table_cards, fixture=Fixture(s.build_table, distinct=2), seeds=10)
    run_of = replace(run(SOUND, quick=True, isolation="inline"), units=())
    units = [
        replace(unit, arm=arm, seconds=seconds, status="ok")
        for arm, seconds in (("(fixture)", 100.0), ("method", 10.0), ("baseline", 10.0), ("placebo", 10.0))
        for unit in run(SOUND, seeds=1, arms=["baseline"], isolation="inline").units
    ]
    timed = checks._takes("field/few", few, replace(run_of, units=tuple(units)), nothing_stored)
    assert timed.detail == "250 s for 10 seeds"  # 2 x 100 + 10 x 30 seconds of work, two workers


def test_few_seeds_are_a_warning_and_no_fault() -> None:
    named = "the seeds are enough for a verdict of its own"
    found = next(f for f in checks._on_paper("hadw", replace(SOUND, seeds=8)) if f.what == named)
    assert found == Finding(named, True, "a warning: 8 seeds cannot survive Holm over 124 papers, 13 can")
