"""What no verdict may depend on, over generated trials."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assay.engine.trial import Bar
from assay.engine.verdicts import verdict
from tests.engine.judging import trial, units

# Quarters: sums and scalings by powers of two are exact, so invariance can be asked for to the last bit.
QUARTERS = st.integers(-40, 40).map(lambda k: k / 4)
ROWS = st.integers(6, 10).flatmap(lambda n: st.lists(st.tuples(QUARTERS, QUARTERS, QUARTERS), min_size=n, max_size=n))
BARS = st.sampled_from([Bar(absolute=0.0), Bar(absolute=1.0), Bar(within=0.5)])
quickly = settings(max_examples=60, deadline=None)


def judged(rows, bar, better="higher"):
    method, baseline, placebo = zip(*rows)
    return verdict(trial(bar, better=better), units(method=method, baseline=baseline, placebo=placebo), plan=False)


def figures(result):
    return [(c.estimate, c.low, c.high, c.boot_t_low, c.boot_t_high, c.p_holds, c.p_fails) for c in result.contrasts]


@given(ROWS, BARS, st.randoms())
@quickly
def test_the_order_of_the_seeds_does_not_matter(rows, bar, random):
    shuffled = random.sample(rows, len(rows))
    assert figures(judged(rows, bar)) == figures(judged(shuffled, bar))
    assert judged(rows, bar).outcome == judged(shuffled, bar).outcome


@given(ROWS, BARS)
@quickly
def test_negating_the_values_and_the_direction_changes_nothing(rows, bar):
    negated = [tuple(-v for v in row) for row in rows]
    plain, mirror = judged(rows, bar), judged(negated, bar, better="lower")
    assert (plain.outcome, figures(plain)) == (mirror.outcome, figures(mirror))


@given(ROWS, BARS, st.sampled_from([0.25, 8.0, 1024.0]), st.integers(-1000, 1000))
@quickly
def test_the_unit_and_zero_of_the_metric_do_not_matter_where_the_bar_moves_along(rows, bar, scale, shift):
    scaled = [tuple(v * scale + shift for v in row) for row in rows]
    moved = replace(bar, **{bar.kind: bar.size * scale})
    plain, other = judged(rows, bar), judged(scaled, moved)
    assert plain.outcome == other.outcome
    for mine, theirs in zip(figures(plain), figures(other)):
        assert [f * scale for f in mine[:5]] == pytest.approx(theirs[:5], rel=1e-12, abs=1e-12)
        assert mine[5:] == theirs[5:]


@given(ROWS, st.integers(-1000, 1000), BARS)
@quickly
def test_a_constant_added_to_all_arms_changes_no_absolute_verdict(rows, shift, bar):
    assert figures(judged(rows, bar)) == figures(judged([tuple(v + shift for v in row) for row in rows], bar))


@given(ROWS, BARS)
@quickly
def test_no_trial_holds_and_fails_and_p_has_its_range(rows, bar):
    result = judged(rows, bar)
    assert 2.0 ** -len(rows) <= result.p <= 1.0
    bar_contrast = result.contrasts[0]
    above = bar_contrast.low > 0 and bar_contrast.p_holds <= 0.025 and bar_contrast.boot_t_low > 0
    below = bar_contrast.high < 0 and bar_contrast.p_fails <= 0.025 and bar_contrast.boot_t_high < 0
    assert not (above and below)
    assert (result.outcome == "fails") == below
    assert result.outcome != "holds" or above


@given(ROWS, BARS)
@quickly
def test_intervals_contain_the_estimate_and_lie_within_the_differences(rows, bar):
    for c in judged(rows, bar).contrasts:
        assert c.low <= c.estimate <= c.high
        assert min(c.per_seed) <= c.boot_t_low <= c.estimate <= c.boot_t_high <= max(c.per_seed)
        assert min(c.per_seed) <= c.low and c.high <= max(c.per_seed)


@given(ROWS, st.integers(1, 5))
@quickly
def test_a_better_method_never_fares_worse(rows, quarters):
    order = ["fails", "inconclusive", "holds"]
    better = [(m + quarters, b, p) for m, b, p in rows]
    before, after = judged(rows, Bar(absolute=1.0)), judged(better, Bar(absolute=1.0))
    assume(len(set(before.contrasts[0].per_seed)) > 1)
    assert order.index(after.outcome) >= order.index(before.outcome)
