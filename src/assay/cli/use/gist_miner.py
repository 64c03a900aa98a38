"""Find comments that admit debt on generated code, with the tool's part in it and the kind of debt (2601.07786)."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.files import replacing
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.evaluation._gist_report import GistReport
    from assay.methods.evaluation.gist_miner import Classify

CLEAN, FOUND, UNREAD = 0, 1, 3
FORMATS = ("table", "json", "sarif", "csv", "html")


def configure(verbs: Any) -> None:
    mine = verbs.add_parser("mine", help="look through every source file under a folder")
    mine.add_argument("folder", type=Path, metavar="DIR")
    mine.add_argument("--git", action="store_true", help="read tracked files, and tell ages, authors and survival")
    mine.add_argument("--since", type=_date, metavar="YYYY-MM-DD", help="only comments written from then on")
    mine.add_argument("--until", type=_date, metavar="YYYY-MM-DD", help="only comments written up to then")
    mine.add_argument("--format", choices=FORMATS, default="table")
    mine.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    mine.add_argument("--fail-on", choices=("source", "catalyst", "any", "never"), default="never",
                      help="exit 1 if such a comment is found (default: never)")  # fmt: skip
    mine.add_argument("--model", metavar="M", help="let a model code the comments: any Inspect model")
    mine.add_argument("--include-vendored", action="store_true", help="read vendored and generated files too")
    mine.add_argument("--strict", action="store_true", help="exit 3 if any file could not be read as text")
    mine.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (default: 2)")
    mine.set_defaults(run=run_mine)


def run_mine(arguments: argparse.Namespace) -> int:
    from assay.methods.evaluation.gist_miner import mine

    report = mine(
        arguments.folder,
        arguments.git,
        arguments.since,
        arguments.until,
        jobs=arguments.jobs,
        include_vendored=arguments.include_vendored,
        classify=_classify(arguments.model),
    )
    _write(_formatted(report, arguments.format), arguments.output)
    return _exit_code(report, arguments)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}, wanted a day such as 2022-11-01") from None


def _classify(model: str | None) -> Classify:
    from assay.methods.evaluation.gist_miner import classify_all

    if model is None:
        return classify_all
    from assay.integrations.inspect.models import complete
    from assay.methods.evaluation._gist_model import ModelCoder

    return ModelCoder(complete(model))


def _formatted(report: GistReport, form: str) -> str:
    from assay.cli.gist_page import as_page
    from assay.methods.evaluation._gist_formats import as_csv, as_sarif, as_table

    if form == "json":
        return report.to_json()
    return {"table": as_table, "csv": as_csv, "sarif": as_sarif, "html": as_page}[form](report)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    if not output.parent.is_dir():
        raise UserError(f"no such folder: {output.parent}")
    with replacing(output) as part:
        part.write_text(text, encoding="utf-8")


def _exit_code(report: GistReport, arguments: argparse.Namespace) -> int:
    unread = [path for path, why in report.skipped if why in ("unreadable", "not text")]
    if unread:
        print(f"assay: {len(unread)} files could not be read as text, the first {unread[0]}", file=sys.stderr)
        if arguments.strict:
            return UNREAD
    roles = report.by_role()
    wanted = {"never": 0, "any": sum(roles.values())}.get(arguments.fail_on, roles.get(arguments.fail_on, 0))
    return FOUND if wanted else CLEAN
