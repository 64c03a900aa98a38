"""The results store that a command reads or writes, as the user names it."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay.engine.store import Store
from assay.errors import UserError


def add_store(parser: argparse.ArgumentParser) -> None:
    """The `--store` option, the same on every command."""
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="results file (default: $ASSAY_STORE or your data folder)"
    )


def store_path(arguments: argparse.Namespace) -> Path:
    """The file named by `--store`, `$ASSAY_STORE` or the data folder."""
    from assay.places import default_store

    chosen: Path | None = arguments.store
    return chosen.expanduser() if chosen else default_store()


def open_store(arguments: argparse.Namespace, *, must_exist: bool = True) -> Store:
    """The store, with the journals of runs that were cut off taken in; UserError where there is none to read."""
    path = store_path(arguments)
    store = Store(path)
    if path.exists() or store.journals.is_dir():
        store.replay()
    elif must_exist:
        raise UserError(f"no results at {path} yet: try a claim first (assay run hadw), or name a file with --store")
    return store
