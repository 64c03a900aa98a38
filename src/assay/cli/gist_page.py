"""The page of `assay use gist_miner mine --format html`: counts, kinds beside earlier studies, and every comment."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from assay.cli.html_page import page, paragraph, section, table

if TYPE_CHECKING:
    from assay.methods.evaluation._gist_report import GistFinding, GistReport

STYLE = """<style>
.gist { margin: .9rem 0; padding-left: .8rem; border-left: 3px solid var(--shade) }
.gist.source { border-color: var(--worse) } .gist.catalyst { border-color: var(--better) }
.gist p { margin: .1rem 0 } .gist .said { white-space: pre-wrap }
.gist b { font-weight: 600 } mark { color: inherit; background: color-mix(in srgb, var(--better) 22%, transparent) }
mark.debt { background: color-mix(in srgb, var(--worse) 24%, transparent) }
</style>"""


def as_page(report: GistReport) -> str:
    """The report as a page of its own."""
    from assay.methods.evaluation._gist_formats import MEANING, closing

    s = report.summary()
    roles = [[role, n, MEANING[role]] for role, n in s["by_role"].items()]
    parts = [
        STYLE,
        paragraph(closing(report)),
        section("The tool's part", table(["role", "comments", "which means"], roles)),
        section("Kinds of debt", *_kinds(report)),
    ]
    if report.survival is not None:
        parts.append(section("Over time", *_time(report)))
    if report.findings:
        dense = [[row["path"], row["lines"], row["gist"], row["per_kloc"]] for row in report.densest()]
        parts.append(section("Densest files", table(["file", "lines", "comments", "per 1,000 lines"], dense)))
        parts.append(section("Comments", *(_comment(f) for f in report.findings)))
    return page("Debt admitted on generated code", parts)


def _kinds(report: GistReport) -> list[str]:
    from assay.methods.evaluation._gist_report import CLASSIC

    kinds, total = report.by_type(), len(report.findings)
    rows = [
        [kind, n, f"{n / total:.1%}" if total else "–", f"{CLASSIC[kind]:.1%}" if kind in CLASSIC else "in the rest"]
        for kind, n in kinds.items()
    ]
    said = [table(["kind", "comments", "share", "earlier studies"], rows)]
    if compared := report.comparison():
        said.append(
            paragraph(
                f"Against the shares of earlier studies: chi squared {compared.chi2:.1f}, p = {compared.p:.2g}, "
                f"Cramér's V {compared.cramers_v:.2f}, n = {compared.n}."
            )
        )
    return said


def _time(report: GistReport) -> list[str]:
    life = report.survival
    assert life is not None
    parts = []
    if months := report.by_month():
        parts.append(table(["month", "comments written"], [[month, n] for month, n in months.items()]))
    if life.n:
        half = (
            f"half are gone after {life.median_days:.0f} days"
            if life.median_days is not None
            else "most are still there"
        )
        year = f"; {life.after_year:.0%} stay a year" if life.after_year is not None else ""
        parts.append(paragraph(f"{life.n} whole-line comments in the history, {life.removed} removed: {half}{year}."))
    return parts


def _comment(f: GistFinding) -> str:
    told = [f.role, str(f.debt_type), f"p = {f.confidence:.2f}", *(["in doubt"] if f.uncertainty else [])]
    if f.introduced:
        told.append(f"{f.introduced:%Y-%m-%d} by {f.author_hash}")
    place = f"{f.comment.path}:{f.comment.start_line}" + (f" in {f.comment.symbol}" if f.comment.symbol else "")
    return (
        f'<div class="gist {escape(f.role)}"><p><code>{escape(place)}</code></p>'
        f'<p class="said">{_marked(f)}</p><p class="small">{escape(" · ".join(told))}</p></div>'
    )


def _marked(f: GistFinding) -> str:
    """The comment's words with the evidence marked; where two pieces overlap the tool's name wins."""
    text = f.comment.text
    classes = [""] * len(text)
    for span in sorted(f.evidence, key=lambda span: span.what != "debt"):
        for i in range(span.start, span.end):
            classes[i] = "debt" if span.what == "debt" else "tool"
    cuts = [0, *(i for i in range(1, len(text)) if classes[i] != classes[i - 1]), len(text)]
    pieces = [(classes[a], escape(text[a:b])) for a, b in pairwise(cuts) if a < b]
    return "".join(f'<mark class="{name}">{piece}</mark>' if name else piece for name, piece in pieces)
