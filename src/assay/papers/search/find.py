"""One search: by words, and by meaning where that is asked for or where words find too little."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from assay.papers.search.embed import Encoder, nearest, refresh, vector_of
from assay.papers.search.index import Hit, Index
from assay.papers.search.query import parse

FEW = 3  # hits below which the search by meaning helps out
DEPTH = 50  # ranks of each list that are fused
INSTALL = "pip install 'assay-papers[semantic]'"

LoadEncoder = Callable[[], Encoder]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave; `by_meaning` if vectors had a say; `note` is a line for the reader, or ""."""

    hits: tuple[Hit, ...]
    by_meaning: bool = False
    note: str = ""


def find(index: Index, text: str, load: LoadEncoder, *, semantic: bool | None = None, limit: int = 20) -> Found:
    """Search the index.

    semantic: True also by meaning, False by words alone, None by meaning where words find fewer than three papers.
    `load` is called only if an encoder is needed. Raises UserError for a query that asks for nothing.
    """
    query = parse(text)
    hits = index.search(query, limit)
    enough = len(hits) >= min(FEW, limit) or query.sort != "relevance"
    if semantic is False or not query.words or (semantic is None and enough):
        return Found(tuple(hits))
    try:
        encoder = load()
    except ModuleNotFoundError:
        return Found(tuple(hits), note=f"search by meaning as well: {INSTALL}")
    if query.is_chinese and encoder.english_only:
        told = "the built-in encoder reads English only; name a multilingual one with --encoder" if semantic else ""
        return Found(tuple(hits), note=told)
    refresh(index, encoder)
    cosines = nearest(index, encoder, encoder([query.words])[0], index.allowed(query), DEPTH)
    by_words = index.ranked(query, DEPTH)
    scores = fused([[hit.id for hit in by_words], list(cosines)])
    known = {hit.id: hit for hit in hits}
    together = index.hits(dict(list(scores.items())[:limit]))
    with_snippets = (replace(hit, snippet=known[hit.id].snippet if hit.id in known else None) for hit in together)
    return Found(tuple(with_snippets), by_meaning=bool(cosines))


def similar(index: Index, paper: str, load: LoadEncoder, limit: int = 10) -> Found:
    """The papers most like one of the index: by meaning, or without an encoder by the words of its title."""
    try:
        encoder = load()
    except ModuleNotFoundError:
        return Found(tuple(_by_title(index, paper, limit)), note=f"by words of the title; by meaning: {INSTALL}")
    refresh(index, encoder)
    vector = vector_of(index, encoder, paper)
    if vector is None:
        return Found(())
    allowed = {row[0] for row in index.connection.execute("SELECT id FROM papers")} - {paper}
    return Found(tuple(index.hits(nearest(index, encoder, vector, allowed, limit))), by_meaning=True)


def fused(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Reciprocal-rank fusion: `sum of 1 / (60 + rank)` over the lists, best first. Scores of the lists play no part."""
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, paper in enumerate(ranking, 1):
            scores[paper] = scores.get(paper, 0.0) + 1 / (60 + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _by_title(index: Index, paper: str, limit: int) -> list[Hit]:
    row = index.connection.execute("SELECT title FROM papers WHERE id = ?", [paper]).fetchone()
    words = dict.fromkeys(re.findall(r"[^\W_]{4,}", row[0])) if row else {}
    if not words:
        return []
    return [hit for hit in index.ranked(parse(" OR ".join(words)), limit + 1) if hit.id != paper][:limit]
