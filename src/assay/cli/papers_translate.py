"""`assay papers translate FILE --to LANG`: a daily report in another language, its numbers and links unchanged.

`assay papers` hooks it in with `configure(verbs)`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from assay.cli.digest import SOME_FAILED, chosen_reader
from assay.cli.files import replacing
from assay.cli.report_files import read_report
from assay.errors import UserError


def configure(verbs: Any) -> None:
    parser = verbs.add_parser("translate", help="a daily report in another language; numbers, links and code stay")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--to", required=True, metavar="LANG", help="zh or en")
    parser.add_argument("--model", metavar="NAME", help="an Inspect model (or $ASSAY_MODEL)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: NAME.LANG.md beside FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.papers.digest.prompt import languages
    from assay.papers.digest.translate import translate
    from assay.papers.report import render

    path: Path = arguments.file
    if arguments.to not in languages():
        raise UserError(f"bad --to {arguments.to!r}: wanted one of {', '.join(languages())}")
    report = read_report(path)
    if report.date is None or not report.entries:
        raise UserError(f"{path} holds no paper's entry: wanted a daily report")
    if report.lang == arguments.to:
        raise UserError(f"{path} is in {arguments.to} already")
    reader = chosen_reader(arguments.model)
    if reader is None:
        raise UserError("--model extractive cannot translate: name an Inspect model with --model or ASSAY_MODEL")
    target: Path = arguments.output or path.with_name(f"{path.stem}.{arguments.to}.md")
    if target.exists() and target.samefile(path):
        raise UserError(f"{target} is the report itself: name another file with -o")

    def tell(id: str) -> None:
        print(f"{id} done", file=sys.stderr)

    try:
        done = asyncio.run(translate(report, arguments.to, reader, on_paper=tell))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    with replacing(target) as part:
        part.write_bytes(render(done.report).encode())
    print(f"{target}: {len(report.entries)} papers, {len(done.failed)} failed, {done.tokens:,} tokens")
    for id, reason, detail in done.failed:
        print(f"{id} {reason}: {detail}", file=sys.stderr)
    return SOME_FAILED if done.failed else 0
