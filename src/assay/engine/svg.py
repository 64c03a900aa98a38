"""The pictures of the page, written as SVG by hand: the forest of all trials, the pairs and differences of one.

Plain text out, the same for the same data; colours follow the page through CSS classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from assay.engine.estimation import Estimate, Values

LEFTMOST, RIGHTMOST = -3.0, 4.0  # of the forest's axis, in bars; longer intervals end in an arrowhead
GUIDES = ((-1.0, "no effect", "before"), (0.0, "bar", "at"), (1.0, "twice the bar", "after"))
WIDTH, HEIGHT, TOP, FOOT = 380, 270, 14, 34  # of the two halves of an estimation plot
LETTER = 7.5  # width of a letter of a label


@dataclass(frozen=True)
class ForestRow:
    """One trial's interval against its bar, in units of the bar's distance from no effect: 0 is the bar, -1 no
    effect. `outcome` is the CSS class; `link` the anchor of its section."""

    label: str
    link: str
    outcome: str
    estimate: float
    low: float
    high: float


def forest(rows: Sequence[ForestRow]) -> str:
    """The forest plot, a line a trial with guides at no effect and at the bar. It stretches with the page: places
    are shares of its width, so that words and dots keep their size on a phone."""
    words = "".join(f'<span class="{side}" style="left:{_share(value)}%">{word}</span>' for value, word, side in GUIDES)
    lines = "".join(
        f'<a class="row {escape(row.outcome)}" href="#{escape(row.link)}"><span class="name">{escape(row.label)}</span>'
        f"{_interval(row)}</a>"
        for row in rows
    )
    axis = f'<div class="row axis"><span class="name"></span><span class="words">{words}</span></div>'
    return f'<div class="forest" aria-label="Interval of every trial relative to its bar">{axis}{lines}</div>'


def _interval(row: ForestRow) -> str:
    said = f"{row.estimate:+.2f} bars from the bar, 95 % interval {row.low:+.2f} to {row.high:+.2f}"
    parts = [f'<svg role="img" aria-label="{said}"><title>{said}</title>']
    for value, *_ in GUIDES:
        parts.append(f'<line class="guide" x1="{_share(value)}%" x2="{_share(value)}%" y1="0" y2="100%"/>')
    parts.append(f'<line x1="{_share(row.low)}%" x2="{_share(row.high)}%" y1="50%" y2="50%"/>')
    for end, mark in ((row.low, "◂"), (row.high, "▸")):
        if not LEFTMOST <= end <= RIGHTMOST:
            parts.append(f'<text class="more" x="{_share(end)}%" y="50%">{mark}</text>')
    if LEFTMOST <= row.estimate <= RIGHTMOST:
        parts.append(f'<circle cx="{_share(row.estimate)}%" cy="50%" r="4.5"/>')
    return "".join([*parts, "</svg>"])


def _share(value: float) -> float:
    """Place on the forest's axis in percent, two of them left free at either end for the arrowheads."""
    inside = min(max(value, LEFTMOST), RIGHTMOST)
    return round(2 + 96 * (inside - LEFTMOST) / (RIGHTMOST - LEFTMOST), 2)


def pairs(values: Values, arms: Sequence[str], seeds: Sequence[int], worse: Callable[[int], bool], label: str) -> str:
    """The left half: a line a seed across the arms (first baseline, last method), a bar a mean."""
    y, ticks = _axis([values[arm][seed] for arm in arms for seed in seeds])
    left = 58
    step = (WIDTH - left - 60) / max(1, len(arms) - 1)
    x = [round(left + 24 + i * step, 1) for i in range(len(arms))]
    parts = [_open("pairs", f"{label} by arm, a line a seed"), _scale(ticks, y, left)]
    for seed in seeds:
        points = " ".join(f"{x[i]},{y(values[arm][seed])}" for i, arm in enumerate(arms))
        parts.append(f'<polyline class="{"worse" if worse(seed) else "better"}" points="{points}"/>')
    for i, arm in enumerate(arms):
        mean = y(sum(values[arm][seed] for seed in seeds) / len(seeds))
        parts.append(f'<line class="mean" x1="{x[i] - 15}" x2="{x[i] + 15}" y1="{mean}" y2="{mean}"/>')
    return "".join([*parts, _feet(x, arms), "</svg>"])


