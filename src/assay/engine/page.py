"""`report.html`: one self-contained file for one trial or the whole scoreboard.

No outside requests, everything escaped, readable without scripts (a small script adds sorting and a filter);
the same data give the same bytes. The data stand inside as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from assay.engine.plots import complete_seeds, judged_arms
from assay.engine.svg import ForestRow, forest, pairs
from assay.engine.trial import Bar, Contrast, Trial, Verdict
from assay.engine.verdicts import badge

ORDER = ("holds", "fails", "inconclusive", "reported", "not run")

HOW = (
    "Every trial runs a baseline, a placebo (the method with its one idea taken out) and the method on the same "
    "seeds, worlds and starting weights.",
    "The bar was set before any run and is not moved to fit a result.",
    "Three tests look at the paired differences: a 95 % BCa bootstrap interval, a sign-flip permutation test and a "
    "studentised bootstrap bound.",
    "A claim holds when all three clear the bar against the baseline and clear zero against the placebo; it fails "
    "when all three lie on the wrong side of a bar.",
    "Otherwise the trial is inconclusive, and says how many seeds it would need.",
    "A verdict speaks of this world, these models and this machine, not of every setting the paper had in mind.",
)


@dataclass(frozen=True)
class Section:
    """What the page shows of one trial. `values` holds arm -> seed -> value of finished units, `seconds` the mean
    time of an arm, `machine` and `versions` where the figures were measured, `command` what repeats them."""

    name: str
    title: str
    trial: Trial
    verdict: Verdict
    values: Mapping[str, Mapping[int, float]]
    seconds: Mapping[str, float]
    machine: str
    versions: str
    command: str

    @property
    def anchor(self) -> str:
        return self.name.replace("/", "-")


def report(sections: Sequence[Section], heading: str = "Assay scoreboard") -> str:
    """The whole page as text. Sections are shown by outcome, then by name."""
    ordered = sorted(sections, key=lambda s: (ORDER.index(s.verdict.outcome), s.name))
    rows = [row for section in ordered if (row := forest_row(section)) is not None]
    counts = ", ".join(
        f"{n} {outcome}" for outcome in ORDER if (n := sum(s.verdict.outcome == outcome for s in ordered))
    )
    judged = sum(s.verdict.outcome in ("holds", "fails", "inconclusive") for s in ordered)
    body = [
        f"<h1>{escape(heading)}</h1>",
        f'<p class="counts">{len(ordered)} trials: {counts}.</p>' if ordered else "<p>No trial has been run yet.</p>",
        f'<div class="scroll">{forest(rows)}</div>' if rows else "",
        _table(ordered) if ordered else "",
        *(_section(section, judged) for section in ordered),
        '<section id="how"><h2>How a verdict is reached</h2>',
        *(f"<p>{escape(sentence)}</p>" for sentence in HOW),
        "</section>",
    ]
    data = json.dumps([_facts(s) for s in ordered], sort_keys=True).replace("</", "<\\/")
    assets = files("assay.engine") / "assets"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(heading)}</title><style>{(assets / 'report.css').read_text('utf-8')}</style></head>\n"
        f"<body><main>{''.join(body)}</main>\n"
        f'<script type="application/json" id="data">{data}</script>'
        f"<script>{(assets / 'report.js').read_text('utf-8')}</script></body></html>\n"
    )


def forest_row(section: Section) -> ForestRow | None:
    """The contrast that decided, on the forest's axis; None where nothing was judged."""
    judged = [
        (contrast, unit)
        for contrast, bar in zip(section.verdict.contrasts, section.trial.bars if _one_each(section) else ())
        if (unit := _bar_unit(bar, section)) > 0
    ]
    if not judged:
        return None
    contrast, unit = min(judged, key=lambda pair: pair[0].low / pair[1])
    return ForestRow(
        section.name.split("/")[-1],
        section.anchor,
        _css(section.verdict.outcome),
        contrast.estimate / unit,
        contrast.low / unit,
        contrast.high / unit,
    )


def _one_each(section: Section) -> bool:
    """Whether every bar has its contrast (one whose baseline is near zero has none), the placebo's coming last."""
    return len(section.verdict.contrasts) == len(section.trial.bars) + (section.trial.placebo is not None)


def _bar_unit(bar: Bar, section: Section) -> float:
    """The bar's distance from no effect, in units of its contrast; 0 where it has none."""
    if bar.kind in ("absolute", "within"):
        return abs(bar.size)
    if bar.kind == "relative" and bar.metric is None and bar.versus is not None:
        values = [abs(v) for v in section.values.get(bar.versus, {}).values()]
        return abs(bar.size) * sum(values) / len(values) if values else 0.0
    return 0.0


