"""From paired measures to the differences that are tested: one number a seed, positive where the bar is cleared.

With s = +1 where higher is better, else -1, and m, b the values of the method and of what it is compared with:

    absolute A       s (m - b) - A            with `versus=None`: s (m - A)
    relative r       s (m - b) - r |b|        linear, so it tests the ratio of means without dividing
    within w         s (m - b) + w
    at_most_cost k   log(k cost(b)) - log(cost(m)), or k cost(b) - cost(m) where a cost is zero
    limit L          s (m - L), judged seed by seed

The placebo's contrast is an absolute bar of 0 on the trial's own metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assay.engine.pairing import Pairs, read
from assay.engine.stats import TOLERANCE, Floats, Tests, clears, misses, three_tests
from assay.engine.trial import Bar, Contrast, Trial


class NotComparable(ValueError):
    """The measured values do not allow this kind of bar."""


@dataclass(frozen=True)
class Compared:
    """One contrast and what the tests say of it. The placebo's is never `missed`: it cannot make a trial fail."""

    bar: Bar
    contrast: Contrast
    cleared: bool
    missed: bool


@dataclass(frozen=True)
class Comparison:
    """All contrasts of a trial: its bars in their order, then the placebo's. `problem` names a bar that the
    values do not allow, which is then missing from `found`."""

    found: tuple[Compared, ...]
    problem: str | None = None

    @property
    def tested(self) -> list[Contrast]:
        """The contrasts that rest on differences."""
        return [f.contrast for f in self.found if f.bar.kind != "limit"]


def compare(trial: Trial, pairs: Pairs) -> Comparison:
    """Put every contrast of `trial` to the three tests.

    A reported trial is compared with its baseline at no effect. With fewer than two complete seeds only limits
    can be seen.
    """
    control = placebo_bar(trial)
    bars = trial.bars or (Bar(versus=trial.baseline, absolute=0.0),)
    wanted = [bar for bar in (*bars, control) if bar is not None]
    rows, problem = all_differences(trial, wanted, pairs)
    found = [_limit(trial, bar, pairs) for bar in bars if bar.kind == "limit"]
    if rows:
        tests = three_tests(np.stack([c for _, c in rows]), resampling_seed(trial))
        above, below = clears(tests), misses(tests)
        for i, (bar, c) in enumerate(rows):
            missed = bool(below[i]) and bar is not control
            found.append(Compared(bar, _contrast(trial, bar, c, tests, i), bool(above[i]), missed))
    order = [id(bar) for bar in wanted]
    return Comparison(tuple(sorted(found, key=lambda f: order.index(id(f.bar)))), problem)


def all_differences(trial: Trial, bars: Sequence[Bar], pairs: Pairs) -> tuple[list[tuple[Bar, Floats]], str | None]:
    """The differences of every bar that is tested on them, and why one of them is missing, if one is."""
    rows: list[tuple[Bar, Floats]] = []
    problem = None
    for bar in bars:
        if bar.kind != "limit" and len(pairs.complete) >= 2:
            try:
                rows.append((bar, differences(trial, bar, pairs)))
            except NotComparable as impossible:
                problem = str(impossible)
    return rows, problem


def placebo_bar(trial: Trial) -> Bar | None:
    """The placebo as a bar that must be cleared, or None for a trial that has none."""
    return None if trial.placebo is None else Bar(versus=trial.placebo, absolute=0.0)


def resampling_seed(trial: Trial) -> int:
    """Seed of the bootstrap weights and random flips: the paper's id, so that a verdict repeats exactly."""
    return int(trial.paper.replace(".", ""))


def sign(trial: Trial, bar: Bar) -> int:
    """+1 where more of what `bar` looks at is better, else -1."""
    return 1 if (bar.better or trial.metric.better) == "higher" else -1


