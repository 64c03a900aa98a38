"""Two small pictures for pages, written as SVG by hand: the forest of all trials and the pairs of one.

Plain text out, the same for the same data; colours follow the page through CSS classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

LEFTMOST, RIGHTMOST = -3.0, 4.0  # of the forest's axis, in bars; longer intervals end in an arrowhead
ROW = 26


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
    """The forest plot: a line a trial, dashed lines at no effect and at the bar."""
    label_width, plot_width = 210, 430
    width, height = label_width + plot_width + 20, ROW * len(rows) + 44
    scale = plot_width / (RIGHTMOST - LEFTMOST)

    def x(value: float) -> float:
        return round(label_width + (min(max(value, LEFTMOST), RIGHTMOST) - LEFTMOST) * scale, 1)

    parts = [
        f'<svg class="forest" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Interval of every trial relative to its bar">'
    ]
    for value, word in ((-1.0, "no effect"), (0.0, "bar"), (1.0, "twice the bar")):
        parts.append(f'<line class="guide" x1="{x(value)}" x2="{x(value)}" y1="22" y2="{height - 18}"/>')
        parts.append(f'<text class="axis" x="{x(value)}" y="14" text-anchor="middle">{word}</text>')
    for i, row in enumerate(rows):
        y = 38 + i * ROW
        label = f'<text class="label" x="0" y="{y + 4}">{escape(row.label)}</text>'
        parts.append(f'<a href="#{escape(row.link)}">{label}</a>')
        parts.append(f'<g class="{escape(row.outcome)}"><line x1="{x(row.low)}" x2="{x(row.high)}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle cx="{x(row.estimate)}" cy="{y}" r="4.5"/>')
        parts += [_arrow(x(end), y, end) for end in (row.low, row.high) if not LEFTMOST <= end <= RIGHTMOST]
        parts.append("</g>")
    parts.append("</svg>")
    return "".join(parts)


def _arrow(x: float, y: float, value: float) -> str:
    tip = 7 if value > RIGHTMOST else -7
    return f'<path d="M{x} {y - 5}L{x + tip} {y}L{x} {y + 5}Z"/>'


def pairs(values: Mapping[str, Mapping[int, float]], arms: Sequence[str], better: str, label: str) -> str:
    """The paired seeds of one trial: a line a seed across the arms (first baseline, last method), a bar a mean."""
    seeds = sorted(set.intersection(*(set(values[arm]) for arm in arms)))
    everything = [values[arm][seed] for arm in arms for seed in seeds]
    low, high = min(everything), max(everything)
    margin = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - margin, high + margin
    width, height, left, top = 460, 250, 64, 14
    step = (width - left - 50) / max(1, len(arms) - 1)

    def x(place: int) -> float:
        return round(left + 25 + place * step, 1)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * (height - top - 40), 1)

    parts = [f'<svg class="pairs" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)} by arm">']
    for share in (0.0, 0.5, 1.0):
        value = low + margin + share * (high - low - 2 * margin)
        parts.append(f'<text class="axis" x="{left - 8}" y="{y(value) + 4}" text-anchor="end">{value:.3g}</text>')
    sign = 1 if better == "higher" else -1
    for seed in seeds:
        worse = sign * (values[arms[-1]][seed] - values[arms[0]][seed]) < 0
        points = " ".join(f"{x(i)},{y(values[arm][seed])}" for i, arm in enumerate(arms))
        parts.append(f'<polyline class="{"worse" if worse else "better"}" points="{points}"/>')
    for i, arm in enumerate(arms):
        mean = sum(values[arm][seed] for seed in seeds) / len(seeds)
        parts.append(f'<line class="mean" x1="{x(i) - 16}" x2="{x(i) + 16}" y1="{y(mean)}" y2="{y(mean)}"/>')
        parts.append(f'<text class="label" x="{x(i)}" y="{height - 10}" text-anchor="middle">{escape(arm)}</text>')
    parts.append("</svg>")
    return "".join(parts)
