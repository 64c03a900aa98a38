"""The catalogue for agents: three functions that read and change nothing, to be offered as tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from assay.papers.catalogue.record import Kind, Paper, to_json
from assay.papers.catalogue.store import find as find_paper
from assay.papers.catalogue.store import select
from assay.papers.search.find import LoadEncoder, find
from assay.papers.search.index import Index
from assay.papers.verdicts import Standing, VerdictSource, VerdictView

MOST = 100


def tools(
    papers: Sequence[Paper],
    entries: Mapping[str, str],
    opened: Callable[[], Index],
    load: LoadEncoder,
    verdicts: VerdictSource,
) -> dict[str, Callable[..., Any]]:
    """`search_papers`, `get_paper` and `list_claims` over a catalogue; `entries` are report entries as written, and
    `opened` opens the index: each call may come in a thread of its own."""

    def search_papers(query: str, limit: int = 10, semantic: bool = False) -> dict[str, Any]:
        """Find papers by words in Chinese or English; all words must be there. Filters: field:agents,
        date:2026-01-13..2026-01-19, verdict:holds|fails|inconclusive|untried, has:code|trial|figure, sort:date;
        "a phrase", -not, one OR other, prefix*. `semantic` also looks for papers of like meaning (English)."""
        with opened() as index:
            found = find(index, query, load, semantic=semantic, limit=_limited(limit))
        hits = [
            {"id": hit.id, "title": hit.title, "field": hit.field, "date": hit.date,
             "snippet": hit.snippet.text if hit.snippet else ""}
            for hit in found.hits
        ]  # fmt: skip
        return {"papers": hits, **({"note": found.note} if found.note else {})}

    def get_paper(paper: str) -> dict[str, Any]:
        """One paper by arXiv id, link, slug or a piece of its title: what it is, its claims with their figures, the
        verdicts of the trials that put them to the test, and its entry in the daily report where there is one."""
        known = find_paper(paper, papers)
        tried = [_verdict(view) for view in verdicts.of_paper(known.id)]
        return {**to_json(known), "url": known.url, "verdicts": tried, "report": entries.get(known.id, "").strip()}

    def list_claims(
        field: str | None = None, kind: Kind | None = None, verdict: Standing | None = None, limit: int = 50
    ) -> dict[str, Any]:
        """What the papers claim, one sentence a claim, with the verdict of the trials that try it. Narrow it to a
        field of work, a kind of claim or a verdict."""
        for name, value, known in (("kind", kind, get_args(Kind)), ("verdict", verdict, get_args(Standing))):
            if value is not None and value not in known:
                raise ValueError(f"{name}: got {value!r}, wanted one of {', '.join(known)}")
        rows = []
        for paper in select(papers, field=field):
            for claim, row in zip(paper.claims, to_json(paper)["claims"]):
                view = verdicts.latest(claim.id)
                outcome = view.outcome if view else "untried"
                if kind in (None, claim.kind) and verdict in (None, outcome):
                    rows.append({**row, "paper": paper.title, "verdict": outcome})
        return {"claims": rows[: _limited(limit)], "found": len(rows)}

    return {"search_papers": search_papers, "get_paper": get_paper, "list_claims": list_claims}


def _limited(limit: int) -> int:
    if not 1 <= limit <= MOST:
        raise ValueError(f"limit: got {limit}, wanted 1 to {MOST}")
    return limit


def _verdict(view: VerdictView) -> dict[str, Any]:
    shown: Sequence[Literal["estimate", "low", "high"]] = ("estimate", "low", "high")
    return {
        "trial": view.trial,
        "outcome": view.outcome,
        "claim_tried": view.claim,
        "reason": view.reason,
        "intervals": [{"name": row.name, **{name: getattr(row, name) for name in shown}} for row in view.intervals],
        "seeds": view.seeds,
        "machine": view.machine,
        "measured": view.measured.date().isoformat(),
        "repeat": view.command,
    }
