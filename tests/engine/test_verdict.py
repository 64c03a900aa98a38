"""From units to a verdict: which seeds count, what each bar asks, what forbids an answer, what is flagged."""

from dataclasses import replace

import numpy as np
import pytest

from assay.engine import contrasts, pairing
from assay.engine.contrasts import differences
from assay.engine.pairing import pair
from assay.engine.trial import Bar, Bars, Cost, Mirror, Verdict
from assay.engine.verdicts import RULE, badge, verdict, with_holm
from tests.engine.judging import changed, from_differences, mutated, trial, unit, units

WINS = [1.0, 1.25, 0.75, 1.5, 1.0, 0.5, 1.25, 1.0, 0.75, 1.5]
GOOD = from_differences(WINS, WINS)


def judged(bar, found, **changes):
    better = changes.pop("better", "higher")
    return verdict(trial(bar, better=better, **changes), found, plan=False)


def contrast_of(bar, *, better="higher", **arms):
    setting = trial(bar, better=better)
    return differences(setting, bar, pair(setting, units(**({"placebo": arms["method"]} | arms)))).tolist()


# --- contrasts, by hand ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bar", "better", "method", "versus", "expected"),
    [
        (Bar(absolute=0.5), "higher", [3, 2, 1], [1, 2, 3], [1.5, -0.5, -2.5]),
        (Bar(absolute=0.5), "lower", [3, 2, 1], [1, 2, 3], [-2.5, -0.5, 1.5]),
        (Bar(relative=0.25), "higher", [6, 4, 5], [4, 4, 4], [1.0, -1.0, 0.0]),
        (Bar(relative=0.25), "lower", [2, 3, 4], [4, 4, 4], [1.0, 0.0, -1.0]),
        (Bar(relative=0.25), "higher", [-2, -3, -4], [-4, -4, -4], [1.0, 0.0, -1.0]),
        (Bar(relative=-0.25), "lower", [4, 5, 6], [4, 4, 4], [1.0, 0.0, -1.0]),
        (Bar(within=0.5), "higher", [1, 2, 3], [2, 2, 2], [-0.5, 0.5, 1.5]),
        (Bar(within=0.5), "lower", [1, 2, 3], [2, 2, 2], [1.5, 0.5, -0.5]),
    ],
)
def test_a_difference_is_positive_where_the_bar_is_cleared(bar, better, method, versus, expected):
    assert contrast_of(bar, better=better, method=method, baseline=versus) == expected


def test_a_bar_without_versus_compares_with_the_constant():
    assert contrast_of(Bar(versus=None, absolute=1.5), method=[1, 2, 3], baseline=[9, 9, 9]) == [-0.5, 0.5, 1.5]
    at_most = Bar(versus=None, absolute=1.5)
    assert contrast_of(at_most, better="lower", method=[1, 2, 3], baseline=[9, 9, 9]) == [0.5, -0.5, -1.5]


def test_a_named_measure_has_its_own_direction():
    bar = Bar(within=0.5, metric="errors", better="lower")
    found = [replace(u, extra={"errors": {"method": 3.0, "baseline": 2.0, "placebo": 0.0}[u.arm]}) for u in GOOD]
    assert differences(trial(bar), bar, pair(trial(bar), found)).tolist() == [-0.5] * len(WINS)


def test_cost_is_compared_on_logs_and_on_the_plain_scale_where_it_is_zero():
    bar = Bar(at_most_cost=2.0, cost_key="model_calls")
    spent = {"method": 10, "baseline": 20, "placebo": 10}
    found = [replace(u, cost=Cost(model_calls=spent[u.arm])) for u in GOOD]
    c = differences(trial(bar), bar, pair(trial(bar), found))
    assert c == pytest.approx(np.log(4.0))
    free = changed(found, "method", range(10), cost=Cost(model_calls=0))
    assert differences(trial(bar), bar, pair(trial(bar), free)) == pytest.approx(40.0)


