"""`assay store`: look into the results store, check, merge and export it."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay.cli.files import replacing
from assay.cli.stores import add_store, open_store
from assay.cli.words import rows

TABLES = ("units", "verdicts", "runs", "machines", "envs")


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    info = verbs.add_parser("info", help="where it is, how large, what is in it")
    add_store(info)
    info.set_defaults(run=show_info)
    export = verbs.add_parser("export", help="every table as a file of a folder")
    export.add_argument("folder", type=Path)
    export.add_argument("--format", choices=("parquet", "csv", "json"), default="parquet")
    add_store(export)
    export.set_defaults(run=run_export)


    checking = verbs.add_parser("check", help="look for what is wrong: damaged journals, odd keys, unknown trials")
    add_store(checking)
    checking.set_defaults(run=run_check)
    merging = verbs.add_parser("merge", help="take in every row of another store that this one lacks")
    merging.add_argument("other", type=Path)
    add_store(merging)
    merging.set_defaults(run=run_merge)


def run_check(arguments: argparse.Namespace) -> int:
    from assay.engine.transfer import check

    found = check(open_store(arguments))
    print("\n".join(found) if found else "nothing wrong")
    return 1 if found else 0


def run_merge(arguments: argparse.Namespace) -> int:
    from assay.engine.transfer import merge

    new = merge(open_store(arguments, must_exist=False), arguments.other)
    print("new rows: " + ", ".join(f"{table} {count}" for table, count in new.items()))
    return 0


def show_info(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    counts = [(table, str(store.query(f"SELECT count(*) FROM {table}")[0][0])) for table in TABLES]
    print(f"{store.path}, {store.path.stat().st_size / 1e6:.1f} MB")
    print(rows(counts))
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        with replacing(arguments.folder / f"{table}.{arguments.format}") as part:
            target = str(part).replace("'", "''")
            store.query(f"COPY {table} TO '{target}' (FORMAT {arguments.format})")
    print(f"wrote {len(TABLES)} tables to {arguments.folder}")
    return 0
