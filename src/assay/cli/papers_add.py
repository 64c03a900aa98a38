"""`assay papers add ID`: fetch one paper, write it up, and keep it in your own catalogue.

`assay papers` hooks it in with `configure(verbs)`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from assay.cli.digest import add_model_options, chosen_lang, chosen_reader, open_ledger
from assay.cli.feed_options import add_feed_options, open_feed
from assay.errors import AssayError, UserError
from assay.papers.report.grammar import DAY_URL

if TYPE_CHECKING:
    from assay.papers.digest.reader import Reader
    from assay.papers.feed.client import Feed

SOME_FAILED = 4


class NotWritten(AssayError):
    """The paper could not be fetched or written; nothing was added."""

    exit_code = SOME_FAILED


def configure(verbs: Any) -> None:
    parser = verbs.add_parser("add", help="fetch one paper, write it up, keep it in your own catalogue")
    parser.add_argument("paper", metavar="ID", help="arXiv id or link")
    add_model_options(parser)
    add_feed_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.papers.catalogue.user import UserCatalogue
    from assay.papers.feed.model import normal_id
    from assay.papers.report import Report, parse, render
    from assay.places import default_catalogue

    try:
        id = normal_id(arguments.paper)
    except ValueError as error:
        raise UserError(str(error)) from error
    lang = chosen_lang(arguments)
    reader = chosen_reader(arguments.model)
    entry = asyncio.run(_entry(arguments, id, lang, reader))
    today = datetime.now(UTC).date()
    report = parse(render(Report(today, f"{DAY_URL}{today}", ())) + entry)
    done = UserCatalogue(default_catalogue()).add(report)
    print(entry.strip().rstrip("=").rstrip())
    print(f"\n{id} is {'new' if done.new else 'written anew'} in your catalogue: assay papers show {id}")
    return 0


async def _entry(arguments: argparse.Namespace, id: str, lang: str, reader: Reader | None) -> str:
    async with open_feed(arguments) as feed:
        return await write_one(id, lang, reader, feed)


async def write_one(id: str, lang: str, reader: Reader | None, feed: Feed) -> str:
    """One paper's entry as a report would hold it; NotWritten says why there is none."""
    from assay.papers.digest.paper import Account, Budget, entry_text, write_extractive, write_paper
    from assay.papers.digest.reader import PaperFailed
    from assay.papers.digest.validate import Fault
    from assay.papers.feed.ledger import RawReply, stamp
    from assay.papers.feed.model import FeedError

    ledger = open_ledger()
    attempt = 1 + max((reply.attempt for reply in ledger.replies(id) if reply.lang == lang), default=0)

    def keep(number: int, text: str, faults: Sequence[Fault]) -> None:
        now = stamp(datetime.now(UTC).timestamp())
        name = reader.name if reader else ""
        ledger.keep_reply(id, RawReply(lang, attempt, number, now, name, tuple(f.code for f in faults), text))

    try:
        document = await feed.text(id)
        if reader:
            written = await write_paper(document, lang, Account(reader, Budget(None), attempt), keep)
        else:
            written = write_extractive(document, lang)
        for warning in (*document.warnings, *written.warnings):
            print(f"{id} {warning}", file=sys.stderr)
        return entry_text(id, document.title or id, written, lang)
    except (FeedError, PaperFailed) as error:
        raise NotWritten(f"{id} {error}; nothing was added") from error