def test_seconds_that_an_arm_did_not_count_are_those_of_the_engines_clock():
    bar = Bar(at_most_cost=1.0)
    found = [replace(u, seconds=2.0 if u.arm == "method" else 4.0) for u in GOOD]
    assert differences(trial(bar), bar, pair(trial(bar), found)) == pytest.approx(np.log(2.0))


def test_a_rounding_error_is_no_difference():
    # 0.3 - 0.1 - 0.2 is -2.8e-17 and 0.55 - 0.5 - 0.05 is 4.2e-17: neither clears nor misses anything.
    found = units(method=[0.55] * 8, baseline=[0.5] * 8, placebo=[0.0] * 8)
    result = judged(Bar(absolute=0.05), found)
    assert result.outcome == "inconclusive"
    assert result.contrasts[0].per_seed == (0.0,) * 8
    assert "constant" in result.flags


def test_a_relative_bar_needs_a_baseline_away_from_zero():
    for baseline in ([1.0, -1.0] * 5, [0.0] * 10):
        result = judged(Bar(relative=0.2), units(method=WINS, baseline=baseline, placebo=[0.0] * 10))
        assert (result.outcome, result.p) == ("inconclusive", 1.0)
        assert result.reason == "relative bar needs a baseline away from zero: use absolute"


# --- the rule ----------------------------------------------------------------------------------------------------


def test_a_clear_win_over_baseline_and_placebo_holds():
    result = judged(Bar(absolute=0.25), GOOD)
    assert result.outcome == "holds"
    assert result.n == 10
    assert result.p == 2**-10
    assert [c.name for c in result.contrasts] == [
        "accuracy better than baseline by 0.25",
        "accuracy better than placebo",
    ]
    assert result.contrasts[0].per_seed == tuple(w - 0.25 for w in WINS)
    assert result.rule == RULE


def test_lower_is_better_turns_the_bar_round():
    lower = units(method=[-w for w in WINS], baseline=[0.0] * 10, placebo=[0.0] * 10)
    assert judged(Bar(absolute=0.25), lower, better="lower").outcome == "holds"
    assert judged(Bar(absolute=0.25), lower).outcome == "fails"


def test_an_effect_below_the_bar_fails_whatever_the_placebo_does():
    found = from_differences([-w for w in WINS], WINS, size=2.0)
    result = judged(Bar(absolute=2.0), found)
    assert result.outcome == "fails"
    assert result.reason.startswith("misses the bar: accuracy better than baseline by 2, -1.05 [")
    assert result.p > 0.99


def test_a_method_that_does_not_beat_its_placebo_does_not_hold():
    result = judged(Bar(absolute=0.0), from_differences(WINS, [0.25, -0.25] * 5))
    assert result.outcome == "inconclusive"
    assert result.reason.startswith("clears the bar but not the placebo: accuracy better than placebo")


def test_a_method_worse_than_its_placebo_does_not_fail_either():
    result = judged(Bar(absolute=0.0), from_differences(WINS, [-w for w in WINS]))
    assert result.outcome == "inconclusive"
    assert "clears the bar but not the placebo" in result.reason


def test_a_trial_without_placebo_needs_its_bar_alone():
    found = [u for u in GOOD if u.arm != "placebo"]
    result = judged(Bar(absolute=0.0), found, placebo=None, note="there is no idea to take out")
    assert (result.outcome, len(result.contrasts)) == ("holds", 1)
    assert result.reason == "clears the bar on 10 seeds"


def test_all_bars_must_be_cleared_and_one_missed_fails():
    both = Bars(Bar(absolute=0.25), Bar(within=0.5, versus="rival"))
    close = units(rival=[w + 0.25 for w in WINS])
    far = units(rival=[w + 2.0 + w / 4 for w in WINS])
    assert judged(both, GOOD + close).outcome == "holds"
    assert judged(both, GOOD + far).outcome == "fails"
    assert judged(both, GOOD).reason == "10 of 10 seeds incomplete"


