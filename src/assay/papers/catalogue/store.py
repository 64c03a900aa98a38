"""The packaged edition: read once, looked up by id, slug, title, date and field."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from importlib.resources import files

from assay.errors import UserError
from assay.papers.catalogue.record import FIELDS, Paper, from_json, paper_id


@lru_cache(maxsize=1)
def packaged() -> tuple[Paper, ...]:
    """All papers that ship with Assay, by report date, then position."""
    lines = (files("assay.papers.catalogue") / "data" / "catalogue.jsonl").read_text("utf-8").splitlines()
    return tuple(from_json(json.loads(line)) for line in lines)


def find(word: str, papers: Sequence[Paper] | None = None) -> Paper:
    """The paper a user means: id (with version or as a link), slug (`-` for `_`), or a unique title fragment."""
    papers = packaged() if papers is None else papers
    wanted = paper_id(word) or word
    slug, fragment = wanted.replace("-", "_").lower(), wanted.lower()
    exact = [p for p in papers if wanted == p.id or slug == p.slug]
    hits = exact or [p for p in papers if fragment in p.title.lower()]
    if len(hits) == 1:
        return hits[0]
    if hits:
        raise UserError(f"{word!r} fits {len(hits)} papers: {', '.join(p.slug for p in hits[:5])}; name one of them")
    names = [p.id for p in papers] + [p.slug for p in papers]
    nearest = difflib.get_close_matches(slug, names, n=3, cutoff=0.4)
    raise UserError(f"no paper {word!r} in the catalogue; nearest: {', '.join(nearest) or 'none'}")


def select(papers: Iterable[Paper], *, dates: tuple[date, date] | None = None, field: str | None = None) -> list[Paper]:
    """The papers of a span of report dates (both ends included) and of one field."""
    if field is not None and field not in FIELDS:
        raise UserError(f"unknown field {field!r}; the fields are {', '.join(FIELDS)}")
    return [
        p
        for p in papers
        if (dates is None or any(dates[0] <= day <= dates[1] for day in (p.report_date, *p.also_on)))
        and (field is None or p.field == field)
    ]


def parse_dates(text: str) -> tuple[date, date]:
    """`2026-01-19` or `2026-01-13..2026-01-18` as a span; a UserError says what was wanted."""
    first, _, last = text.partition("..")
    try:
        span = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise UserError(f"bad date {text!r}: wanted YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD") from None
    if span[0] > span[1]:
        raise UserError(f"bad date span {text!r}: it ends before it begins")
    return span
