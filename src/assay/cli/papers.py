"""`assay papers`: the catalogue and the daily reports on the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from assay.cli.files import replacing
from assay.cli.stores import add_store
from assay.errors import UserError
from assay.papers.catalogue import export, store, user
from assay.papers.catalogue.record import Kind, Paper, to_json
from assay.papers.report import Report, canonical, check, parse_file, render
from assay.places import default_catalogue

VERDICTS = ("holds", "fails", "inconclusive", "untried")


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

    claims = verbs.add_parser("claims", help="what the papers claim, one line a claim")
    claims.add_argument("--field", help="one field of work, e.g. post_training")
    claims.add_argument("--kind", choices=get_args(Kind))
    claims.add_argument("--verdict", choices=VERDICTS, help="of the trials of the claim's paper on this machine")
    claims.add_argument("--json", action="store_true")
    add_store(claims)
    claims.set_defaults(run=show_claims)

    stats = verbs.add_parser("stats", help="how many papers and claims, by date, field, source and kind")
    stats.add_argument("--json", action="store_true")
    stats.set_defaults(run=show_stats)

    exporting = verbs.add_parser("export", help="the catalogue as JSON, CSV, BibTeX or Markdown")
    exporting.add_argument("--format", choices=tuple(export.FORMATS), default="json")
    exporting.add_argument("--date", help="YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD")
    exporting.add_argument("--field", help="one field of work, e.g. post_training")
    _add_output(exporting)
    exporting.set_defaults(run=run_export)

    checking = verbs.add_parser("check", help="where daily reports leave their format: exit 0 clean, 1 problems")
    checking.add_argument("files", nargs="+", type=Path, metavar="FILE")
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(run=run_check)

    importing = verbs.add_parser("import", help="the papers of daily reports, into your own catalogue")
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE")
    importing.set_defaults(run=run_import)

    rendering = verbs.add_parser("render", help="a daily report, rewritten in one style")
    rendering.add_argument("file", type=Path, metavar="FILE")
    rendering.add_argument("--style", choices=("canonical", "keep"), default="canonical")
    _add_output(rendering)
    rendering.set_defaults(run=run_render)


def show_list(arguments: argparse.Namespace) -> int:
    from assay.cli.standing import standing

    dates = store.parse_dates(arguments.date) if arguments.date else None
    papers = store.select(catalogue(), dates=dates, field=arguments.field)
    if arguments.built:
        papers = [p for p in papers if standing(p).part]
    if not papers and arguments.date:
        first, last = catalogue()[0].report_date, catalogue()[-1].report_date
        raise UserError(f"no paper of {arguments.date}; the catalogue covers {first} to {last}")
    return _print(papers, arguments.json)


def show_search(arguments: argparse.Namespace) -> int:
    papers = store.search(catalogue(), " ".join(arguments.words))
    if not papers and not arguments.json:
        raise UserError(f"no paper holds all of {' '.join(arguments.words)!r}; try fewer words")
    return _print(papers, arguments.json)


def show_one(arguments: argparse.Namespace) -> int:
    from assay.cli.standing import standing

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


def show_claims(arguments: argparse.Namespace) -> int:
    """A claim has no verdict of its own: what is shown is how the trials of its paper came out."""
    papers = store.select(catalogue(), field=arguments.field)
    outcomes = _outcomes(arguments) if arguments.verdict else {}
    if arguments.verdict == "untried":
        papers = [p for p in papers if p.id not in outcomes]
    elif arguments.verdict:
        papers = [p for p in papers if arguments.verdict in outcomes.get(p.id, {}).values()]
    rows = [
        {**claim, "paper": p.id, "slug": p.slug, "field": p.field, "verdicts": outcomes.get(p.id, {})}
        for p in papers
        for claim in to_json(p)["claims"]
        if arguments.kind in (None, claim["kind"])
    ]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
        return 0
    for row in rows:
        tried = ", ".join(f"{trial}: {outcome}" for trial, outcome in row["verdicts"].items())
        print(f"{row['id']}  [{row['kind']}] {row['text']}{f'  ({tried})' if tried else ''}")
    print(f"{len(rows)} claims of {len({row['paper'] for row in rows})} papers")
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
    _write(export.FORMATS[arguments.format](papers), arguments.output)
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Each problem as `FILE:LINE: CODE: MESSAGE`; a file that cannot be read does not keep the others from it."""
    found: list[dict[str, object]] = []
    unreadable = []
    for path in arguments.files:
        try:
            report = _report(path)
        except UserError as error:
            unreadable.append(str(error))
            continue
        # a reading source that is not one of the two is a fault of form and of content: told once
        told = {(p.line, p.code) for p in report.problems}
        problems = [*report.problems, *(p for p in check(report) if (p.line, p.code) not in told)]
        for problem in sorted(problems, key=lambda p: p.line):
            found.append({"file": str(path), "line": problem.line, "code": problem.code, "message": problem.message})
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for row in found:
            print(f"{row['file']}:{row['line']}: {row['code']}: {row['message']}")
    if unreadable:
        raise UserError("; ".join(unreadable))
    return 1 if found else 0


def run_import(arguments: argparse.Namespace) -> int:
    """Every file is read before the first is taken in, so that a wrong name changes nothing."""
    reports = [(path, _report(path)) for path in arguments.files]
    for path, report in reports:
        if report.date is None:
            raise UserError(f"{path}: no date; a report begins with a line **Date**: YYYY-MM-DD")
    own = user.UserCatalogue(default_catalogue())
    for path, report in reports:
        done = own.add(report)
        left_out = f", {done.left_out} left out (failed, or no paper's link)" if done.left_out else ""
        print(f"{path}: {done.new} papers new, {done.updated} updated{left_out}")
    return 0


def run_render(arguments: argparse.Namespace) -> int:
    report = _report(arguments.file)
    _write(render(canonical(report) if arguments.style == "canonical" else report), arguments.output)
    return 0


def catalogue() -> tuple[Paper, ...]:
    """The packaged papers with the user's own laid over them."""
    own = user.UserCatalogue(default_catalogue()).papers()
    return user.merged(store.packaged(), own) if own else store.packaged()


def _outcomes(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    """Paper id -> trial -> outcome, of the full runs in the results store."""
    from assay.cli.stores import open_store
    from assay.engine.registry import list_trials
    from assay.engine.scoreboard import scoreboard

    papers = {entry.name: entry.paper for entry in list_trials()}
    outcomes: dict[str, dict[str, str]] = {}
    for judged in scoreboard(open_store(arguments, must_exist=False))[0]:
        if judged.name in papers:
            outcomes.setdefault(papers[judged.name], {})[judged.name] = judged.verdict.outcome
    return outcomes


def _report(path: Path) -> Report:
    try:
        return parse_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): convert it first") from error


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of the terminal")


def _write(text: str, path: Path | None) -> None:
    """To the terminal, or to a file that is whole or not there; the text's own line ends are kept."""
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    with replacing(path) as part:
        part.write_bytes(text.encode())


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