def test_a_cost_bar_can_fail_a_trial():
    bars = Bars(Bar(absolute=0.25), Bar(at_most_cost=1.5, cost_key="tokens_out"))
    spent = {"method": 40, "baseline": 20, "placebo": 40}
    found = [replace(u, cost=Cost(tokens_out=spent[u.arm] + u.seed)) for u in GOOD]
    result = judged(bars, found)
    assert result.outcome == "fails"
    assert "tokens_out at most 1.5 x baseline" in result.reason


def test_the_interval_over_the_bar_is_inconclusive_and_says_how_many_seeds_are_needed():
    c = [1.0, -0.75, 1.5, -0.5, 0.75, 1.25, -1.0, 0.5]
    result = verdict(trial(Bar(absolute=0.0)), from_differences(c, [5.0] * 8))
    assert result.outcome == "inconclusive"
    assert result.reason.startswith("the interval spans the bar: accuracy better than baseline, +0.344 [-")
    assert result.seeds_needed.low < result.seeds_needed.value < result.seeds_needed.high
    low, value, high = (getattr(result.seeds_needed, name) for name in ("low", "value", "high"))
    assert result.reason.endswith(f"; ≈ {value} seeds ({low}–{high}) would be needed")


def test_no_number_of_seeds_helps_an_effect_below_the_bar():
    c = [-1.0, 0.75, -1.5, 0.5, -0.75, -1.25, 1.0, 0.5]
    result = judged(Bar(absolute=0.0), from_differences(c, [5.0] * 8))
    assert result.seeds_needed is None
    assert result.reason.endswith(
        "more seeds will not help: the effect seen is below the bar (accuracy better than baseline)"
    )


def test_a_fixed_corpus_says_when_no_more_cases_exist():
    c = [1.0, -0.75, 1.5, -0.5, 0.75, 1.25, -1.0, 0.5]
    found = from_differences(c, [5.0] * 8)
    assert verdict(trial(pairs="case"), found, cases=8, plan=False).reason.endswith("but no more cases exist (8)")


def test_skewed_differences_on_which_the_tests_disagree_are_named():
    # Mostly well above, once far below: BCa alone would let the mean clear zero.
    c = [1.0, 1.25, 1.5, 1.0, 1.25, 1.5, 1.0, 1.25, 1.5, -1.0]
    result = judged(Bar(absolute=0.0), from_differences(c, [5.0] * 10))
    assert result.contrasts[0].low > 0 > result.contrasts[0].boot_t_low
    assert result.outcome == "inconclusive"
    assert result.reason.startswith("tests disagree (skewed differences)")
    assert "skewed" in result.flags


def test_limits_are_kept_on_every_seed_or_fail():
    bars = Bars(Bar(absolute=0.0), Bar(limit=0.0, metric="off plan", better="lower"))
    kept = [replace(u, extra={"off plan": 0.0}) for u in GOOD]
    assert judged(bars, kept).outcome == "holds"
    broken = changed(kept, "method", [3], extra={"off plan": 1.0})
    result = judged(bars, broken)
    assert (result.outcome, result.reason) == (
        "fails",
        "limit broken on 1 of 10 seeds: off plan at most 0 on every seed",
    )


def test_a_limit_broken_on_a_seed_that_does_not_count_is_broken_all_the_same():
    bars = Bars(Bar(absolute=0.0), Bar(limit=0.0, metric="off plan", better="lower"))
    found = [replace(u, extra={"off plan": float(u.arm == "method" and u.seed == 3)}) for u in GOOD]
    found = changed(found, "placebo", [3], status="timeout", value=None)
    assert judged(bars, found).outcome == "fails"


def test_a_reported_trial_shows_its_intervals_and_is_not_judged():
    result = judged(None, GOOD)
    assert (result.outcome, result.p, len(result.contrasts)) == ("reported", 1.0, 2)


# --- incomplete seeds and crashes ---------------------------------------------------------------------------------


