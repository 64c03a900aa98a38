"""`assay digest`: the five-section report of a day's papers, and the score of any report."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli.feed_options import add_feed_options, open_feed
from assay.cli.report_files import read_report
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.papers.digest.reader import Reader
    from assay.papers.digest.run import DigestOptions, DigestResult
    from assay.papers.feed.ledger import Ledger, Row

LIST_FAILED, SOME_FAILED, INTERRUPTED = 5, 4, 130
WORDS = {"today": 0, "yesterday": 1}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dates", nargs="?", metavar="DATE", help="YYYY-MM-DD, A..B, today or yesterday (UTC)")
    add_model_options(parser)
    parser.add_argument("--ids", type=_words, metavar="ID,…", help="only these papers of the day")
    parser.add_argument("--top", type=int, metavar="N", help="only the first N of the day's list")
    parser.add_argument("--budget", metavar="TOKENS", help="stop asking the model after so many, e.g. 500k")
    parser.add_argument("--context", metavar="TOKENS", help="of a paper's text that go to the model (default: 24k)")
    parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="papers in work at a time")
    parser.add_argument("--redo", type=_words, default=(), metavar="ID,…", help="write these anew; `all` for all")
    parser.add_argument("--refresh", action="store_true", help="ask for the day's list again; new papers are appended")
    parser.add_argument(
        "--retry-failed", action=argparse.BooleanOptionalAction, default=True, help="try failed papers again"
    )
    add_feed_options(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: DATE.md here; for several days a folder")
    parser.add_argument("--notify", metavar="CMD", help="run CMD with the report's path once all papers are written")
    parser.add_argument("--dry-run", action="store_true", help="the list, what is cached, the tokens it may take")
    parser.add_argument("--verbose", action="store_true", help="also what was cut or read elsewhere, paper by paper")
    parser.add_argument("--score", type=Path, metavar="FILE", help="instead: how good a report is, whoever wrote it")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")
    parser.set_defaults(run=run)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """`--model` and `--lang`, the same wherever a paper is written up."""
    parser.add_argument("--model", metavar="NAME", help="an Inspect model, or `extractive` for none (or $ASSAY_MODEL)")
    parser.add_argument("--lang", metavar="LANG", help="zh (default) or en; `extractive` writes en alone")


def run(arguments: argparse.Namespace) -> int:
    if arguments.score:
        if arguments.dates:
            raise UserError("--score FILE takes no date: wanted one of the two")
        return run_score(arguments)
    if not arguments.dates:
        raise UserError("digest wants a date: YYYY-MM-DD, A..B, today or yesterday; or --score FILE")
    days = parse_days(arguments.dates, datetime.now(UTC).date())
    notify = _notify_words(arguments.notify)
    options = _options(arguments)
    if arguments.dry_run:
        return _run(lambda: _dry_run(arguments, days, options))
    reader = chosen_reader(arguments.model)
    paths = _paths(arguments.out, days, options.lang)
    seen: list[DigestResult] = []
    code = LIST_FAILED
    try:
        code = _run(lambda: _digest_days(arguments, days, paths, options, reader, seen))
    except KeyboardInterrupt:
        print(_interrupted(days[len(seen)], options.lang), file=sys.stderr)
        return INTERRUPTED
    if arguments.json:
        print(json.dumps([_as_json(result) for result in seen], ensure_ascii=False, indent=2))
    if code == 0 and notify:
        for result in seen:
            _notify(notify, result.path)
    return code


async def _digest_days(
    arguments: argparse.Namespace,
    days: list[date],
    paths: list[Path],
    options: DigestOptions,
    reader: Reader | None,
    seen: list[DigestResult],
) -> int:
    """Every day in turn; a day whose list cannot be had does not keep the others from being written."""
    from assay.papers.digest.run import digest
    from assay.papers.feed.model import FeedError

    codes = []
    async with open_feed(arguments) as feed, open_feed(arguments, kept=not options.refresh) as lists:
        ledger = open_ledger()
        for day, path in zip(days, paths):
            try:
                result = await digest(
                    day, reader=reader, feed=feed, ledger=ledger, out=path, options=options, lists=lists,
                    on_paper=_tell_paper,
                )  # fmt: skip
            except FeedError as error:
                print(f"assay: {day}: {error}; nothing was written", file=sys.stderr)
                codes.append(LIST_FAILED)
                continue
            seen.append(result)
            codes.append(result.exit_code)
            _tell_day(result, reader, verbose=arguments.verbose, quiet=arguments.json)
    return max(codes)


async def _dry_run(arguments: argparse.Namespace, days: list[date], options: DigestOptions) -> int:
    from assay.papers.digest.plan import plan

    kept = not options.refresh
    async with open_feed(arguments, kept=kept) as feed, open_feed(arguments, offline=True) as cached:
        for day in days:
            papers = await plan(day, feed, cached, open_ledger(), options)
            for paper in papers:
                state = paper.stage if paper.stage != "listed" else "cached" if paper.cached else "to fetch"
                gone = ", no longer listed" if paper.gone else ""
                print(f"{paper.id}  {state:<9}{gone}  {paper.tokens:>7,} tokens  {paper.title}")
            total = sum(paper.tokens for paper in papers)
            held = sum(paper.cached for paper in papers)
            print(f"{day}: {len(papers)} papers, {held} cached, about {total:,} tokens to spend with a model")
    return 0


def run_score(arguments: argparse.Namespace) -> int:
    from assay.papers.digest.score import score

    path: Path = arguments.score
    report = read_report(path)
    if not report.entries:
        raise UserError(f"{path} holds no paper's entry: wanted a daily report")

    async def scored() -> int:
        async with open_feed(arguments, offline=True) as feed:
            found = await score(report, feed, open_ledger())
        if arguments.json:
            print(json.dumps({"file": str(path), **found.as_dict()}, ensure_ascii=False, indent=2))
        else:
            print("\n".join([f"{path}", *found.lines()]))
        return 0

    return _run(scored)


def parse_days(text: str, today: date) -> list[date]:
    """One day or a span of days, oldest first; UserError for what is neither, and for the future."""
    first, dots, last = text.partition("..")
    days = [_day(word, text, today) for word in ([first, last] if dots else [first])]
    if days[0] > days[-1]:
        raise UserError(f"bad date span {text!r}: it ends before it begins")
    if days[-1] > today:
        raise UserError(f"{days[-1]} is in the future (today is {today}, UTC)")
    return [days[0] + timedelta(n) for n in range((days[-1] - days[0]).days + 1)]


def parse_tokens(text: str, option: str) -> int:
    """`500k`, `2M` or `120000` as a number of tokens."""
    factor = {"k": 1_000, "m": 1_000_000}.get(text[-1:].lower(), 1)
    try:
        tokens = int(float(text[:-1] if factor > 1 else text) * factor)
    except (ValueError, OverflowError):
        tokens = 0
    if tokens < 1:
        raise UserError(f"bad {option} {text!r}: wanted a number of tokens such as 500k, 2M or 120000")
    return tokens


def chosen_reader(name: str | None) -> Reader | None:
    """The model of `--model` or `$ASSAY_MODEL`; None for `extractive`. UserError where there is none to be had."""
    from assay.papers.digest.reader import EXTRACTIVE, HOW_TO_CHOOSE, open_reader

    name = name or os.environ.get("ASSAY_MODEL")
    if name == EXTRACTIVE:
        return None
    try:
        return open_reader(name)
    except ModuleNotFoundError as error:
        hint = "pip install 'assay-papers[inspect]'"
        raise UserError(f"no model ({error.name} is missing: {hint}): {HOW_TO_CHOOSE}") from error


def chosen_lang(arguments: argparse.Namespace) -> str:
    """The language of `--lang`; where it is not given, English for `extractive` and Chinese otherwise."""
    from assay.papers.digest.prompt import languages
    from assay.papers.digest.reader import EXTRACTIVE

    extractive = (arguments.model or os.environ.get("ASSAY_MODEL")) == EXTRACTIVE
    lang = str(arguments.lang or ("en" if extractive else "zh"))
    if lang not in languages():
        raise UserError(f"bad --lang {lang!r}: wanted one of {', '.join(languages())}")
    if extractive and lang != "en":
        raise UserError(f"--model extractive writes English only: got --lang {lang}, wanted --lang en")
    return lang


def open_ledger() -> Ledger:
    from assay.papers.feed.ledger import Ledger
    from assay.places import data_root

    return Ledger(data_root() / "ledger.sqlite")


def _options(arguments: argparse.Namespace) -> DigestOptions:
    from assay.papers.digest.fit import CONTEXT, LEAST_CONTEXT
    from assay.papers.digest.run import DigestOptions

    context = parse_tokens(arguments.context, "--context") if arguments.context else CONTEXT
    if context < LEAST_CONTEXT:
        raise UserError(f"bad --context {arguments.context!r}: wanted at least {LEAST_CONTEXT}")
    if arguments.top is not None and arguments.top < 1:
        raise UserError(f"bad --top {arguments.top}: wanted at least 1")
    if arguments.concurrency < 1:
        raise UserError(f"bad --concurrency {arguments.concurrency}: wanted at least 1")
    return DigestOptions(
        lang=chosen_lang(arguments),
        limit=arguments.top,
        ids=arguments.ids,
        redo=arguments.redo,
        refresh=arguments.refresh,
        retry_failed=arguments.retry_failed,
        concurrency=arguments.concurrency,
        budget=parse_tokens(arguments.budget, "--budget") if arguments.budget else None,
        context=context,
    )


def _paths(out: Path | None, days: list[date], lang: str) -> list[Path]:
    """Where each day's report goes; its folder must be there."""
    from assay.papers.digest.file import default_name

    folder = out if out and (out.is_dir() or len(days) > 1) else None
    if folder and not folder.is_dir():
        raise UserError(f"--out {folder}: wanted a folder that exists, for the reports of {len(days)} days")
    if out and folder is None:
        if not out.parent.is_dir():
            raise UserError(f"--out {out}: there is no folder {out.parent}")
        return [out]
    return [(folder or Path()) / default_name(day, lang) for day in days]


