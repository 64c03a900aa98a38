"""`assay papers search|similar`: papers by their words and by what they mean."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.papers_catalogue import catalogue, open_index
from assay.cli.stores import add_store
from assay.errors import UserError
from assay.papers.catalogue import store

if TYPE_CHECKING:
    from assay.papers.search.find import Found, LoadEncoder

QUERY = """\
every word must be there; "two words" is a phrase, -word excludes, one OR other takes either, prefix* any ending;
field:agents  date:2026-01-13..2026-01-19  verdict:holds|fails|inconclusive|untried  has:code|trial|figure  id:ID
sort:date|relevance|upvotes"""


def configure(verbs: Any) -> None:
    searching = verbs.add_parser(
        "search", help="papers by words, and by meaning where words find too little", epilog=QUERY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    searching.add_argument("words", nargs="+", metavar="QUERY")
    searching.add_argument(
        "--semantic", action=argparse.BooleanOptionalAction, help="by meaning as well, or by words alone"
    )
    searching.add_argument("-n", "--limit", type=int, default=20, metavar="N", help="at most so many (default: 20)")
    _add_common(searching)
    add_store(searching)
    searching.set_defaults(run=run_search)

    similar = verbs.add_parser("similar", help="the papers nearest to one of them")
    similar.add_argument("paper", help="arXiv id, slug, link or part of the title")
    similar.add_argument("-k", type=int, default=10, metavar="K", help="at most so many (default: 10)")
    _add_common(similar)
    similar.set_defaults(run=run_similar)


def run_search(arguments: argparse.Namespace) -> int:
    from assay.papers.search.find import find
    from assay.papers.search.query import parse

    query = " ".join(arguments.words)
    _check_count("--limit", arguments.limit)
    asked = parse(query)
    with open_index() as index:
        if asked.asks_for_verdicts:
            from assay.cli.papers_verdicts import StoreVerdicts

            index.set_verdicts(StoreVerdicts(arguments, ()).outcomes())
        found = find(index, query, _encoder(arguments), semantic=arguments.semantic, limit=arguments.limit)
    if not found.hits and not arguments.json:
        told = f" ({found.note})" if found.note else ""
        raise UserError(f"no paper holds all of {query!r}; try fewer words{told}")
    return _print(found, arguments.json, "by words and by meaning")


def run_similar(arguments: argparse.Namespace) -> int:
    from assay.papers.search.find import similar

    _check_count("-k", arguments.k)
    paper = store.find(arguments.paper, catalogue())
    with open_index() as index:
        found = similar(index, paper.id, _encoder(arguments), limit=arguments.k)
    return _print(found, arguments.json, "by meaning")


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--encoder", type=Path, metavar="FOLDER", help="a sentence-transformers model instead of the English one"
    )
    parser.add_argument("--json", action="store_true")


def _encoder(arguments: argparse.Namespace) -> LoadEncoder:
    from assay.papers.search.embed import SentenceEncoder

    def load() -> SentenceEncoder:
        encoder = SentenceEncoder(arguments.encoder)
        if getattr(arguments, "semantic", True) is None:
            print("few papers hold these words; looking by meaning too (--no-semantic: not)", file=sys.stderr)
        return encoder

    return load


def _check_count(name: str, count: int) -> None:
    if count < 1:
        raise UserError(f"bad {name} {count}: wanted 1 or more")


def _print(found: Found, as_json: bool, by: str) -> int:
    if as_json:
        rows = [
            {"id": h.id, "title": h.title, "field": h.field, "date": h.date, "score": round(h.score, 6),
             "snippet": h.snippet.text if h.snippet else ""}
            for h in found.hits
        ]  # fmt: skip
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        before, after = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
        for hit in found.hits:
            print(f"{hit.date}  {hit.id}  {hit.title}")
            if hit.snippet:
                print(f"    {hit.snippet.marked(before, after).strip()}")
        how = f", {by}" if found.by_meaning else ""
        print(f"{len(found.hits)} {'paper' if len(found.hits) == 1 else 'papers'}{how}")
    if found.note:
        print(f"note: {found.note}", file=sys.stderr)
    return 0