def test_a_crash_is_a_seed_less_and_never_a_zero():
    found = changed(GOOD, "placebo", [4], status="error", value=None)
    result = judged(Bar(absolute=0.25), found)
    assert (result.outcome, result.n, result.incomplete) == ("holds", 9, 1)
    assert result.contrasts[1].per_seed == tuple(w for i, w in enumerate(WINS) if i != 4)


def test_exactly_a_fifth_of_the_seeds_may_be_incomplete():
    two = changed(GOOD, "placebo", [0, 1], status="timeout", value=None)
    three = changed(GOOD, "placebo", [0, 1, 2], status="timeout", value=None)
    assert judged(Bar(absolute=0.25), two).outcome == "holds"
    result = judged(Bar(absolute=0.25), three)
    assert (result.outcome, result.reason, result.p) == ("inconclusive", "3 of 10 seeds incomplete", 1.0)


def test_a_planned_seed_without_any_unit_is_incomplete():
    result = verdict(trial(Bar(absolute=0.25)), GOOD, planned=range(13), plan=False)
    assert result.reason == "3 of 13 seeds incomplete"


def test_six_seeds_are_the_fewest():
    six = [u for u in GOOD if u.seed < 6]
    assert judged(Bar(absolute=0.25), six).outcome == "holds"
    result = judged(Bar(absolute=0.25), [u for u in six if u.seed < 5])
    assert (result.outcome, result.reason) == ("inconclusive", "needs >= 6 seeds, has 5")
    assert judged(Bar(absolute=0.25), []).reason == "no seed was run"


@pytest.mark.parametrize("status", ["error", "timeout", "oom", "killed", "invalid"])
def test_a_method_that_crashes_twice_where_the_baseline_does_not_cannot_hold(status):
    once = changed(GOOD, "method", [2], status=status, value=None)
    twice = changed(GOOD, "method", [2, 5], status=status, value=None)
    assert judged(Bar(absolute=0.25), once).outcome == "holds"
    assert "method failed: on 1 seed where the baseline did not" in judged(Bar(absolute=0.25), once).flags
    result = judged(Bar(absolute=0.25), twice)
    assert (result.outcome, result.p) == ("inconclusive", 1.0)
    assert result.reason == "clears the bar, but the method failed on 2 seeds that the baseline could do"


def test_crashes_do_not_save_a_method_from_failing():
    found = from_differences([-w for w in WINS], WINS, size=2.0)
    assert judged(Bar(absolute=2.0), changed(found, "method", [2, 5], status="error", value=None)).outcome == "fails"


def test_seeds_that_the_baseline_could_not_do_either_are_no_crashes_of_the_method():
    found = changed(GOOD, "method", [2, 5], status="error", value=None)
    result = judged(Bar(absolute=0.25), changed(found, "baseline", [2, 5], status="error", value=None))
    assert (result.outcome, result.incomplete) == ("holds", 2)


def test_cancelled_and_unpaired_units_are_incomplete_but_no_crashes():
    found = changed(GOOD, "method", [2], status="cancelled", value=None)
    result = judged(Bar(absolute=0.25), changed(found, "method", [5], status="unpaired"))
    assert (result.outcome, result.n) == ("holds", 8)
    assert not any(f.startswith("method failed") for f in result.flags)


def test_a_measure_that_a_bar_reads_and_the_method_leaves_out_is_a_failure_of_the_method():
    bars = Bars(Bar(absolute=0.25), Bar(within=0.1, metric="recall"))
    found = [replace(u, extra={"recall": 0.5}) for u in GOOD]
    assert judged(bars, found).outcome == "holds"
    for missing in ({}, {"recall": float("nan")}):
        result = judged(bars, changed(found, "method", [1, 2], extra=missing))
        assert (result.outcome, result.incomplete) == ("inconclusive", 2)


