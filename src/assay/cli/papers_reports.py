"""`assay papers check|import|render`: daily reports as files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from assay.cli.papers_catalogue import add_output, write
from assay.cli.report_files import read_report
from assay.errors import UserError
from assay.papers.catalogue.user import UserCatalogue
from assay.papers.report import canonical, check, render
from assay.places import default_catalogue


def configure(verbs: Any) -> None:
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
    add_output(rendering)
    rendering.set_defaults(run=run_render)


def run_check(arguments: argparse.Namespace) -> int:
    """Each problem as `FILE:LINE: CODE: MESSAGE`; a file that cannot be read does not keep the others from it."""
    found: list[dict[str, object]] = []
    unreadable = []
    for path in arguments.files:
        try:
            report = read_report(path)
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
    reports = [(path, read_report(path)) for path in arguments.files]
    for path, report in reports:
        if report.date is None:
            raise UserError(f"{path}: no date; a report begins with a line **Date**: YYYY-MM-DD")
    own = UserCatalogue(default_catalogue())
    for path, report in reports:
        done = own.add(report)
        left_out = f", {done.left_out} left out (failed, or no paper's link)" if done.left_out else ""
        print(f"{path}: {done.new} papers new, {done.updated} updated{left_out}")
    return 0


def run_render(arguments: argparse.Namespace) -> int:
    report = read_report(arguments.file)
    write(render(canonical(report) if arguments.style == "canonical" else report), arguments.output)
    return 0
