"""`report.html`: one self-contained file for one trial or the whole scoreboard.

No outside requests, everything escaped, readable without scripts (a small script adds sorting and a filter);
the same data give the same bytes. The data stand inside as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files

from assay.engine.section import Section, css, number, section_of
from assay.engine.svg import ForestRow, forest
from assay.engine.trial import Bar

HEADING = "Assay scoreboard"
ORDER = ("holds", "fails", "inconclusive", "reported", "not run")

HOW = (
    "Every trial runs a baseline, a placebo (the method with its one idea taken out) and the method on the same "
    "seeds, worlds and starting weights.",
    "The bar was set before any run, unless a trial says `bar-not-blind`, and is not moved to fit a result.",
    "Three tests look at the paired differences: a 95 % BCa bootstrap interval, a sign-flip permutation test and a "
    "studentised bootstrap bound.",
    "A claim holds when all three clear the bar against the baseline and clear zero against the placebo; it fails "
    "when all three lie on the wrong side of a bar.",
    "Otherwise the trial is inconclusive, and says how many seeds it would need.",
    "A verdict speaks of this world, these models and this machine, not of every setting the paper had in mind.",
)


def report(sections: Sequence[Section], notes: Sequence[str] = ()) -> str:
    """The whole page as text. Sections are shown by outcome, then by name; `notes` stand above them, a line each."""
    ordered = _anchored(sorted(sections, key=lambda s: (ORDER.index(s.verdict.outcome), s.name)))
    judged = sum(s.verdict.outcome in ("holds", "fails", "inconclusive") for s in ordered)
    body = [
        f"<h1>{HEADING}</h1>",
        f'<p class="counts">{_counts(ordered)}</p>' if ordered else "<p>No trial has been run yet.</p>",
        *(f'<p class="small note">{escape(note)}</p>' for note in notes),
        _forest(ordered),
        _table(ordered) if ordered else "",
        *(section_of(section, judged) for section in ordered),
        '<section id="how"><h2>How a verdict is reached</h2>',
        *(f"<p>{escape(sentence)}</p>" for sentence in HOW),
        "</section>",
    ]
    return _document("".join(body), json.dumps([_facts(s) for s in ordered], sort_keys=True))


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
        css(section.verdict.outcome),
        contrast.estimate / unit,
        contrast.low / unit,
        contrast.high / unit,
    )


def _anchored(sections: Sequence[Section]) -> list[Section]:
    """Every section with an id of its own, made of its name."""
    taken: set[str] = {"how", "board", "data"}
    found = []
    for section in sections:
        anchor = plain = re.sub(r"[^A-Za-z0-9_.]+", "-", section.name)
        number = 2
        while anchor in taken:
            anchor, number = f"{plain}-{number}", number + 1
        taken.add(anchor)
        found.append(replace(section, anchor=anchor))
    return found


def _counts(sections: Sequence[Section]) -> str:
    counts = [(outcome, sum(s.verdict.outcome == outcome for s in sections)) for outcome in ORDER]
    said = ", ".join(f'<span class="{css(outcome)}">{n} {outcome}</span>' for outcome, n in counts if n)
    return f"{len(sections)} {'trial' if len(sections) == 1 else 'trials'}: {said}."


def _forest(sections: Sequence[Section]) -> str:
    rows = [row for section in sections if (row := forest_row(section)) is not None]
    if not rows:
        return ""
    caption = "Mean difference and 95 % interval, in units of the bar: 0 clears it, −1 is no effect at all."
    return f'{forest(rows)}<p class="small">{caption}</p>'


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
    names = ("trial", "verdict", "baseline", "placebo", "method", "p", "p (Holm)", "seeds")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = []
    for s in sections:
        v = s.verdict
        p = f"{v.p:.2g}" if s.trial.bar is not None else ""
        cells = [
            f'<td><a href="#{s.anchor}">{escape(s.name)}</a></td>',
            f'<td class="{css(v.outcome)}">{escape(v.outcome)}</td>',
            *(f"<td>{_mean(s, arm)}</td>" for arm in (s.trial.baseline, s.trial.placebo, s.trial.method)),
            f"<td>{p}</td><td>{'' if v.p_holm is None else f'{v.p_holm:.2g}'}</td><td>{v.n}</td>",
        ]
        rows.append(f'<tr id="row-{s.anchor}">{"".join(cells)}</tr>')
    return (
        '<div class="scroll"><table id="board"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _mean(section: Section, arm: str | None) -> str:
    values = list(section.values.get(arm, {}).values()) if arm is not None else []
    return number(sum(values) / len(values)) if values else ""


def _facts(section: Section) -> dict[str, object]:
    v = section.verdict
    return {
        "name": section.name,
        "paper": section.trial.paper,
        "outcome": v.outcome,
        "reason": v.reason,
        "p": v.p,
        "p_holm": v.p_holm,
        "q": v.q,
        "n": v.n,
        "values": {arm: {str(k): x for k, x in sorted(seeds.items())} for arm, seeds in section.values.items()},
    }


def _document(body: str, data: str) -> str:
    """Head and foot. The policy lets nothing be fetched and no script run but the page's own, whatever a trial says."""
    assets = files("assay.engine") / "assets"
    style, script = ((assets / name).read_text("utf-8") for name in ("report.css", "report.js"))
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{own}'; base-uri 'none'"
    inside = data.replace("<", "\\u003c")  # no text of a trial can end the element that holds the data
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{HEADING}</title><style>{style}</style></head>\n"
        f"<body><main>{body}</main>\n"
        f'<script type="application/json" id="data">{inside}</script>'
        f"<script>{script}</script></body></html>\n"
    )