def test_headroom_drops_a_seed_for_all_arms_and_a_third_is_the_most():
    three = [replace(u, status="no_headroom", value=None) if u.seed < 3 else u for u in GOOD]
    result = judged(Bar(absolute=0.25), three)
    assert (result.outcome, result.n, result.incomplete) == ("holds", 7, 0)
    four = [replace(u, status="no_headroom", value=None) if u.seed < 4 else u for u in GOOD]
    assert judged(Bar(absolute=0.25), four).reason == "no headroom: 4 of 10 seeds cannot show a difference"
    few = [replace(u, status="no_headroom", value=None) if u.seed < 2 else u for u in GOOD if u.seed < 7]
    assert judged(Bar(absolute=0.25), few).reason == "no headroom: 2 of 7 seeds cannot show a difference"


# --- which units are pairs -----------------------------------------------------------------------------------------


def test_arms_are_joined_by_seed_in_whatever_order_they_come():
    found = units(method=[10.0, 20.0, 30.0], baseline=[1.0, 2.0, 3.0], placebo=[0.0] * 3)
    pairs = pair(trial(), found[::-1])
    assert differences(trial(), Bar(absolute=0.0), pairs).tolist() == [9.0, 18.0, 27.0]


def test_arms_that_saw_different_worlds_are_not_a_pair():
    found = [replace(u, world_digest=f"world {u.seed}") for u in GOOD]
    assert judged(Bar(absolute=0.25), found).n == 10
    assert judged(Bar(absolute=0.25), changed(found, "placebo", [1], world_digest="world 2")).incomplete == 1


def test_quick_units_are_never_mixed_into_a_verdict():
    quick = [replace(u, quick=True, value=-9.0 if u.arm == "method" else 0.0) for u in GOOD]
    assert judged(Bar(absolute=0.25), GOOD + quick).outcome == "holds"
    assert judged(Bar(absolute=0.25), quick).reason == "no seed was run"
    preview = verdict(trial(Bar(absolute=0.25)), GOOD + quick, quick=True, plan=False)
    assert (preview.outcome, preview.flags[0]) == ("fails", "quick")


def test_units_of_changed_code_are_never_mixed_in():
    old = [replace(u, fingerprint="old", started=1.0) for u in GOOD]
    new = [replace(u, fingerprint="new", started=2.0) for u in GOOD if u.seed < 7]
    setting = trial(Bar(absolute=0.25))
    now = verdict(setting, old + new, fingerprint="new", planned=range(10), plan=False)
    assert (now.n, now.incomplete, now.flags) == (7, 3, ())
    before = verdict(setting, old + new, fingerprint="newer", plan=False)
    assert (before.n, before.flags) == (7, ("stale",))
    assert verdict(setting, old + new, plan=False).n == 7
    assert "stale" in verdict(replace(setting, version=2), old, plan=False).flags


def test_the_last_attempt_counts():
    again = [replace(u, attempt=1, value=-5.0) for u in GOOD if u.arm == "method"]
    assert judged(Bar(absolute=0.25), [*again, *GOOD]).outcome == "fails"


def test_a_pair_comes_from_one_machine():
    here = [replace(u, machine_id="here") for u in GOOD]
    assert judged(Bar(absolute=0.25), changed(here, "baseline", range(5), machine_id="there")).flags == (
        "other machine: 5 seeds measured on more than one",
    )
    there = [replace(u, machine_id="there", value=None, status="error") for u in GOOD]
    both = judged(Bar(absolute=0.25), there + here)
    assert (both.outcome, both.flags) == ("holds", ())


def test_seeds_kept_for_choosing_constants_are_refused():
    with pytest.raises(ValueError, match="seed 1003 is reserved"):
        verdict(trial(), [*GOOD, unit("method", 1003, 1.0)])


# --- flags and mirrors ---------------------------------------------------------------------------------------------


def test_arms_with_another_budget_are_flagged_with_both_figures():
    spent = {"method": 100, "baseline": 90, "placebo": 80}
    found = [replace(u, cost=Cost(tokens_in=spent[u.arm])) for u in GOOD]
    assert judged(Bar(absolute=0.25), found).flags == ("unequal budget: tokens 80 in placebo, 100 in method",)


