"""`--sequential`: a run that looks after every seed and stops when the answer is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.engine import run, schedule, sequential
from assay.engine.looks import Looks
from assay.engine.runner import RunOptions, dry_run, run_trials
from assay.engine.scoreboard import scoreboard
from assay.engine.sequential import sequential_verdict
from assay.engine.store import Store
from assay.engine.trial import Bar, Bars, Trial, UnitResult
from assay.engine.units import plan
from assay.errors import UserError
from tests.engine.judging import Interrupter, mutated

# What the method adds, less the bar: never below 0.5, so six or seven seeds settle it.
CLEAR = s.better_cards
NOISE = replace(s.better_cards, name="noise", bar=Bar(absolute=1.05))  # the effect is 1.05: open for long


def stored(path: Path) -> tuple[str, str, int]:
    (found,) = Store(path).verdicts().values()
    return found.rule, found.outcome, found.n


def test_a_clear_effect_stops_as_soon_as_the_rule_allows_and_runs_no_more_seeds(tmp_path: Path) -> None:
    result = run(CLEAR, sequential=True, workers=1, store=tmp_path / "results.duckdb")
    assert result.verdict is not None
    assert result.verdict.outcome == "holds"
    assert result.planned == tuple(range(result.verdict.n))
    assert 6 <= result.verdict.n <= 8
    assert result.ran <= 3 * (result.verdict.n + 1)  # a seed that was under way is finished
    assert stored(tmp_path / "results.duckdb") == (sequential.RULE, "holds", result.verdict.n)


def test_the_verdict_says_how_it_came_about(tmp_path: Path) -> None:
    verdict = run(CLEAR, sequential=True, isolation="inline").verdict
    assert verdict is not None
    assert verdict.rule == sequential.RULE
    assert verdict.flags[0] == f"sequential: {verdict.n} of at most 64 seeds"
    for contrast in verdict.contrasts:
        assert (contrast.low, contrast.high) == sequential.confidence_sequence(contrast.per_seed)


def test_a_run_without_an_answer_ends_at_the_last_seed_and_is_open() -> None:
    result = run(NOISE, sequential=True, max_seeds=7, isolation="inline")
    assert result.verdict is not None
    assert (result.verdict.outcome, result.ran, result.planned) == ("inconclusive", 21, tuple(range(7)))
    assert result.verdict.reason.startswith("open after 7 of at most 7 seeds: ")


def test_a_method_below_the_bar_stops_with_fails() -> None:
    result = run(replace(CLEAR, bar=Bar(absolute=3.0)), sequential=True, isolation="inline")
    assert result.verdict is not None
    assert result.verdict.outcome == "fails"
    assert result.ran < 30


def test_a_limit_that_is_broken_ends_the_run_at_once() -> None:
    broken = replace(CLEAR, bar=Bars(Bar(absolute=0.5), Bar(versus=None, limit=100.0)))
    result = run(broken, sequential=True, isolation="inline")
    assert result.verdict is not None
    assert (result.verdict.outcome, result.ran) == ("fails", 3)


def test_a_method_without_its_idea_is_open_to_the_end() -> None:
    broken = replace(CLEAR, arms={**CLEAR.arms, "placebo": s.method})
    result = run(broken, sequential=True, max_seeds=12, isolation="inline")
    assert result.verdict is not None
    assert (result.verdict.outcome, result.ran) == ("inconclusive", 36)
    assert "clears the bar but not the placebo" in result.verdict.reason


@pytest.mark.parametrize("workers", [1, 2])
def test_one_worker_or_two_stop_at_the_same_seed_with_the_same_verdict(workers: int) -> None:
    expected = run(CLEAR, sequential=True, isolation="inline")
    found = run(CLEAR, sequential=True, workers=workers)
    assert (found.planned, found.verdict) == (expected.planned, expected.verdict)


def finished(trial: Trial, seeds: int) -> tuple[object, list[UnitResult]]:
    planned = plan("field/cards", trial, seeds=seeds)
    result = run(trial, seeds=seeds, isolation="inline")
    by_arm = {(u.arm, u.seed): u for u in result.units}
    return planned, [replace(by_arm[u.arm, u.seed], unit_key=u.key) for u in planned.units]


def stops_at(trial: Trial, order: Sequence[int], seeds: int = 12) -> tuple[int, int]:
    """Seeds looked at when the run stops, and units done by then, where units finish in this order."""
    planned, units = finished(trial, seeds)
    watching = Looks(planned)  # type: ignore[arg-type]
    done: dict[str, UnitResult] = {}
    for i in order:
        done[units[i].unit_key] = units[i]
        if watching.stopped(done):
            break
    return len(watching.seeds), len(done)


def test_the_seed_at_which_it_stops_does_not_depend_on_which_unit_finished_first() -> None:
    in_order, backwards = range(36), range(35, -1, -1)
    interleaved = [i for k in range(3) for i in range(k, 36, 3)]
    seeds, units = stops_at(CLEAR, in_order)
    assert units == 3 * seeds
    assert stops_at(CLEAR, backwards) == (seeds, 36)  # seed 0 comes last: no look before
    assert stops_at(CLEAR, interleaved)[0] == seeds


def test_looking_at_whatever_has_finished_is_caught() -> None:
    every, some = "all(key in results for key in keys)", "any(key in results for key in keys)"
    with mutated(Looks.stopped, every, some), pytest.raises((AssertionError, KeyError)):
        test_the_seed_at_which_it_stops_does_not_depend_on_which_unit_finished_first()


def test_a_run_that_goes_on_handing_out_units_is_caught() -> None:
    with mutated(schedule.Schedule._look, "self.waiting.clear()", "pass"), pytest.raises(AssertionError):
        test_a_limit_that_is_broken_ends_the_run_at_once()


def test_a_stop_that_the_three_tests_do_not_share_is_caught() -> None:
    # Wins by little, and one loss by much: the signs are clear, the mean is not.
    from tests.engine.judging import from_differences, trial

    c = [0.5, 0.25, 0.5, 0.75, 0.5, 0.25, 0.5, 0.5, 0.75, -4.0, 0.5, 0.5, 0.25, 0.5]
    found = from_differences(c, [5.0] * len(c))
    assert sequential.crossed([c])[0, -1]
    assert sequential_verdict(trial(), found).outcome == "inconclusive"
    with mutated(sequential._anytime, "f.cleared and p_holds", "p_holds"):
        assert sequential_verdict(trial(), found).outcome == "holds"


def test_a_look_that_nothing_has_crossed_for_asks_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(trial: Trial, units: list[UnitResult], **options: object) -> object:
        asked.append(len(units))
        return sequential_verdict(trial, units, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sequential, "sequential_verdict", counted)
    stops_at(CLEAR, range(36))
    assert len(asked) == 1
    asked.clear()
    assert stops_at(NOISE, range(36)) == (12, 36)
    assert asked == []


def test_every_look_says_what_the_full_rule_says_of_it() -> None:
    for trial in (CLEAR, NOISE, replace(CLEAR, bar=Bar(absolute=3.0))):
        _, units = finished(trial, 10)
        for n in range(1, 11):
            seen = [u for u in units if u.seed < n]
            settled = sequential.settled(trial, seen, planned=range(n))
            assert settled == (sequential_verdict(trial, seen, planned=range(n)).outcome != "inconclusive")


def test_seeds_whose_arms_met_other_data_do_not_count_in_a_look() -> None:
    result = run(replace(CLEAR, world="sample_trials:drifting"), sequential=True, max_seeds=8, isolation="inline")
    assert result.verdict is not None
    assert (result.verdict.outcome, result.verdict.n, result.ran) == ("inconclusive", 0, 24)


# --- resume, store, readers ------------------------------------------------------------------------------------------


def test_a_stopped_run_is_answered_from_the_store_and_a_longer_one_stops_at_the_same_seed(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    first = run(CLEAR, sequential=True, workers=1, store=store)
    again = run(CLEAR, sequential=True, workers=1, store=store)
    assert (again.ran, again.verdict, again.planned) == (0, first.verdict, first.planned)
    run(CLEAR, seeds=12, workers=2, store=store)
    after = run(CLEAR, sequential=True, workers=1, store=store)
    assert (after.ran, after.verdict, after.planned) == (0, first.verdict, first.planned)


def test_an_interrupted_run_goes_on_to_the_stop_of_an_undisturbed_one(tmp_path: Path) -> None:
    store = tmp_path / "results.duckdb"
    cut = run(CLEAR, sequential=True, workers=2, store=store, progress=Interrupter(7))
    assert (cut.interrupted, cut.verdict) == (True, None)
    rest = run(CLEAR, sequential=True, workers=2, store=store)
    assert rest.reused >= 7
    expected = run(CLEAR, sequential=True, isolation="inline")
    assert (rest.verdict, rest.planned) == (expected.verdict, expected.planned)


def test_readers_of_the_store_keep_to_the_rule_and_the_seeds_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from assay.engine import registry
    from assay.engine.registry import Entry

    store = Store(tmp_path / "results.duckdb")
    result = run(CLEAR, sequential=True, workers=2, store=store.path)
    entry = Entry(result.name, "2601.00001", "A title", "", "", "", "sample_trials", "better_cards")
    monkeypatch.setattr(registry, "find", lambda name: entry)
    monkeypatch.setattr(registry, "load", lambda found: CLEAR)
    assert result.verdict is not None
    for planning in (False, True):
        ((judged,), _) = scoreboard(store, plan=planning)
        assert replace(judged.verdict, p_holm=None, q=None, mirrors=()) == result.verdict
        assert {u.seed for u in judged.units} == set(result.planned)


def test_dry_run_plans_to_the_last_seed_unless_the_store_has_the_answer(tmp_path: Path) -> None:
    options = RunOptions(sequential=True, max_seeds=20, workers=1, store=tmp_path / "results.duckdb")
    planned, reused, _ = dry_run(CLEAR, options)
    assert (len(planned.units), reused) == (60, 0)
    (result,) = run_trials([CLEAR], options)
    planned, reused, _ = dry_run(CLEAR, options)
    assert planned.seeds == result.planned
    assert reused == len(planned.units)


def test_cases_bound_a_sequential_run() -> None:
    cases = replace(NOISE, world="sample_trials:numbered", pairs="case")
    result = run(cases, sequential=True, isolation="inline")
    assert result.planned == tuple(range(8))


def test_a_reported_trial_runs_its_planned_seeds() -> None:
    result = run(replace(CLEAR, bar=None, seeds=6), sequential=True, isolation="inline")
    assert result.verdict is not None
    assert (result.verdict.outcome, len(result.planned)) == ("reported", 6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sequential": True, "seeds": range(4, 9)}, "drop --seeds"),
        ({"sequential": True, "seeds": 16}, "drop --seeds"),
        ({"sequential": True, "quick": True}, "--quick a preview"),
        ({"sequential": True, "arms": ["method"]}, "drop --arms"),
        ({"sequential": True, "max_seeds": 5}, "wanted at least 6"),
        ({"max_seeds": 32}, "add --sequential"),
        ({"aa": True, "arms": ["method"]}, "drop --arms"),
        ({"verify": -1}, "--verify: got -1"),
    ],
)
def test_options_that_contradict_each_other_are_one_line(options: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told) as refused:
        RunOptions(**options)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_more_than_a_thousand_seeds_meet_those_that_are_reserved() -> None:
    with pytest.raises(UserError, match="1000 is reserved"):
        run(CLEAR, sequential=True, max_seeds=1001, isolation="inline")


def test_the_command_line_knows_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from assay.cli.main import main

    words = ["run", "sample_trials:better_cards", "--store", str(tmp_path / "results.duckdb"), "--workers", "1"]
    assert main([*words, "--sequential", "--max-seeds", "9", "--dry-run"]) == 0
    assert "at most 27 units (9 seeds x" in capsys.readouterr().out
    assert main([*words, "--sequential", "--max-seeds", "9", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["verdict"]["rule"] == sequential.RULE
    assert main([*words, "--sequential"]) == 0
    out = capsys.readouterr().out
    assert "looked at after every seed; intervals are confidence sequences" in out
    assert "of at most 64 seeds" in out
    for wrong in (["--sequential", "--seeds", "4-9"], ["--sequential", "--quick"], ["--max-seeds", "9"]):
        assert main([*words, *wrong]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
