"""Pages that commands write: one file that fetches nothing, in the look of the report, with tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files

INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7f7f7f", "#a63a00")
DASHES = ("", "7 3", "2 3", "9 3 2 3")
WIDTH, HEIGHT, LEFT, TOP, FOOT = 640, 320, 64, 14, 44
CSS = """
.chart { width: 100%; max-width: 44rem; height: auto; display: block }
.chart path, .chart polygon { fill: none; stroke-width: 2 } .chart polygon { fill-opacity: .07 }
.chart .grid { stroke: var(--line) } .legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; font-size: .85rem }
.legend svg { width: 1.8rem; height: .7rem; vertical-align: middle; margin-right: .4rem }
td.number, th.number { text-align: right } td.text { white-space: normal; min-width: 16rem }
.heat { background: rgb(213 94 0 / calc(var(--bad) * .55)) }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """A whole page of HTML parts under a heading."""
    style = (files("assay.engine") / "assets" / "report.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}{CSS}</style></head>\n"
        f"<body><main><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def section(heading: str, *parts: str) -> str:
    """A section under its heading."""
    return f"<section><h2>{escape(heading)}</h2>{''.join(parts)}</section>"


def paragraph(text: str) -> str:
    """Plain words."""
    return f'<p class="small">{escape(text)}</p>'


def table(header: Sequence[str], rows: Sequence[Sequence[object]], heat: bool = False) -> str:
    """Rows of text and numbers; long texts wrap, numbers are set right. `heat` colours shares, low ones most."""
    numeric = [all(isinstance(row[i], (int, float)) for row in rows) and bool(rows) for i in range(len(header))]
    head = "".join(f"<th{_class(n)}>{escape(word)}</th>" for word, n in zip(header, numeric))
    body = "".join(f"<tr>{''.join(_cell(cell, heat) for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def curves(series: Mapping[str, Sequence[tuple[float, float]]], x_name: str, y_name: str, decades: int = 0) -> str:
    """Lines through (x, y) in [0, x_max] x [0, 1]; with `decades` y is logarithmic from 10^-decades to 1."""
    x_max = max((x for points in series.values() for x, _ in points), default=1.0) or 1.0
    inner_w, inner_h = WIDTH - LEFT - 16, HEIGHT - TOP - FOOT

    def place(x: float, y: float) -> tuple[float, float]:
        height = y if not decades else 1 + math.log10(max(y, 10.0**-decades)) / decades
        return round(LEFT + inner_w * x / x_max, 1), round(TOP + inner_h * (1 - height), 1)

    drawn = []
    for tick in [10.0**-k for k in range(decades + 1)] if decades else [0, 0.25, 0.5, 0.75, 1]:
        _, y = place(0, tick)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 16}" y1="{y}" y2="{y}"/>')
        drawn.append(f'<text class="axis" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    for tick in (x_max * k / 4 for k in range(5)):
        x, y = place(tick, 0)
        drawn.append(f'<text class="axis" x="{x}" y="{HEIGHT - 26}" text-anchor="middle">{tick:.2g}</text>')
    drawn.append(
        f'<text class="label" x="{LEFT + inner_w / 2}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>'
    )
    for i, points in enumerate(series.values()):
        path = " ".join(f"{'M' if not k else 'L'}{x},{y}" for k, (x, y) in enumerate(place(*p) for p in points))
        drawn.append(f'<path d="{path}" {_ink(i)}/>')
    said = f"{y_name} by {x_name}: {', '.join(series)}"
    return f'<p class="small">{escape(y_name)}</p>{_svg(WIDTH, HEIGHT, said, drawn)}{_legend(list(series))}'


def radar(series: Mapping[str, Sequence[float]], axes: Sequence[str]) -> str:
    """Closed lines over shares in [0, 1], an axis each, from the middle (0) to the rim (1); NaN is drawn as 0."""
    width, height, reach = 520, 300, 110

    def place(axis: int, share: float) -> tuple[float, float]:
        angle = 2 * math.pi * axis / len(axes) - math.pi / 2
        far = reach * (0.0 if math.isnan(share) else share)
        return round(width / 2 + far * math.cos(angle), 1), round(height / 2 + far * math.sin(angle), 1)

    def ring(shares: Sequence[float]) -> str:
        return " ".join(f"{x},{y}" for x, y in (place(i, share) for i, share in enumerate(shares)))

    drawn = [f'<polygon class="grid" points="{ring([r] * len(axes))}"/>' for r in (0.25, 0.5, 0.75, 1.0)]
    for i, name in enumerate(axes):
        x, y = place(i, 1.14)
        anchor = "middle" if abs(x - width / 2) < 5 else "start" if x > width / 2 else "end"
        drawn.append(f'<text class="label" x="{x}" y="{y + 4}" text-anchor="{anchor}">{escape(name)}</text>')
    drawn += [f'<polygon points="{ring(shares)}" {_ink(i)}/>' for i, shares in enumerate(series.values())]
    return f"{_svg(width, height, 'shares on ' + ', '.join(axes), drawn)}{_legend(list(series))}"


def _svg(width: int, height: int, said: str, drawn: Sequence[str]) -> str:
    head = f'<svg class="chart" style="max-width:{width}px" viewBox="0 0 {width} {height}" role="img"'
    return f'{head} aria-label="{escape(said)}">{"".join(drawn)}</svg>'


def _legend(names: Sequence[str]) -> str:
    marks = (
        f'<span><svg viewBox="0 0 28 10"><path d="M0,5 L28,5" stroke-width="2.5" {_ink(i)}/></svg>{escape(name)}</span>'
        for i, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(marks)}</p>'


def _ink(i: int) -> str:
    ink, dash = INKS[i % len(INKS)], DASHES[(i // len(INKS) + i) % len(DASHES)]
    return f'stroke="{ink}" fill="{ink}" stroke-dasharray="{dash}"'


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _cell(value: object, heat: bool) -> str:
    if not isinstance(value, (int, float)):
        text = str(value)
        return f'<td class="text">{escape(text)}</td>' if len(text) > 60 else f"<td>{escape(text)}</td>"
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    if math.isnan(value):
        return '<td class="number">–</td>'
    shade = f' style="--bad:{min(max(1 - value, 0), 1):.2f}"' if heat else ""
    return f'<td class="number{" heat" if heat else ""}"{shade}>{value:.3g}</td>'