def test_budgets_that_a_trial_names_are_checked_and_must_be_reported():
    calls = {"method": 12.0, "baseline": 12.0, "placebo": 12.0}
    found = [replace(u, extra={"oracle calls": calls[u.arm]}) for u in GOOD]
    assert judged(Bar(absolute=0.25), found, budget=("oracle calls",)).flags == ()
    some = changed(found, "baseline", range(10), extra={"oracle calls": 20.0})
    assert judged(Bar(absolute=0.25), some, budget=("oracle calls",)).flags == (
        "unequal budget: oracle calls 20 in baseline, 12 in method",
    )
    none = changed(found, "placebo", [0], extra={})
    assert judged(Bar(absolute=0.25), none, budget=("oracle calls",)).flags == (
        "unequal budget: oracle calls not reported by placebo",
    )


def test_seconds_alone_are_no_unequal_budget():
    found = [replace(u, cost=Cost(seconds=5.0 if u.arm == "method" else 1.0)) for u in GOOD]
    assert judged(Bar(absolute=0.25), found).flags == ()


def test_floor_and_ceiling_say_that_the_world_shows_no_difference():
    found = units(method=[50.0] * 8, baseline=[99.0] * 8, placebo=[10.0] * 8, oracle=[100.0] * 8, floor=[49.5] * 8)
    result = judged(Bar(absolute=0.0), found, oracle="oracle", floor="floor")
    assert result.flags == ("constant", "ceiling: baseline within 2 % of oracle", "floor: method within 2 % of floor")
    lower = [replace(u, value=200.0 - u.value) for u in found]
    assert (
        "ceiling: baseline within 2 % of oracle"
        in judged(Bar(absolute=0.0), lower, better="lower", oracle="oracle", floor="floor").flags
    )


def test_a_repeated_unit_that_differed_is_flagged_with_the_difference():
    result = verdict(trial(), GOOD, nondeterministic=0.125, plan=False)
    assert result.flags == ("nondeterministic: repeated units differ by up to 0.125",)


def test_a_mirror_may_read_a_named_measure():
    found = [replace(u, extra={"calls": 12.0 if u.arm == "method" else 4.0}) for u in GOOD]
    mirror = Mirror("3 x the calls", 3.0, ("method", "baseline"), metric="calls")
    shown = judged(Bar(absolute=0.25), found, mirrors=(mirror,)).mirrors[0]
    assert (shown.estimate, shown.low, shown.high) == (3.0, 3.0, 3.0)


def test_mirrors_show_the_headline_as_measured():
    ratio, difference = (
        Mirror("2.4 x", 2.4, ("method", "baseline")),
        Mirror("+1", 1.0, ("method", "baseline"), "difference"),
    )
    found = units(method=[4.0, 5.0, 6.0, 4.0, 5.0, 6.0], baseline=[2.0] * 6, placebo=[2.0] * 6)
    first, second = judged(Bar(absolute=0.0), found, mirrors=(ratio, difference)).mirrors
    assert (first.estimate, second.estimate) == (2.5, 3.0)
    assert 2.0 < first.low < 2.5 < first.high < 3.0
    assert 2 * first.low == pytest.approx(second.low + 2.0)  # the same draws, divided by a constant
    zero = Mirror("2.4 x", 2.4, ("method", "placebo"))
    flat = units(method=[4.0] * 6, baseline=[2.0] * 6, placebo=[0.0] * 6)
    assert judged(Bar(absolute=0.0), flat, mirrors=(zero, ratio)).mirrors[0].estimate is None
    assert judged(Bar(absolute=0.0), flat, mirrors=(ratio,)).mirrors[0].low == 2.0


