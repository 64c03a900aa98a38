"""`assay papers`: the catalogue on the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from assay.errors import UserError
from assay.papers.catalogue import store
from assay.papers.catalogue.record import Paper, to_json


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    parser.set_defaults(run=show_list, date=None, field=None, json=False, built=False)

    listing = verbs.add_parser("list", help="the papers, by date (the default)")
    listing.add_argument("--date", help="YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD")
    listing.add_argument("--field", help="one field of work, e.g. post_training")
    listing.add_argument("--built", action="store_true", help="only papers whose part can be imported")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=show_list)

    one = verbs.add_parser("show", help="one paper: claims, figures, what is built")
    one.add_argument("paper", help="arXiv id, slug, link or part of the title")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=show_one)

    searching = verbs.add_parser("search", help="papers whose record holds every word")
    searching.add_argument("words", nargs="+")
    searching.add_argument("--json", action="store_true")
    searching.set_defaults(run=show_search)


def show_list(arguments: argparse.Namespace) -> int:
    from assay.cli.standing import standing

    dates = store.parse_dates(arguments.date) if arguments.date else None
    papers = store.select(store.packaged(), dates=dates, field=arguments.field)
    if arguments.built:
        papers = [p for p in papers if standing(p).part]
    if not papers and arguments.date:
        first, last = store.packaged()[0].report_date, store.packaged()[-1].report_date
        raise UserError(f"no paper of {arguments.date}; the catalogue covers {first} to {last}")
    return _print(papers, arguments.json)


def show_search(arguments: argparse.Namespace) -> int:
    papers = store.search(store.packaged(), " ".join(arguments.words))
    if not papers and not arguments.json:
        raise UserError(f"no paper holds all of {' '.join(arguments.words)!r}; try fewer words")
    return _print(papers, arguments.json)


def show_one(arguments: argparse.Namespace) -> int:
    from assay.cli.standing import standing

    paper = store.find(arguments.paper)
    stands = standing(paper)
    if arguments.json:
        print(json.dumps({**to_json(paper), "standing": stands.as_dict()}, ensure_ascii=False, indent=2))
        return 0
    print(f"{paper.title}\n{paper.url}   {paper.field}/{paper.slug}   report of {paper.report_date}\n")
    print(f"{paper.one_line}\n")
    for claim in paper.claims:
        print(f"  {claim.id}  [{claim.kind}] {claim.text}")
        if claim.figure:
            figure = claim.figure
            against = f", {figure.versus or 'before'}: {figure.baseline:g}" if figure.baseline is not None else ""
            setting = f" ({figure.setting})" if figure.setting else ""
            print(f"      {figure.quantity} {figure.value:g} {figure.unit}{against}{setting}")
    print(f"\n{stands.sentence()}")
    return 0


def _print(papers: Sequence[Paper], as_json: bool) -> int:
    from assay.cli.standing import standing

    if as_json:
        rows = [{**to_json(p), "standing": standing(p).as_dict()} for p in papers]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    width = max((len(p.slug) for p in papers), default=0)
    for paper in papers:
        print(f"{paper.report_date}  {paper.id}  {paper.slug:<{width}}  {standing(paper).word:<9}  {paper.title}")
    built = sum(standing(p).part for p in papers)
    print(f"{len(papers)} papers, {built} with a part that can be imported")
    return 0