def _table(sections: Sequence[Section]) -> str:
    head = "".join(
        f"<th>{name}</th>" for name in ("trial", "verdict", "baseline", "placebo", "method", "p", "p (Holm)", "seeds")
    )
    rows = []
    for s in sections:
        p_holm = f"{s.verdict.p_holm:.2g}" if s.verdict.p_holm is not None else ""
        cells = [
            f'<td><a href="#{escape(s.anchor)}">{escape(s.name)}</a></td>',
            f'<td class="{_css(s.verdict.outcome)}">{escape(s.verdict.outcome)}</td>',
            *(f"<td>{_mean(s, arm)}</td>" for arm in (s.trial.baseline, s.trial.placebo, s.trial.method)),
            f"<td>{s.verdict.p:.2g}</td><td>{p_holm}</td><td>{s.verdict.n}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        '<div class="scroll"><table id="board"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _section(section: Section, judged: int) -> str:
    trial, verdict = section.trial, section.verdict
    arms = judged_arms(trial)
    seeds = complete_seeds(section.values, arms)
    picture = pairs(section.values, arms, trial.metric.better, trial.metric.name) if seeds else ""
    flags = "".join(f'<span class="flag">{escape(flag)}</span>' for flag in verdict.flags)
    tags = "".join(f'<span class="flag">{escape(tag)}</span>' for tag in trial.tags)
    link = f"https://arxiv.org/abs/{trial.paper}"
    return "".join(
        [
            f'<section id="{escape(section.anchor)}"><h2>{escape(section.name)} ',
            f'<span class="badge {_css(verdict.outcome)}">{escape(badge(verdict, judged))}</span></h2>',
            f'<p><a href="{link}">{escape(section.title or trial.paper)}</a> ({escape(trial.paper)})</p>',
            f"<p><b>Claim.</b> {escape(trial.claim)}</p><p><b>The paper's figure.</b> {escape(trial.headline)}</p>",
            f"<p><b>Here.</b> {escape(verdict.reason)}. {flags}{tags}</p>",
            f"<p>{escape(trial.note)}</p>" if trial.note else "",
            picture,
            f'<div class="scroll"><table>{"".join(map(_contrast, verdict.contrasts))}</table></div>',
            _seed_table(section, arms, seeds) if seeds else "",
            f"<p class='small'>Metric: {escape(trial.metric.name)} ({trial.metric.better} is better). ",
            f"Measured on {escape(section.machine)}; {escape(section.versions)}. ",
            f"Repeat with <code>{escape(section.command)}</code></p></section>",
        ]
    )


def _contrast(contrast: Contrast) -> str:
    return (
        f"<tr><td>{escape(contrast.name)}</td><td>{contrast.estimate:+.4g}</td>"
        f"<td>[{contrast.low:+.4g}, {contrast.high:+.4g}]</td><td>p = {contrast.p_holds:.2g}</td></tr>"
    )


def _seed_table(section: Section, arms: Sequence[str], seeds: Sequence[int]) -> str:
    head = "".join(f"<th>{escape(arm)}</th>" for arm in arms)
    rows = "".join(
        f"<tr><td>{seed}</td>" + "".join(f"<td>{section.values[arm][seed]:.5g}</td>" for arm in arms) + "</tr>"
        for seed in seeds
    )
    cost = "".join(f"<td>{section.seconds.get(arm, 0.0):.2g} s</td>" for arm in arms)
    return (
        f"<details><summary>{len(seeds)} paired seeds</summary><div class='scroll'><table><thead><tr><th>seed</th>"
        f"{head}</tr></thead><tbody>{rows}<tr><td>time</td>{cost}</tr></tbody></table></div></details>"
    )


def _mean(section: Section, arm: str | None) -> str:
    values = list(section.values.get(arm, {}).values()) if arm is not None else []
    return f"{sum(values) / len(values):.4g}" if values else ""


def _facts(section: Section) -> dict[str, object]:
    return {
        "name": section.name,
        "paper": section.trial.paper,
        "outcome": section.verdict.outcome,
        "reason": section.verdict.reason,
        "p": section.verdict.p,
        "n": section.verdict.n,
        "values": {arm: {str(k): v for k, v in sorted(seeds.items())} for arm, seeds in section.values.items()},
    }


def _css(outcome: str) -> str:
    return outcome.replace(" ", "-")
