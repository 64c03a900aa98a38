"""Estimation plots: every paired seed on the left, the differences that the verdict rests on at the right.

The right half draws, per comparison, the bootstrap density of the mean paired difference, its mean, the 95 %
BCa interval and the bar. Colours are told apart by colour-blind readers and in grey (worse pairs are dashed).
Matplotlib is imported on use.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.engine.estimation import Estimate, Values, column, complete_seeds, estimates, is_worse, judged_arms
from assay.engine.trial import Trial, Verdict
from assay.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BETTER, WORSE, INK, SHADE = "#0072B2", "#D55E00", "#222222", "#999999"
OUTCOME_COLOURS = {"holds": "#00663D", "fails": "#A63A00", "inconclusive": "#555555"}
FORMATS = (".png", ".svg", ".pdf")
LABEL = 52  # characters of a label that fit beside the axis


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
    _draw_differences(right, trial, estimates(trial, values, seeds))
    figure.suptitle("\n".join(textwrap.wrap(trial.claim, 100)), fontsize=10.5, color=INK)
    judged = f"{verdict.outcome} ({verdict.reason}), {len(seeds)} seeds, p = {verdict.p:.2g}"
    said = f"{name}: {judged if trial.bar is not None else f'{verdict.reason}, {len(seeds)} seeds'}"
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


def _draw_pairs(axes: Axes, trial: Trial, values: Values, arms: Sequence[str], seeds: Sequence[int]) -> None:
    for seed in seeds:
        line = [values[arm][seed] for arm in arms]
        colour, style = (WORSE, "--") if is_worse(trial, values, seed) else (BETTER, "-")
        axes.plot(range(len(arms)), line, style, color=colour, alpha=0.55, linewidth=1, marker="o", markersize=3.5)
    for place, arm in enumerate(arms):
        mean = float(column(values, arm, seeds).mean())
        axes.hlines(mean, place - 0.18, place + 0.18, color=INK, linewidth=2.2, zorder=3)
    axes.set_xticks(range(len(arms)), arms)
    axes.set_xlim(-0.4, len(arms) - 0.6)
    arrow = "↑" if trial.metric.better == "higher" else "↓"
    unit = f" [{trial.metric.unit}]" if trial.metric.unit else ""
    axes.set_ylabel(textwrap.fill(f"{trial.metric.name}{unit}   {arrow}\u00a0is\u00a0better", LABEL))
    _plain(axes)


def _draw_differences(axes: Axes, trial: Trial, found: Sequence[Estimate]) -> None:
    for place, estimate in enumerate(found):
        if estimate.density:
            middle, height = zip(*estimate.density)
            edge = [place + 0.36 * h for h in height]
            axes.fill_betweenx(middle, place, edge, color=SHADE, alpha=0.45, linewidth=0)
        axes.vlines(place, estimate.low, estimate.high, color=INK, linewidth=2)
        axes.plot(place, estimate.mean, "o", color=INK, markersize=6)
        if (bar := estimate.difference.bar) is not None:
            axes.hlines(bar, place - 0.3, place + 0.45, color=INK, linestyle=(0, (4, 3)), linewidth=1.3)
            axes.annotate("bar", (place - 0.3, bar), (0, 2), textcoords="offset points", fontsize=8.5)
    axes.axhline(0, color=SHADE, linewidth=0.8, zorder=0)
    between = " - " if len(found) < 3 else " -\n"
    axes.set_xticks(range(len(found)), [f"{trial.method}{between}{e.difference.versus}" for e in found])
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
