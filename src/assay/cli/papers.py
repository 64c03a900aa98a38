"""`assay papers`: the catalogue on the command line. Its other verbs stand in the modules `papers_*` beside this."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from assay.cli import (
    papers_add,
    papers_cache,
    papers_reports,
    papers_search,
    papers_status,
    papers_translate,
)
from assay.cli.papers_catalogue import VERDICTS, add_filters, add_output, catalogue, selected, write
from assay.cli.stores import add_store
from assay.papers.catalogue import export, store, user
from assay.papers.catalogue.record import Paper, to_json
from assay.places import default_catalogue


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    parser.set_defaults(
        run=show_list, date=None, field=None, verdict=None, built=False, open=False, json=False, store=None
    )

    listing = verbs.add_parser("list", help="the papers, by date (the default)")
    add_filters(listing)
    listing.add_argument("--verdict", choices=VERDICTS, help="of the paper's trials on this machine")
    listing.add_argument("--open", action="store_true", help="only papers that are not closed (see status)")
    listing.add_argument("--built", action="store_true", help="only papers whose part can be imported")
    listing.add_argument("--json", action="store_true")
    add_store(listing)
    listing.set_defaults(run=show_list)

    one = verbs.add_parser("show", help="one paper: claims, figures, what is built")
    one.add_argument("paper", help="arXiv id, slug, link or part of the title")
    one.add_argument("--raw", action="store_true", help="what models replied when they wrote it up")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=show_one)

    papers_search.configure(verbs)
    papers_status.configure(verbs)

    stats = verbs.add_parser("stats", help="how many papers and claims, by date, field, source and kind")
    stats.add_argument("--json", action="store_true")
    stats.set_defaults(run=show_stats)

    exporting = verbs.add_parser("export", help="the catalogue as JSON, CSV, BibTeX or Markdown")
    exporting.add_argument("--format", choices=tuple(export.FORMATS), default="json")
    add_filters(exporting)
    add_output(exporting)
    exporting.set_defaults(run=run_export)

    for module in (papers_add, papers_reports, papers_translate, papers_cache):
        module.configure(verbs)


def show_list(arguments: argparse.Namespace) -> int:
    from assay.cli.standing import standing

    papers = selected(arguments)
    if arguments.built:
        papers = [p for p in papers if standing(p).part]
    if arguments.verdict or arguments.open:
        from assay.cli.papers_verdicts import StoreVerdicts

        source = StoreVerdicts(arguments, papers)
        if arguments.verdict:
            outcomes = source.outcomes()
            papers = [p for p in papers if arguments.verdict in outcomes.get(p.id, ["untried"])]
        if arguments.open:
            papers = papers_status.stands_open(papers, {judged.name: judged for judged in source.board})
    return _print(papers, arguments.json)


def show_one(arguments: argparse.Namespace) -> int:
    from assay.cli.standing import standing

    if arguments.raw:
        from assay.cli.papers_raw import show_raw

        return show_raw(arguments.paper, as_json=arguments.json)
    paper = store.find(arguments.paper, catalogue())
    stands = standing(paper)
    if arguments.json:
        print(json.dumps({**to_json(paper), "standing": stands.as_dict()}, ensure_ascii=False, indent=2))
        return 0
    print(f"{paper.title}\n{paper.url}   {paper.field or 'no field'}/{paper.slug}   report of {paper.report_date}\n")
    print(f"{paper.one_line}\n")
    for claim in paper.claims:
        print(f"  {claim.id}  [{claim.kind}] {claim.text}")
        if claim.figure:
            figure = claim.figure
            against = f", {figure.versus or 'before'}: {figure.baseline:g}" if figure.baseline is not None else ""
            setting = f" ({figure.setting})" if figure.setting else ""
            print(f"      {figure.quantity} {figure.value:g} {figure.unit}{against}{setting}")
    if paper.origin == "user" and (entry := user.UserCatalogue(default_catalogue()).entry(paper.id)):
        print(f"\n{entry.strip().rstrip('=').rstrip()}")
    print(f"\n{stands.sentence()}")
    return 0


def show_stats(arguments: argparse.Namespace) -> int:
    counts = export.stats(catalogue())
    if arguments.json:
        print(json.dumps(counts, ensure_ascii=False, indent=2))
        return 0
    for name, count in counts.items():
        if isinstance(count, dict):
            told = ", ".join(f"{key} {value}" for key, value in count.items())
            print(f"{name.replace('_', ' ')}: {told}")
        else:
            print(f"{name.replace('_', ' ')}: {count}")
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    dates = store.parse_dates(arguments.date) if arguments.date else None
    papers = store.select(catalogue(), dates=dates, field=arguments.field)
    write(export.FORMATS[arguments.format](papers), arguments.output)
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
