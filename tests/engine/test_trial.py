"""What a trial may say and what it may not: every wrong word is refused with the argument's name."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from assay.engine.trial import Bar, Bars, Fixture, Metric, Mirror, Trial
from tests.engine.judging import TRIAL, arm


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"paper": "hadw"}, r"Trial\.paper: got 'hadw'"),
        ({"claim": ""}, r"Trial\.claim: got 0 characters"),
        ({"claim": "x" * 201}, r"Trial\.claim: got 201 characters"),
        ({"headline": "x" * 201}, r"Trial\.headline: got 201 characters"),
        ({"seeds": 5}, r"Trial\.seeds: got 5, wanted at least 6"),
        ({"quick_seeds": 0}, r"Trial\.quick_seeds: got 0"),
        ({"placebo": None}, r"Trial\.placebo: None needs a `note`"),
        ({"method": "methodd"}, r"Trial\.arms: method names arm 'methodd'"),
        ({"baseline": "basis"}, r"baseline names arm 'basis'"),
        ({"placebo": "sugar"}, r"placebo names arm 'sugar'"),
        ({"oracle": "delphi"}, r"oracle names arm 'delphi'"),
        ({"floor": "cellar"}, r"floor names arm 'cellar'"),
        ({"bar": Bar(versus="nobody", absolute=0.1)}, r"bar\.versus='nobody' names arm 'nobody'"),
        ({"after": {"placebo": "nobody"}}, r"after\['placebo'\] names arm 'nobody'"),
        ({"after": {"nobody": "method"}}, r"after\['nobody'\] \(key\) names arm 'nobody'"),
        ({"model_arms": ("model",)}, r"model_arms\[0\] names arm 'model'"),
        ({"mirrors": (Mirror("2 x", 2.0, ("method", "nobody")),)}, r"mirror of 'nobody' names arm 'nobody'"),
    ],
)
def test_a_trial_that_contradicts_itself_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        replace(TRIAL, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kinds", "told"),
    [
        ({}, "wanted exactly one of"),
        ({"relative": 0.2, "absolute": 0.1}, r"got \['relative', 'absolute'\]"),
        ({"relative": -1.0}, r"Bar\.relative: got -1\.0, wanted a share in \(-1, 10\)"),
        ({"relative": 10.0}, r"Bar\.relative: got 10\.0"),
        ({"relative": 0.0}, r"Bar\.relative: got 0\.0"),
        ({"absolute": float("nan")}, r"Bar\.absolute: got nan, wanted a finite number"),
        ({"within": -0.1}, r"Bar\.within: got -0\.1"),
        ({"at_most_cost": 0.0}, r"Bar\.at_most_cost: got 0\.0"),
        ({"at_most_cost": 1.0, "cost_key": "money"}, r"Bar\.cost_key: got 'money'"),
        ({"relative": 0.2, "versus": None}, r"Bar\.versus: None \(a constant\) goes with absolute or limit"),
        ({"within": 0.2, "versus": None}, "not with within"),
        ({"absolute": 0.1, "better": "higher"}, r"Bar\.better: goes with a named extra measure"),
        ({"absolute": 0.1, "metric": "recall", "better": "more"}, r"Bar\.better: got 'more'"),
    ],
)
def test_a_bar_that_asks_for_nothing_or_too_much_is_refused(kinds: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Bar(**kinds)  # type: ignore[arg-type]


def test_no_bars_and_odd_words_are_refused() -> None:
    with pytest.raises(ValueError, match="Bars: wanted at least one Bar"):
        Bars()
    with pytest.raises(ValueError, match=r"Metric\.better: got 'up'"):
        Metric("accuracy", better="up")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Fixture\.distinct: got 0"):
        Fixture(arm, distinct=0)


@pytest.mark.parametrize(
    ("bar", "kind", "size"),
    [
        (Bar(relative=-0.25), "relative", -0.25),  # at most a quarter worse
        (Bar(versus=None, absolute=1.10), "absolute", 1.1),  # against a constant
        (Bar(versus=None, limit=0.0, metric="off plan", better="lower"), "limit", 0.0),
        (Bar(at_most_cost=1.5, cost_key="flops"), "at_most_cost", 1.5),
    ],
)
def test_a_bar_knows_its_kind_and_figure(bar: Bar, kind: str, size: float) -> None:
    assert (bar.kind, bar.size) == (kind, size)


def test_one_bar_several_and_none_read_alike() -> None:
    one, other = Bar(relative=0.15), Bar(within=0.02, metric="accuracy", better="higher")
    assert replace(TRIAL, bar=one).bars == (one,)
    assert replace(TRIAL, bar=Bars(one, other)).bars == (one, other)
    assert replace(TRIAL, bar=None).bars == ()


def test_a_reported_trial_may_have_fewer_seeds_and_a_preview_a_single_one() -> None:
    assert replace(TRIAL, bar=None, seeds=3).seeds == 3
    assert replace(TRIAL, quick_seeds=1).quick_seeds == 1


def test_a_trial_cannot_be_changed_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        TRIAL.seeds = 99  # type: ignore[misc]


def test_every_addition_is_optional() -> None:
    required = {"paper", "claim", "headline", "metric", "bar", "arms", "world"}
    plain = Trial(**{name: getattr(TRIAL, name) for name in required})
    assert (plain.name, plain.fixture, plain.prepare, plain.needs, plain.exclusive) == ("", None, (), (), False)
    assert (dict(plain.after), plain.pairs, dict(plain.world_args), plain.headroom) == ({}, "seed", {}, None)
    assert (plain.mirrors, plain.model_arms, plain.budget) == ((), (), ())


def test_arguments_of_the_world_differ_under_quick_only_where_the_trial_says_so() -> None:
    sized = replace(TRIAL, world_args={"size": 8, "mix": "even"}, quick_args={"size": 2})
    assert sized.arguments(quick=False) == {"size": 8, "mix": "even"}
    assert sized.arguments(quick=True) == {"size": 2, "mix": "even"}