def differences(trial: Trial, bar: Bar, pairs: Pairs) -> Floats:
    """The differences of `bar` on the complete seeds, shape (n,). A rounding error of a value counts as 0.

    Raises NotComparable for a relative bar on a baseline that changes sign or vanishes.
    """
    m = np.array(pairs.read(trial.method, bar))
    if bar.versus is None:
        return _rounded(sign(trial, bar) * (m - bar.size), m, np.full_like(m, bar.size))
    b = np.array(pairs.read(bar.versus, bar))
    if bar.kind == "at_most_cost":
        return _cost_differences(m, b, bar.size)
    gain = sign(trial, bar) * (m - b)
    if bar.kind == "absolute":
        return _rounded(gain - bar.size, m, b, np.full_like(m, bar.size))
    if bar.kind == "within":
        return _rounded(gain + bar.size, m, b, np.full_like(m, bar.size))
    one_sign = (b >= 0).all() or (b <= 0).all()
    if not one_sign or np.abs(b).mean() <= TOLERANCE:
        raise NotComparable("relative bar needs a baseline away from zero: use absolute")
    return _rounded(gain - bar.size * np.abs(b), m, b)


def _cost_differences(m: Floats, b: Floats, factor: float) -> Floats:
    if (m > 0).all() and (b > 0).all():
        return _rounded(np.log(factor * b) - np.log(m), np.ones_like(m))
    return _rounded(factor * b - m, m, b)


def _rounded(c: Floats, *values: Floats) -> Floats:
    """Differences smaller than the rounding error of the values they come from are none at all."""
    scale = np.max([np.abs(v).max(initial=0.0) for v in values])
    return np.where(np.abs(c) <= TOLERANCE * scale, 0.0, c)


def _limit(trial: Trial, bar: Bar, pairs: Pairs) -> Compared:
    """A limit seen on every seed that the method finished, also where another arm did not.

    `low` and `high` are the worst and the best seed; p is that of so many seeds all on one side by chance.
    """
    units = [row[trial.method] for row in pairs.rows.values() if trial.method in row]
    values = np.array([v for u in units if u.status == "ok" and (v := read(u, bar)) is not None])
    c = _rounded(sign(trial, bar) * (values - bar.size), values, np.full_like(values, bar.size))
    kept = bool((c >= 0).all())
    low, high = (float(c.min()), float(c.max())) if len(c) else (0.0, 0.0)
    seen = Contrast(
        name=label(trial, bar),
        versus=None,
        estimate=float(c.mean()) if len(c) else 0.0,
        low=low,
        high=high,
        p_holds=0.5 ** len(c) if kept else 1.0,
        p_fails=1.0 if kept else 0.0,
        boot_t_low=low,
        boot_t_high=high,
        skew=0.0,
        n=len(c),
        per_seed=tuple(c.tolist()),
    )
    return Compared(bar, seen, kept, not kept)


def _contrast(trial: Trial, bar: Bar, c: Floats, tests: Tests, row: int) -> Contrast:
    """Row `row` of `tests` as it is stored and shown, with the differences it was computed from."""
    return Contrast(
        name=label(trial, bar),
        versus=bar.versus,
        estimate=float(tests.estimate[row]),
        low=float(tests.low[row]),
        high=float(tests.high[row]),
        p_holds=float(tests.p_holds[row]),
        p_fails=float(tests.p_fails[row]),
        boot_t_low=float(tests.boot_t_low[row]),
        boot_t_high=float(tests.boot_t_high[row]),
        skew=float(tests.skew[row]),
        n=len(c),
        per_seed=tuple(c.tolist()),
    )


def label(trial: Trial, bar: Bar) -> str:
    """The bar in words: `accuracy 20 % better than baseline`."""
    what = bar.metric or trial.metric.name
    unit = f" {trial.metric.unit}" if trial.metric.unit and bar.metric is None else ""
    size = f"{bar.size:g}{unit}"
    bound = f"{'at least' if sign(trial, bar) > 0 else 'at most'} {size}"
    if bar.kind == "at_most_cost":
        return f"{bar.cost_key} at most {bar.size:g} x {bar.versus}"
    if bar.kind == "limit":
        return f"{what} {bound} on every seed"
    if bar.versus is None:
        return f"{what} {bound}"
    if bar.kind == "within" or (bar.kind == "absolute" and bar.size < 0):
        return f"{what} at most {abs(bar.size):g}{unit} worse than {bar.versus}"
    if bar.kind == "relative":
        share = f"{100 * abs(bar.size):g} %"
        words = f"{share} better" if bar.size > 0 else f"at most {share} worse"
        return f"{what} {words} than {bar.versus}"
    return f"{what} better than {bar.versus}" + (f" by {size}" if bar.size else "")
