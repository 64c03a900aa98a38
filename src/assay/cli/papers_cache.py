"""`assay papers cache`: what the feed has kept of the web, and how to forget it.

`assay papers` hooks it in by calling `configure(verbs)` with the object that its `add_subparsers` returned.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any


def configure(verbs: Any) -> None:
    """Add the verb `cache` with its own two verbs; `cache` alone is `cache stats`."""
    cache = verbs.add_parser("cache", help="pages kept of the web: stats (the default) or clear")
    cache.set_defaults(run=show_stats, json=False)
    actions = cache.add_subparsers(title="verbs", metavar="VERB")
    stats = actions.add_parser("stats", help="pages and megabytes kept, by host")
    stats.add_argument("--json", action="store_true")
    stats.set_defaults(run=show_stats)
    clear = actions.add_parser("clear", help="forget every page")
    clear.set_defaults(run=run_clear)


def show_stats(arguments: argparse.Namespace) -> int:
    """One line a host; megabytes as they came and as they lie on disk."""
    from assay.cli.words import rows
    from assay.papers.feed.cache import Cache, default_cache

    path = default_cache()
    usage = []
    if path.exists():
        with Cache(path) as cache:
            usage = cache.usage()
    if arguments.json:
        print(json.dumps({"path": str(path), "hosts": [asdict(one) for one in usage]}, indent=2))
        return 0
    if usage:
        table = [("host", "pages", "MB", "MB on disk")]
        table += [(u.host, str(u.answers), f"{u.bytes / 1e6:.1f}", f"{u.stored / 1e6:.1f}") for u in usage]
        print(rows(table))
    print(f"{sum(u.answers for u in usage)} pages in {path}")
    return 0


def run_clear(arguments: argparse.Namespace) -> int:
    from assay.papers.feed.cache import Cache, default_cache

    path = default_cache()
    if not path.exists():
        print(f"nothing to forget: there is no {path}")
        return 0
    before = path.stat().st_size
    with Cache(path) as cache:
        count = cache.clear()
    print(f"{count} pages forgotten, {max(0, before - path.stat().st_size) / 1e6:.1f} MB freed")
    return 0