def _tell_paper(row: Row, done: int, of: int) -> None:
    said = f"{row.reason}: {row.detail}" if row.reason else "written"
    print(f"[{done}/{of}] {row.id} {said}", file=sys.stderr)


def _tell_day(result: DigestResult, reader: Reader | None, *, verbose: bool, quiet: bool) -> None:
    spent = f", {result.tokens_in + result.tokens_out:,} tokens" if result.tokens_in else ""
    spent += f", ${result.cost:.2f}" if result.cost else ""
    failed = f", {len(result.failed)} failed" if result.failed else ""
    if not quiet:
        line = f"{result.path}: {result.listed} papers, {result.written} written{failed}"
        print(f"{line} ({result.done_now} now, {result.seconds:.0f} s{spent})")
    for row in result.failed:
        print(f"{row.id} {row.reason}: {row.detail}", file=sys.stderr)
    if result.failed:
        print("run the same command again to try them once more", file=sys.stderr)
    others = sorted({row.model for row in result.rows if row.entry and row.model} - {_model_name(reader)})
    if others:
        told = f"some entries were written earlier by {', '.join(others)}: --redo all writes them anew"
        print(told, file=sys.stderr)
    for row in result.rows if verbose else ():
        for warning in row.warnings:
            print(f"{row.id} {warning}", file=sys.stderr)