def test_a_mirror_may_use_arms_that_are_not_judged():
    mirror = Mirror("3 x", 3.0, ("rival", "baseline"))
    found = [*from_differences(WINS, WINS, size=1.0), *units(rival=[3.0] * 5)]
    found = [replace(u, value=u.value + 1.0) if u.arm == "baseline" else u for u in found]
    shown = judged(Bar(absolute=0.0), found, mirrors=(mirror,)).mirrors[0]
    assert (shown.estimate, shown.low, shown.high) == (3.0, 3.0, 3.0)


# --- many trials ---------------------------------------------------------------------------------------------------


def test_holm_counts_judged_trials_only_and_the_badge_tells_which_survive():
    strong, weak = judged(Bar(absolute=0.25), GOOD), judged(Bar(absolute=0.25), [u for u in GOOD if u.seed < 6])
    reported, unrun = judged(None, GOOD), Verdict("not run", "needs chromium")
    adjusted = with_holm([strong, weak, reported, unrun])
    assert [v.p_holm for v in adjusted] == [2 * 2**-10, 2**-6, None, None]
    assert badge(adjusted[0], 2) == "holds (also after Holm over 2)"
    assert badge(with_holm([weak, weak])[0], 2) == "holds (single)"
    assert badge(adjusted[2], 2) == "reported"


def test_q_values_are_those_of_benjamini_and_hochberg_over_judged_trials():
    from statsmodels.stats.multitest import multipletests

    few = [judged(Bar(absolute=0.25), [u for u in GOOD if u.seed < n]) for n in (10, 8, 7, 6)]
    open_ended = judged(Bar(absolute=0.0), from_differences(WINS, [0.25, -0.25] * 5))
    found = with_holm([*few, open_ended, judged(None, GOOD)])
    p = [v.p for v in found[:5]]
    assert [v.q for v in found[:5]] == pytest.approx(multipletests(p, method="fdr_bh")[1], abs=1e-12)
    assert [v.p_holm for v in found[:5]] == pytest.approx(multipletests(p, method="holm")[1], abs=1e-12)
    assert found[5].q is None


# --- mutants: a rule with one line changed must not pass for the rule -----------------------------------------------


def caught(test, function, old, new):
    with mutated(function, old, new), pytest.raises(AssertionError):
        test()


def test_a_bar_that_ignores_lower_is_better_is_caught():
    caught(test_lower_is_better_turns_the_bar_round, contrasts.sign, '== "higher" else -1', '== "higher" else 1')


def test_a_rule_that_ignores_the_placebo_is_caught():
    caught(
        test_a_method_that_does_not_beat_its_placebo_does_not_hold,
        contrasts.placebo_bar,
        "return None if trial.placebo is None else Bar",
        "return None if True else Bar",
    )


def test_counting_a_crash_as_zero_is_caught():
    with mutated(pairing.read, "return float(value) if", "return float(value or 0.0) if True or"):
        caught(test_a_crash_is_a_seed_less_and_never_a_zero, pairing._measured, 'unit.status != "ok"', "False")


def test_dropping_incomplete_seeds_without_counting_them_is_caught():
    caught(
        test_exactly_a_fifth_of_the_seeds_may_be_incomplete,
        pairing.pair,
        "incomplete=tuple(incomplete)",
        "incomplete=()",
    )


def test_joining_arms_of_different_seeds_is_caught():
    caught(
        test_arms_that_saw_different_worlds_are_not_a_pair,
        pairing._complete,
        "and len({row[a].world_digest for a in arms}) == 1",
        "",
    )


def test_pairing_arms_out_of_step_is_caught():
    caught(
        test_arms_are_joined_by_seed_in_whatever_order_they_come,
        pairing.Pairs.read,
        "for seed in self.complete",
        "for seed in self.complete[:: 1 if arm == 'method' else -1]",
    )


def test_mixing_quick_units_in_is_caught():
    caught(test_quick_units_are_never_mixed_into_a_verdict, pairing.pair, "if u.quick == quick", "if True")


def test_accepting_units_of_old_code_is_caught():
    caught(
        test_units_of_changed_code_are_never_mixed_in,
        pairing.one_version,
        "if version(u) == version(latest)",
        "if True",
    )
