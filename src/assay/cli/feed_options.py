"""The feed as a command opens it: its cache, and whether it may ask the network."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.papers.feed.client import Feed


def add_feed_options(parser: argparse.ArgumentParser) -> None:
    """`--offline` and `--no-cache`, the same on every command that reads from the feed."""
    parser.add_argument("--offline", action="store_true", help="use only what is in the cache")
    parser.add_argument("--no-cache", action="store_true", help="neither use nor keep what is in the cache")


@asynccontextmanager
async def open_feed(arguments: argparse.Namespace, *, offline: bool = False, kept: bool = True) -> AsyncIterator[Feed]:
    """The feed as the options have it; `offline` forbids the network whatever they say, and without `kept` nothing
    is answered out of the cache (but for `--offline`)."""
    from assay.papers.feed.cache import Cache
    from assay.papers.feed.client import Feed
    from assay.papers.feed.http import Http

    if arguments.no_cache and arguments.offline:
        raise UserError("--offline and --no-cache: wanted at most one of them")
    still = offline or arguments.offline
    cache = Cache() if still or (kept and not arguments.no_cache) else None
    try:
        async with Http(cache, offline=still) as http:
            yield Feed(http)
    finally:
        if cache:
            cache.close()
