"""A/A: the baseline against itself."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import sample_trials as s

from assay.cli.main import main
from assay.engine import aa, registry
from assay.engine.registry import Entry
from assay.engine.runner import RunOptions, run_trials
from assay.engine.scoreboard import scoreboard
from assay.engine.store import Store
from assay.engine.trial import Bar, Bars, Measures, Trial
from assay.engine.units import Plan, plan
from assay.errors import UserError
from tests.engine.judging import mutated


def drawing(world: list[float], models: object, seed: int) -> Measures:
    """Its value is its luck."""
    return Measures(random.random(), extra={"seed": float(seed), "world": sum(world)})


def favoured(world: list[float], models: object, seed: int) -> Measures:
    """Cheats: it knows which seed the baseline is given, and does worse with it."""
    from assay.engine.units import derived_seed

    mine = {derived_seed(s.better_cards, i) for i in range(16)}
    return Measures(random.random() * 0.01 - (seed in mine))


LUCKY = replace(s.better_cards, name="lucky", arms=dict.fromkeys(s.better_cards.arms, drawing))


def aa_of(trial: Trial, **options: object) -> object:
    return run_trials([trial], RunOptions(aa=True, isolation="inline", **options))[0]  # type: ignore[arg-type]


def test_both_arms_are_the_baseline_on_one_world_with_luck_of_their_own() -> None:
    result = aa_of(LUCKY, seeds=8)
    arms = {arm: [u for u in result.arms if u.arm == arm] for arm in ("baseline", "method")}
    assert len(result.arms) == 16
    for one, other in zip(arms["baseline"], arms["method"]):
        assert (one.seed, one.extra["world"]) == (other.seed, other.extra["world"])
        assert one.extra["seed"] != other.extra["seed"]
        assert one.value != other.value
    plain = run_trials([LUCKY], RunOptions(seeds=8, isolation="inline"))[0]
    assert [u.value for u in arms["baseline"]] == [u.value for u in plain.arms if u.arm == "baseline"]


def test_one_stream_for_both_arms_is_caught() -> None:
    with mutated(Plan._unit, "if arm in self.apart", "if False"), pytest.raises(AssertionError):
        test_both_arms_are_the_baseline_on_one_world_with_luck_of_their_own()


@pytest.mark.parametrize("bar", [Bar(within=5.0), Bars(Bar(at_most_cost=1.5), Bar(versus=None, limit=0.0)), None])
def test_bars_that_equal_arms_clear_by_right_are_replaced_by_any_difference(bar: Bar | Bars | None) -> None:
    result = aa_of(replace(LUCKY, bar=bar), seeds=16)
    assert result.verdict.outcome == "inconclusive"
    assert [c.name for c in result.verdict.contrasts] == ["sum better than baseline"]


def test_a_baseline_that_needs_another_arms_figures_is_refused() -> None:
    with pytest.raises(UserError, match="runs after 'method'"):
        aa.against_itself(replace(s.matched_cards, after={"baseline": "method"}))


def test_a_baseline_that_draws_nothing_is_equal_to_itself_and_does_not_hold() -> None:
    result = aa_of(s.better_cards, seeds=6)
    assert result.verdict.outcome == "inconclusive"
    assert "constant" in result.verdict.flags


def test_a_quick_form_is_a_quick_run() -> None:
    result = aa_of(LUCKY, quick=True)
    assert (result.quick, len(result.arms)) == (True, 12)


def test_its_units_have_a_name_of_their_own_and_its_verdict_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "results.duckdb")
    options = RunOptions(seeds=6, workers=1, store=store.path)
    (real,) = run_trials([LUCKY], options)
    (found,) = run_trials([LUCKY], replace(options, aa=True))
    assert found.name == f"{real.name} (a/a)"
    assert aa.is_aa(found.name) and not aa.is_aa(real.name)
    assert {u.trial for u in store.units()} == {real.name, found.name}
    assert set(store.verdicts()) == {real.name}
    assert not {u.unit_key for u in real.units} & {u.unit_key for u in found.units}
    entry = Entry(real.name, "test_aa", "LUCKY")
    monkeypatch.setattr(registry, "find", lambda name: entry)
    monkeypatch.setattr(registry, "load", lambda entry: LUCKY)
    board, notes = scoreboard(store)
    assert ([j.name for j in board], notes) == ([real.name], [])
    (again,) = run_trials([LUCKY], replace(options, aa=True))
    assert (again.ran, again.reused) == (0, 12)


def test_units_of_both_arms_are_planned_for_each_seed() -> None:
    planned = plan("x (a/a)", aa.against_itself(LUCKY), seeds=3, apart=("method",))
    for seed in range(3):
        pair = [u for u in planned.units if u.seed == seed]
        assert len({u.sample_seed for u in pair}) == 1
        assert len({u.number for u in pair}) == 2


def test_the_command_line_says_plainly_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--store", str(tmp_path / "results.duckdb"), "--workers", "1", "--seeds", "8"]
    assert main(["run", "test_aa:LUCKY", "--aa", *store]) == 0
    assert "does not hold, as it should be: the baseline does not beat itself" in capsys.readouterr().out
    assert main(["run", "test_aa:FAVOURED", "--aa", *store]) == 6
    assert "HOLDS, and must not: the baseline beats itself" in capsys.readouterr().out
    assert main(["run", "test_aa:FAVOURED", "--aa", "--json", *store]) == 6
    (found,) = json.loads(capsys.readouterr().out)
    assert found["trial"].endswith(" (a/a)")


FAVOURED = replace(s.better_cards, name="favoured", arms=dict.fromkeys(s.better_cards.arms, favoured))
