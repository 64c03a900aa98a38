"""`assay serve papers`: the catalogue's three tools over MCP, which read and change nothing."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from assay.cli.stores import add_store

if TYPE_CHECKING:
    from assay.papers.search.index import Index

INSTRUCTIONS = "AI papers with their claims, and how each claim came out where it was put to the test on this machine."


def configure(parser: Any) -> None:
    """The options of the command; `assay serve` adds it to its own."""
    parser.add_argument("--transport", choices=("stdio", "sse", "streamable-http"), default="stdio")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.cli.papers_catalogue import catalogue, open_index
    from assay.cli.papers_verdicts import StoreVerdicts
    from assay.integrations.mcp import serve
    from assay.papers.catalogue.user import UserCatalogue
    from assay.papers.search.embed import SentenceEncoder
    from assay.papers.tools import tools
    from assay.places import default_catalogue

    papers = catalogue()
    verdicts = StoreVerdicts(arguments, papers)
    entries = UserCatalogue(default_catalogue()).entries()

    def opened() -> Index:
        index = open_index()
        index.set_verdicts(verdicts.outcomes())
        return index

    offered = tools(papers, entries, opened, SentenceEncoder, verdicts)
    serve("papers", offered, arguments.transport, instructions=INSTRUCTIONS, read_only=True)
    return 0
