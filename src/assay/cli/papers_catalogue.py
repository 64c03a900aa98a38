"""What the verbs of `assay papers` share: the catalogue, its filters, the search index, and writing a text."""

from __future__ import annotations

import argparse
import hashlib
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from assay.cli.files import replacing
from assay.errors import UserError
from assay.papers.catalogue import store, user
from assay.papers.catalogue.record import Paper
from assay.places import cache_root, default_catalogue

if TYPE_CHECKING:
    from assay.papers.search.index import Index

VERDICTS = ("holds", "fails", "inconclusive", "untried")


def catalogue() -> tuple[Paper, ...]:
    """The packaged papers with the user's own laid over them."""
    own = user.UserCatalogue(default_catalogue()).papers()
    return user.merged(store.packaged(), own) if own else store.packaged()


def add_filters(parser: argparse.ArgumentParser) -> None:
    """`--date` and `--field`, the same on every list."""
    parser.add_argument("--date", help="YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD")
    parser.add_argument("--field", help="one field of work, e.g. post_training")


def selected(arguments: argparse.Namespace) -> list[Paper]:
    """The papers that `--date` and `--field` leave; UserError where the date leaves none."""
    everything = catalogue()
    dates = store.parse_dates(arguments.date) if arguments.date else None
    papers = store.select(everything, dates=dates, field=arguments.field)
    if not papers and dates:
        first, last = everything[0].report_date, everything[-1].report_date
        raise UserError(f"no paper of {arguments.date}; the catalogue covers {first} to {last}")
    return papers


def open_index() -> Index:
    """The search index, brought up to date with the catalogue where that has changed. Use it with `with`."""
    from assay.papers.search.document import documents
    from assay.papers.search.index import Index

    index = Index(cache_root() / "papers" / "search.sqlite")
    now = _stamp()
    if index.stamp("catalogue") != now:
        index.sync(documents(catalogue(), user.UserCatalogue(default_catalogue()).entries()))
        index.set_stamp("catalogue", now)
    return index


def write(text: str, path: Path | None) -> None:
    """To the terminal, or to a file that is whole or not there; the text's own line ends are kept."""
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
        return
    with replacing(path) as part:
        part.write_bytes(text.encode())


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="instead of the terminal")


def _stamp() -> str:
    """What the index was filled from: the packaged edition and the state of the user's file."""
    packaged = (files("assay.papers.catalogue") / "data" / "catalogue.jsonl").read_bytes()
    own = default_catalogue()
    state = f"{own} {own.stat().st_size} {own.stat().st_mtime_ns}" if own.exists() else "no file"
    return f"{hashlib.sha256(packaged).hexdigest()} {state}"