def _model_name(reader: Reader | None) -> str:
    from assay.papers.digest.reader import EXTRACTIVE

    return reader.name if reader else EXTRACTIVE


def _interrupted(day: date, lang: str) -> str:
    rows = open_ledger().rows(day, lang)
    return f"{sum(row.entry is not None for row in rows)} of {len(rows)} written; run again to continue"


def _as_json(result: DigestResult) -> dict[str, object]:
    failed = [{"id": row.id, "reason": row.reason, "detail": row.detail} for row in result.failed]
    return {
        "date": result.date.isoformat(),
        "path": str(result.path),
        "papers": result.listed,
        "written": result.written,
        "failed": failed,
        "done_now": result.done_now,
        "tokens_in": result.tokens_in,
        "tokens_out": result.tokens_out,
        "cost": result.cost,
        "seconds": round(result.seconds, 3),
    }


def _notify_words(command: str | None) -> list[str]:
    if not command:
        return []
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"bad --notify {command!r}: {error}") from error
    if not words or shutil.which(words[0]) is None:
        raise UserError(f"bad --notify {command!r}: there is no program {words[0] if words else ''!r}")
    return words


def _notify(words: list[str], path: Path) -> None:
    done = subprocess.run([*words, str(path)], check=False)
    if done.returncode:
        print(f"--notify {words[0]} exited with {done.returncode} on {path}", file=sys.stderr)


def _day(word: str, whole: str, today: date) -> date:
    if word in WORDS:
        return today - timedelta(WORDS[word])
    try:
        return date.fromisoformat(word)
    except ValueError:
        raise UserError(f"bad date {whole!r}: wanted YYYY-MM-DD, A..B, today or yesterday") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _run(work: Callable[[], Awaitable[int]]) -> int:
    async def main() -> int:
        return await work()

    return asyncio.run(main())
