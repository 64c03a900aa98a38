"""`assay store`: look into the results store; check, export, import, merge and prune it; empty the cache."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from assay.cli.files import replacing
from assay.cli.stores import add_store, open_store
from assay.cli.words import rows

TABLES = ("units", "verdicts", "runs", "machines", "envs")


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    info = verbs.add_parser("info", help="where it is, how large, what is in it")
    info.set_defaults(run=show_info)
    checking = verbs.add_parser("check", help="look for what is wrong: damaged journals, odd keys, unknown trials")
    checking.set_defaults(run=run_check)
    export = verbs.add_parser("export", help="every table as a file of a folder")
    export.add_argument("folder", type=Path)
    export.add_argument("--format", choices=("parquet", "csv", "json"), default="parquet")
    export.set_defaults(run=run_export)
    taking = verbs.add_parser("import", help="add the rows of an exported file, or of a folder of them")
    taking.add_argument("file", type=Path)
    taking.set_defaults(run=run_import)
    merging = verbs.add_parser("merge", help="take in every row of another store that this one lacks")
    merging.add_argument("other", type=Path)
    merging.set_defaults(run=run_merge)
    pruning = verbs.add_parser("prune", help="leave out old results: writes a new file and swaps it in")
    pruning.add_argument("--older-than", required=True, metavar="AGE", help="days, weeks or years: 90d, 12w, 1y")
    pruning.set_defaults(run=run_prune)
    for verb in (info, checking, export, taking, merging, pruning):
        add_store(verb)
    cache = verbs.add_parser("cache", help="how large the cache is (what can be made again), or empty it")
    chosen = cache.add_mutually_exclusive_group()
    chosen.add_argument("--size", action="store_true", help="bytes by kind (the default)")
    chosen.add_argument("--clear", action="store_true", help="remove it, at once")
    cache.set_defaults(run=run_cache)


def show_info(arguments: argparse.Namespace) -> int:
    store = open_store(arguments)
    counts = [(table, str(store.query(f"SELECT count(*) FROM {table}")[0][0])) for table in TABLES]
    print(f"{store.path}, {megabytes(store.path.stat().st_size)}")
    print(rows(counts))
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    from assay.engine.transfer import check

    found = check(open_store(arguments))
    print("\n".join(found) if found else "nothing wrong")
    return 1 if found else 0


def run_export(arguments: argparse.Namespace) -> int:
    from assay.engine.transfer import export

    store = open_store(arguments)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        with replacing(arguments.folder / f"{table}.{arguments.format}") as part:
            export(store, table, part, arguments.format)
    print(f"wrote {len(TABLES)} tables to {arguments.folder}")
    return 0


def run_import(arguments: argparse.Namespace) -> int:
    from assay.engine.transfer import take_in

    print(_new_rows(take_in(open_store(arguments, must_exist=False), arguments.file)))
    return 0


def run_merge(arguments: argparse.Namespace) -> int:
    from assay.engine.transfer import merge

    print(_new_rows(merge(open_store(arguments, must_exist=False), arguments.other)))
    return 0


def _new_rows(counts: Mapping[str, int]) -> str:
    return "new rows: " + ", ".join(f"{table} {count}" for table, count in counts.items())


def run_prune(arguments: argparse.Namespace) -> int:
    import time

    from assay.engine.prune import parse_age, prune

    before = time.time() - parse_age(arguments.older_than) * 86_400
    done = prune(open_store(arguments), before)
    left_out = {table: done.before[table] - done.after[table] for table in TABLES}
    day = time.strftime("%Y-%m-%d", time.localtime(before))
    print(f"left out what is older than {day}: " + ", ".join(f"{n} {t}" for t, n in left_out.items()))
    print(f"{megabytes(done.bytes_before)} -> {megabytes(done.bytes_after)}, logs of {done.logs} runs removed")
    return 0


def run_cache(arguments: argparse.Namespace) -> int:
    from assay.engine.cache import clear, sizes
    from assay.places import cache_root

    found = clear() if arguments.clear else sizes()
    if found:
        print(rows([(name, f"{size:,} bytes") for name, size in found.items()]))
    total = sum(found.values())
    print(f"freed {total:,} bytes of {cache_root()}" if arguments.clear else f"{total:,} bytes in {cache_root()}")
    return 0


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
