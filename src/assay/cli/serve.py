"""`assay serve PAPER …`: a paper's tools over MCP, for any agent that speaks it."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay.errors import UserError


def configure(parser: argparse.ArgumentParser) -> None:
    papers = parser.add_subparsers(title="papers", metavar="PAPER", required=True)
    astro = papers.add_parser("astroreason", help="the planning session of one case")
    astro.add_argument(
        "case", type=Path, metavar="CASE", help="folder of the case; `assay use astroreason new` makes one"
    )
    astro.add_argument("--transport", choices=("stdio", "sse", "streamable-http"), default="stdio")
    astro.set_defaults(run=run_astroreason)


def run_astroreason(arguments: argparse.Namespace) -> int:
    """Serve a case's session; its state lies in session.json beside the case, where scripts can open it too."""
    from assay.integrations.mcp import serve
    from assay.methods.evaluation.astroreason import Session, load_case

    try:
        case = load_case(arguments.case)
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
    folder = arguments.case if arguments.case.is_dir() else arguments.case.parent
    serve("astroreason", Session(case, folder / "session.json").tools(), arguments.transport)
    return 0
