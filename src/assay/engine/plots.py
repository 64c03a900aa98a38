"""Estimation plots: every paired seed on the left, the differences that the verdict rests on at the right.

The right half draws, per comparison, the bootstrap density of the mean paired difference, its mean, the 95 %
BCa interval and the bar. Colours are told apart by colour-blind readers and in grey (worse pairs are dashed).
Matplotlib is imported on use.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assay.engine.stats import bootstrap_weights, three_tests
from assay.engine.trial import Bar, Trial, Verdict
from assay.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BETTER, WORSE, INK, SHADE = "#0072B2", "#D55E00", "#222222", "#999999"
OUTCOME_COLOURS = {"holds": "#00663D", "fails": "#A63A00", "inconclusive": "#555555"}
FORMATS = (".png", ".svg", ".pdf")
SEED = 0  # of the bootstrap draws behind the densities

Values = Mapping[str, Mapping[int, float]]  # arm -> seed -> value of the trial's metric


@dataclass(frozen=True)
class Difference:
    """Method minus another arm, seed by seed, and where the bar stands on the same axis (None: no bar)."""

    versus: str
    per_seed: NDArray[np.float64]
    bar: float | None


def estimation_plot(name: str, trial: Trial, values: Values, verdict: Verdict, path: Path) -> Path:
    """Draw the trial into `path` (.png at 150 dpi, .svg or .pdf) and return it.

    Raises UserError for another ending and where fewer than two seeds have all arms.
    """
    check_ending(path)
    arms = judged_arms(trial)
    seeds = complete_seeds(values, arms)
    if len(seeds) < 2:
        raise UserError(f"{name} has {len(seeds)} complete seeds; run it first: assay run {name}")

    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "assay"  # the same data give the same file
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.8), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1])
    _draw_pairs(left, trial, values, arms, seeds)
    _draw_differences(right, trial, differences(trial, values, seeds))
    figure.suptitle("\n".join(textwrap.wrap(trial.claim, 100)), fontsize=10.5, color=INK)
    said = f"{name}: {verdict.outcome} ({verdict.reason}), {len(seeds)} seeds, p = {verdict.p:.2g}"
    figure.supxlabel(
        "\n".join(textwrap.wrap(said, 110)),
        fontsize=10,
        color=OUTCOME_COLOURS.get(verdict.outcome, INK),
    )
    part = path.with_name(f".part-{path.name}")
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    figure.savefig(part, metadata=metadata)
    part.replace(path)
    return path


def check_ending(path: Path) -> None:
    """UserError unless the file's ending is one that can be drawn to."""
    if path.suffix not in FORMATS:
        raise UserError(f"cannot plot to {path.name}: wanted a name that ends in {', '.join(FORMATS)}")


def judged_arms(trial: Trial) -> list[str]:
    """Baseline, further arms that a bar names, placebo, method: the order in which they are drawn."""
    named = [trial.baseline, *(bar.versus for bar in trial.bars), trial.placebo, trial.method]
    return list(dict.fromkeys(arm for arm in named if arm is not None))


def complete_seeds(values: Values, arms: Sequence[str]) -> list[int]:
    """Seeds on which all these arms have a value."""
    sets = [set(values.get(arm, {})) for arm in arms]
    return sorted(set.intersection(*sets)) if sets else []


def differences(trial: Trial, values: Values, seeds: Sequence[int]) -> list[Difference]:
    """Method minus each arm it is judged against, in units of the metric."""
    method = _column(values, trial.method, seeds)
    found = []
    for bar in trial.bars:
        if bar.versus is not None and bar.metric is None and bar.kind != "at_most_cost":
            other = _column(values, bar.versus, seeds)
            found.append(Difference(bar.versus, method - other, _bar_position(trial, bar, other)))
    for arm in (trial.baseline, trial.placebo):
        if arm is not None and arm not in [d.versus for d in found]:
            bar_at = 0.0 if arm == trial.placebo and trial.bar is not None else None
            found.append(Difference(arm, method - _column(values, arm, seeds), bar_at))
    return found


def _bar_position(trial: Trial, bar: Bar, other: NDArray[np.float64]) -> float | None:
    sign = 1.0 if trial.metric.better == "higher" else -1.0
    if bar.relative is not None:
        return sign * bar.relative * float(np.abs(other).mean())
    if bar.absolute is not None:
        return sign * bar.absolute
    return -sign * bar.within if bar.within is not None else None


def _column(values: Values, arm: str, seeds: Sequence[int]) -> NDArray[np.float64]:
    return np.array([values[arm][seed] for seed in seeds], dtype=np.float64)


def _draw_pairs(axes: Axes, trial: Trial, values: Values, arms: Sequence[str], seeds: Sequence[int]) -> None:
    sign = 1.0 if trial.metric.better == "higher" else -1.0
    for seed in seeds:
        line = [values[arm][seed] for arm in arms]
        worse = sign * (values[trial.method][seed] - values[trial.baseline][seed]) < 0
        colour, style = (WORSE, "--") if worse else (BETTER, "-")
        axes.plot(range(len(arms)), line, style, color=colour, alpha=0.55, linewidth=1, marker="o", markersize=3.5)
    for place, arm in enumerate(arms):
        mean = float(_column(values, arm, seeds).mean())
        axes.hlines(mean, place - 0.18, place + 0.18, color=INK, linewidth=2.2, zorder=3)
    axes.set_xticks(range(len(arms)), arms)
    axes.set_xlim(-0.4, len(arms) - 0.6)
    arrow = "↑" if trial.metric.better == "higher" else "↓"
    unit = f" [{trial.metric.unit}]" if trial.metric.unit else ""
    axes.set_ylabel(f"{trial.metric.name}{unit}   {arrow} is better")
    _plain(axes)


def _draw_differences(axes: Axes, trial: Trial, found: Sequence[Difference]) -> None:
    for place, difference in enumerate(found):
        draws = bootstrap_weights(len(difference.per_seed), SEED) @ difference.per_seed / len(difference.per_seed)
        tests = three_tests([difference.per_seed], SEED)
        if np.ptp(draws) > 0:
            density, edges = np.histogram(draws, bins=60, density=True)
            smooth = np.convolve(density, np.hanning(9) / np.hanning(9).sum(), mode="same")
            middle = (edges[1:] + edges[:-1]) / 2
            edge = place + 0.36 * smooth / smooth.max()
            axes.fill_betweenx(middle, place, edge, color=SHADE, alpha=0.45, linewidth=0)
        axes.vlines(place, tests.low[0], tests.high[0], color=INK, linewidth=2)
        axes.plot(place, tests.estimate[0], "o", color=INK, markersize=6)
        if difference.bar is not None:
            axes.hlines(difference.bar, place - 0.3, place + 0.45, color=INK, linestyle=(0, (4, 3)), linewidth=1.3)
            axes.annotate("bar", (place - 0.3, difference.bar), (0, 2), textcoords="offset points", fontsize=8.5)
    axes.axhline(0, color=SHADE, linewidth=0.8, zorder=0)
    axes.set_xticks(range(len(found)), [f"{trial.method} - {d.versus}" for d in found])
    axes.set_xlim(-0.5, len(found) - 0.3)
    axes.set_ylabel("mean paired difference, 95 % interval")
    axes.yaxis.set_label_position("right")
    axes.yaxis.tick_right()
    _plain(axes)
    axes.spines["left"].set_visible(False)
    axes.spines["right"].set_visible(True)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)
