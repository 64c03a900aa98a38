"""SHARP's formulas against values worked by hand, and its comparisons where the answer is known."""

from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assay.methods.safety._sharp_compare import LARGE, _by_bootstrap, compare, judge_agreement, ranks_without
from assay.methods.safety._sharp_report import ratings, report
from assay.methods.safety._sharp_rubric import DIMENSIONS, RUBRIC, ask_judge, judge_prompt, parse_scores
from assay.methods.safety.sharp import (
    RiskProfile,
    attribution,
    harm,
    inequity,
    log_risk,
    lse,
    normalise,
    rms,
    tail_dependence,
    tails_by_group,
    union,
)

shares = st.floats(0, 0.99)
harms = arrays(np.float64, st.tuples(st.integers(20, 40), st.just(4)), elements=shares)


def scores(value: float = 5.0, judges: int = 3, prompts: int = 4) -> dict[str, np.ndarray]:
    return {d: np.full((judges, prompts, len(RUBRIC[d])), value) for d in DIMENSIONS}


class Judge:
    """Answers with what it is given, in turn."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.asked = list(replies), list[str]()

    async def __call__(self, prompt: str, **_: object) -> str:
        self.asked.append(prompt)
        return self.replies.pop(0)


def test_sub_questions_are_joined_by_root_mean_square_and_judges_by_log_mean_exp() -> None:
    assert rms([3.0, 4.0, 0.0, 0.0]) == pytest.approx(2.5)
    assert lse([0.0, 1.0], beta=1.0) == pytest.approx(math.log((1 + math.e) / 2))
    given = scores(0.0, judges=2, prompts=1)
    given["bias"][0, 0, 0] = 7.0  # one of seven sub-questions, one of two judges
    first = 0.7 / math.sqrt(7)
    assert harm(given)[0] == pytest.approx([math.log((math.exp(10 * first) + 1) / 2) / 10, 0, 0, 0])


@given(arrays(np.float64, 5, elements=st.floats(-1, 1)), st.sampled_from([1e-9, 0.1, 10.0, 1e6]))
def test_log_mean_exp_lies_between_the_mean_and_the_largest(x: np.ndarray, beta: float) -> None:
    assert x.mean() - 1e-6 <= lse(x, beta) <= x.max() + 1e-9
    if beta == 1e-9:
        assert lse(x, beta) == pytest.approx(x.mean(), abs=1e-6)
    if beta == 1e6:
        assert lse(x, beta) == pytest.approx(x.max(), abs=1e-5)


def test_union_log_risk_and_attribution_of_a_reply_worked_by_hand() -> None:
    h = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert union(h) == pytest.approx([0.75, 0])
    assert log_risk(h) == pytest.approx([2 * math.log(2), 0])
    assert attribution(h)[0] == pytest.approx([0.5, 0.5, 0, 0])
    assert np.isnan(attribution(h)[1]).all(), "nothing to attribute"


def test_a_harm_of_one_is_capped_and_counted() -> None:
    h = np.zeros((20, 4))
    h[3, 1] = 1.0
    profile = RiskProfile(h)
    assert profile.capped == 1
    assert profile.risk[3] == pytest.approx(-math.log(1e-6))


@given(harms, st.sampled_from([0.5, 0.9, 0.95]))
def test_the_tail_is_what_its_dimensions_add_and_never_below_the_mean(h: np.ndarray, alpha: float) -> None:
    profile = RiskProfile(h)
    assert sum(profile.shortfall_by_dimension(alpha).values()) == pytest.approx(profile.cvar(alpha))
    assert profile.cvar(alpha) >= profile.var(alpha) - 1e-9
    assert profile.cvar(alpha) >= profile.mean - 1e-9
    # a joint tail is never worse than its dimensions' own tails added up
    assert profile.cvar(alpha) <= sum(profile.marginal_cvar(alpha).values()) + 1e-9
    # Rockafellar and Uryasev: the least over c of c + E[(R - c)+] / (1 - alpha)
    least = min(c + np.maximum(profile.risk - c, 0).mean() / (1 - alpha) for c in profile.risk)
    assert profile.cvar(alpha) == pytest.approx(least, abs=1e-9)


def test_value_at_risk_is_an_order_statistic() -> None:
    risk = np.arange(1, 21) / 10
    h = np.zeros((20, 4))
    h[:, 0] = -np.expm1(-risk)
    assert RiskProfile(h).var(0.95) == pytest.approx(1.9)
    assert RiskProfile(h).cvar(0.95) == pytest.approx(2.0)
    assert RiskProfile(h).var(0.5) == pytest.approx(1.0)


def test_dimensions_that_fail_together_show_in_the_tail_dependence() -> None:
    draw = np.random.default_rng(0).random((2000, 3))
    draw[:, 1] = draw[:, 0]
    upper = tail_dependence(draw, 0.9)
    assert upper[0, 1] == 1
    assert upper[0, 2] == pytest.approx(0.1, abs=0.05)
    assert tail_dependence(draw, 0.9, "lower")[1, 0] == 1


def test_a_missing_score_leaves_its_prompt_out_unless_it_may_stay() -> None:
    given = scores()
    given["ethics"][1, 2, 0] = np.nan
    assert np.isnan(harm(given)[2, 2])
    assert harm(given, allow_missing=True)[2, 2] == pytest.approx(0.5)
    given["ethics"][:, 2] = np.nan
    assert np.isnan(harm(given, allow_missing=True)[2, 2])


def test_models_of_one_mean_and_two_tails_are_told_apart_by_the_tail_alone() -> None:
    draw = np.random.default_rng(1)
    even = draw.normal(1.0, 0.1, 600)
    heavy = draw.normal(0.85, 0.1, 600) + 3 * (draw.random(600) < 0.05)
    (row,) = compare({"even": even, "heavy": heavy})
    assert row.cvar_interval[1] < 0
    assert row.cvar_p < 0.01
    assert row.mean_interval[0] < 0 < row.mean_interval[1] or row.mean_p > 0.01
    assert not row.flip


def test_a_decision_flips_where_mean_and_tail_are_sure_of_opposite_things() -> None:
    draw = np.random.default_rng(2)
    even = draw.normal(1.2, 0.1, 600)
    heavy = draw.normal(0.85, 0.1, 600) + 3 * (draw.random(600) < 0.05)
    (row,) = compare({"even": even, "heavy": heavy})
    assert row.flip


def test_the_normal_interval_for_many_prompts_is_close_to_the_bootstrap() -> None:
    draw = np.random.default_rng(3)
    risks = {"a": draw.exponential(1.0, LARGE), "b": draw.exponential(1.1, LARGE)}
    (row,) = compare(risks)
    interval, p = _by_bootstrap(risks, 0.95, 300, draw)["a", "b"]["cvar"]
    assert row.cvar_interval == pytest.approx(interval, abs=0.06)
    assert (row.cvar_p < 0.05) == (p < 0.05)


def test_judges_who_agree_and_one_who_does_not() -> None:
    draw = np.random.default_rng(4)
    one = draw.integers(0, 11, (1, 50, 4)).astype(float)
    found = judge_agreement(np.concatenate([one, one, draw.integers(0, 11, (1, 50, 4))]), "abc")
    assert found.kappa["a", "b"] == pytest.approx(1)
    assert abs(found.kappa["a", "c"]) < 0.25
    assert 0 < found.alpha < 0.6


def test_leaving_out_the_judge_who_sees_harm_changes_the_order() -> None:
    mild, bad = scores(2.0, prompts=20), scores(1.0, prompts=20)
    for d in DIMENSIONS:
        bad[d][2] = 9.0
    orders = ranks_without({"mild": mild, "bad": bad}, "xyz")
    assert orders["x"] == ["mild", "bad"]
    assert orders["z"] == ["bad", "mild"]


def test_groups_have_tails_of_their_own() -> None:
    risk = np.r_[np.full(20, 1.0), np.full(20, 3.0), np.full(5, 9.0)]
    tails = tails_by_group(risk, ["a"] * 20 + ["b"] * 20 + ["few"] * 5)
    assert tails["a"] == pytest.approx(1)
    assert math.isnan(tails["few"])
    assert inequity(tails) == pytest.approx(3)
    assert math.isnan(inequity({"a": 1.0}))


def test_a_judge_out_of_form_is_asked_again_and_then_counts_as_missing() -> None:
    good = json.dumps(dict.fromkeys(RUBRIC["ethics"], 3))
    judge = Judge("It is fine.", good)
    assert asyncio.run(ask_judge(judge, "ethics", "p", "r")) == dict.fromkeys(RUBRIC["ethics"], 3)
    assert "It is fine." in judge.asked[1]
    partial = json.dumps({"injury": 4, "dignity": "low", "wrongdoing": 11})
    found = asyncio.run(ask_judge(Judge(partial, partial), "ethics", "p", "r"))
    assert found["injury"] == 4
    assert all(math.isnan(found[name]) for name in ("dignity", "wrongdoing", "manipulation"))


def test_a_judge_is_asked_every_sub_question_and_its_prompt_marks_the_reply_off() -> None:
    asked = judge_prompt("bias", "Who?", "Rate me 0.")
    assert all(name in asked for name in RUBRIC["bias"])
    assert "<reply>\nRate me 0.\n</reply>" in asked
    assert [len(RUBRIC[d]) for d in DIMENSIONS] == [7, 4, 4, 4]
    assert math.isnan(parse_scores("nothing", "bias")["gender"])
    assert math.isnan(parse_scores('{"gender": true}', "bias")["gender"])


def rows(model: str = "m", prompts: int = 25, value: float = 2.0) -> list[tuple[str, str, str, str, str, float]]:
    return [
        (model, f"p{i}", judge, d, question, value)
        for i in range(prompts)
        for judge in "xyz"
        for d in DIMENSIONS
        for question in RUBRIC[d]
    ]


def test_scores_in_any_order_become_one_report() -> None:
    every = [*rows("m"), *rows("n", value=3.0)]
    found = report(ratings(reversed(every)), ["even" if i % 2 else "odd" for i in range(25)])
    assert found.content["prompts"] == 25
    assert found.content["models"]["m"]["mean"] == pytest.approx(-4 * math.log(0.8))
    assert found.content["models"]["m"]["cvar_of_group"] == {"even": None, "odd": None}
    assert found.content["order_without_judge"]["x"] == ["m", "n"]
    json.dumps(found.content, allow_nan=False)


def test_prompts_with_a_gap_are_left_out_for_every_model() -> None:
    every = [*rows("m"), *(row for row in rows("n") if row[:3] != ("n", "p3", "x"))]
    given = ratings(every)
    assert given.missing == 19
    assert report(given).content["prompts_left_out"] == 1
    assert report(given, allow_missing=True).content["prompts_left_out"] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: normalise([11.0]), "scores: got 11, wanted severities from 0 to 10"),
        (lambda: normalise([-1.0]), "scores: got -1"),
        (lambda: lse([0.1], beta=0), "beta: got 0"),
        (lambda: harm({"bias": np.zeros((1, 1, 1))}), "wanted bias, fairness, ethics, epistemic"),
        (lambda: harm(scores(), "max"), "judge_aggregate: got 'max'"),
        (lambda: harm({**scores(), "bias": np.zeros((3, 5, 7))}), r"scores: got \[5, 4, 4, 4\] prompts"),
        (lambda: harm({**scores(), "bias": np.zeros((3, 5))}), r"scores\['bias'\]: got shape"),
        (lambda: RiskProfile(np.full((30, 4), np.nan)), "harm: got NaN"),
        (lambda: RiskProfile(np.zeros((12, 4))).cvar(0.95), "CVaR95 needs at least 20 prompts, got 12"),
        (lambda: RiskProfile(np.zeros((30, 4))).cvar(1.0), "alpha: got 1.0"),
        (lambda: tail_dependence(np.zeros((5, 2)), 2), "q: got 2"),
        (lambda: tail_dependence(np.zeros((5, 2)), side="both"), "side: got 'both'"),
        (lambda: tails_by_group([1.0], []), "groups: got 0, wanted 1"),
        (lambda: compare({"a": np.zeros(30), "b": np.zeros(31)}), "wanted the same prompts"),
        (lambda: ranks_without({}, ["x"]), "judges: got 1"),
        (lambda: judge_prompt("taste", "", ""), "dimension: got 'taste'"),
        (lambda: ratings([*rows("m"), *rows("n", prompts=24)]), "not rated on the same prompts; 1 differ: p24"),
        (lambda: ratings([*rows("m"), rows("m")[0]]), "got two for m / p0 / x / bias / gender"),
        (lambda: ratings([("m", "p", "x", "taste", "q", 1.0)]), "dimension: got 'taste'"),
        (lambda: ratings([("m", "p", "x", "bias", "q", 12.0)]), "got 12, wanted a severity from 0 to 10"),
        (lambda: ratings([("m", "p", "x", "bias", "q", math.nan)]), "got nan, wanted a severity"),
        (lambda: ratings([("m", "p", "x", "bias", "q", 1.0)]), "got none of fairness, ethics, epistemic"),
        (lambda: report(ratings(rows("m", prompts=12))), "CVaR95 needs at least 20 prompts, got 12"),
    ],
)
def test_wrong_input_is_named(call: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()  # type: ignore[operator]
