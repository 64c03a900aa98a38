"""The catalogue in other people's formats, and its numbers."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import groupby

from assay.papers.catalogue.record import Paper, to_json

_COLUMNS = (
    "id", "title", "report_date", "position", "read_from", "field", "slug", "one_line", "code_url", "origin",
)  # fmt: skip
_TEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{mark: "\\" + mark for mark in "&%$#_{}"},
}  # fmt: skip


def as_json(papers: Sequence[Paper]) -> str:
    """One JSON array, a record a paper."""
    return json.dumps([to_json(p) for p in papers], ensure_ascii=False, indent=2) + "\n"


def as_jsonl(papers: Sequence[Paper]) -> str:
    """One JSON object a line, keys sorted: the form of the packaged edition."""
    return "".join(json.dumps(to_json(p), ensure_ascii=False, sort_keys=True) + "\n" for p in papers)


def as_csv(papers: Sequence[Paper]) -> str:
    """One row a paper with a column for the link and one for the claims, parted by ` | `."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, "url", "claims"])
    for p in papers:
        claims = " | ".join(claim.text for claim in p.claims)
        writer.writerow([*(getattr(p, column) for column in _COLUMNS), p.url, claims])
    return out.getvalue()


def as_bibtex(papers: Sequence[Paper]) -> str:
    """One `@misc` entry a paper with its arXiv id. The catalogue holds no authors, so neither do these."""
    return "\n".join(_bibtex(p) for p in papers)


def as_markdown(papers: Sequence[Paper]) -> str:
    """A heading a report date, a linked line a paper with its claims below."""
    blocks = []
    for day, of_day in groupby(papers, key=lambda p: p.report_date):
        lines = [f"## {day}", ""]
        for p in of_day:
            told = f": {_md(p.one_line)}" if p.one_line else ""
            lines.append(f"- [{_md(p.title)}]({p.url}){told}")
            lines += [f"    - {_md(claim.text)} *({claim.kind})*" for claim in p.claims]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


FORMATS: dict[str, Callable[[Sequence[Paper]], str]] = {
    "json": as_json, "jsonl": as_jsonl, "csv": as_csv, "bibtex": as_bibtex, "md": as_markdown,
}  # fmt: skip


def stats(papers: Sequence[Paper]) -> dict[str, object]:
    """Counts: papers, claims, claims with a figure, and each by report date, field, reading source, kind, origin."""
    claims = [claim for p in papers for claim in p.claims]
    return {
        "papers": len(papers),
        "claims": len(claims),
        "claims_with_a_figure": sum(claim.figure is not None for claim in claims),
        "by_date": dict(sorted(Counter(p.report_date.isoformat() for p in papers).items())),
        "by_field": dict(Counter(p.field or "none" for p in papers).most_common()),
        "by_source": dict(Counter(p.read_from for p in papers).most_common()),
        "by_kind": dict(Counter(claim.kind for claim in claims).most_common()),
        "by_origin": dict(Counter(p.origin for p in papers).most_common()),
    }


def _bibtex(paper: Paper) -> str:
    # 2601.08521 was submitted in January 2026, whatever the date of the report
    year, month = 2000 + int(paper.id[:2]), int(paper.id[2:4])
    title = "".join(_TEX.get(character, character) for character in paper.title)
    return (
        f"@misc{{{paper.slug},\n"
        f"  title         = {{{{{title}}}}},\n"
        f"  year          = {{{year}}},\n"
        f"  month         = {{{month}}},\n"
        f"  eprint        = {{{paper.id}}},\n"
        f"  archivePrefix = {{arXiv}},\n"
        f"  url           = {{https://arxiv.org/abs/{paper.id}}}\n"
        "}\n"
    )


def _md(text: str) -> str:
    """Text as it is, not as Markdown."""
    return re.sub(r"([\\`*_\[\]<>#^~|])", r"\\\1", text)