def effects(found: Sequence[Estimate], method: str) -> str:
    """The right half: by comparison, the density of the mean difference, its interval, and the bar."""
    reach = [v for e in found for v in (e.low, e.high, *(v for v, _ in e.density), e.difference.bar) if v is not None]
    y, ticks = _axis([0.0, *reach])
    left = 64
    step = (WIDTH - left) / len(found)
    places = [round(left + (i + 0.35) * step, 1) for i in range(len(found))]
    parts = [_open("effects", "Mean paired differences with their 95 % intervals"), _scale(ticks, y, left)]
    parts.append(f'<line class="zero" x1="{left}" x2="{WIDTH}" y1="{y(0.0)}" y2="{y(0.0)}"/>')
    for x, estimate in zip(places, found):
        if estimate.density:
            curve = " ".join(f"{round(x + 0.42 * step * height, 1)},{y(value)}" for value, height in estimate.density)
            ends = estimate.density[0][0], estimate.density[-1][0]
            parts.append(f'<polygon class="density" points="{x},{y(ends[0])} {curve} {x},{y(ends[1])}"/>')
        parts.append(f'<line class="mean" x1="{x}" x2="{x}" y1="{y(estimate.low)}" y2="{y(estimate.high)}"/>')
        parts.append(f'<circle class="dot" cx="{x}" cy="{y(estimate.mean)}" r="5"/>')
        if (bar := estimate.difference.bar) is not None:
            start, end = round(x - 0.25 * step, 1), round(x + 0.5 * step, 1)
            parts.append(f'<line class="bar" x1="{start}" x2="{end}" y1="{y(bar)}" y2="{y(bar)}"/>')
            parts.append(f'<text class="axis" x="{start}" y="{round(y(bar) - 4, 1)}">bar</text>')
    return "".join([*parts, _feet(places, [f"{method} − {e.difference.versus}" for e in found]), "</svg>"])


def _open(kind: str, said: str) -> str:
    return f'<svg class="{kind}" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">'


def _axis(values: Sequence[float]) -> tuple[Callable[[float], float], list[float]]:
    """Where a value stands from the top, and the values that get a tick."""
    low, high = min(values), max(values)
    margin = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - margin, high + margin

    def y(value: float) -> float:
        return round(TOP + (high - value) / (high - low) * (HEIGHT - TOP - FOOT - 8), 1)

    return y, _round_values(low, high)


def _round_values(low: float, high: float) -> list[float]:
    """Three to seven round numbers between the two."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _scale(ticks: Sequence[float], y: Callable[[float], float], left: float) -> str:
    return "".join(
        f'<line class="tick" x1="{left - 5}" x2="{left}" y1="{y(value)}" y2="{y(value)}"/>'
        f'<text class="axis" x="{left - 9}" y="{round(y(value) + 4, 1)}" text-anchor="end">{value:.4g}</text>'
        for value in ticks
    ).replace(">-", ">−")


def _feet(places: Sequence[float], words: Sequence[str]) -> str:
    """A word below each column; where long ones would meet, every other one stands a line lower."""
    room = min((b - a for a, b in pairwise(places)), default=float(WIDTH))
    lower = 15 if max(map(len, words)) * LETTER > room else 0
    return "".join(
        f'<text class="label" x="{x}" y="{HEIGHT - 20 + lower * (i % 2)}" text-anchor="middle">{escape(word)}</text>'
        for i, (x, word) in enumerate(zip(places, words))
    )
