"""`assay serve page`: the scoreboard in the browser. `assay serve PAPER …`: a paper's tools over MCP, for agents."""

from __future__ import annotations

import argparse
from contextlib import suppress
from pathlib import Path

from assay.cli import papers_serve, safepred_serve, toolsafe_serve
from assay.cli.stores import add_store, open_store
from assay.errors import StoreLocked, UserError


def configure(parser: argparse.ArgumentParser) -> None:
    served = parser.add_subparsers(title="what to serve", metavar="WHAT", required=True)
    page = served.add_parser("page", help="the scoreboard on this machine, over HTTP, refreshed while trials run")
    page.add_argument("--port", type=int, default=8124, metavar="N", help="default 8124; 0 takes any free one")
    add_store(page)
    page.set_defaults(run=run_page)
    astro = served.add_parser("astroreason", help="the planning session of one case")
    astro.add_argument(
        "case", type=Path, metavar="CASE", help="folder of the case; `assay use astroreason new` makes one"
    )
    astro.add_argument("--transport", choices=("stdio", "sse", "streamable-http"), default="stdio")
    astro.set_defaults(run=run_astroreason)
    arena = served.add_parser("arenarl", help="the travel desk of a made-up city, for the task assay/open_travel")
    arena.add_argument("--seed", type=int, default=0, metavar="N", help="which city (default: 0)")
    arena.add_argument("--transport", choices=("stdio", "sse", "streamable-http"), default="stdio")
    arena.set_defaults(run=run_arenarl)
    papers_serve.configure(served.add_parser("papers", help="the catalogue for agents: search, papers, claims"))
    safepred_serve.configure(served.add_parser("safepred", help="a guard that looks ahead, likewise: `… -- COMMAND`"))
    toolsafe_serve.configure(served.add_parser("toolsafe", help="a guard before any MCP server: `… -- COMMAND`"))


def run_page(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    from assay.cli.page_server import PageServer, Shown
    from assay.cli.report import page_of
    from assay.cli.status import live_now, run_lines, stamp_of
    from assay.engine.scoreboard import scoreboard

    store = open_store(arguments, must_exist=False)
    last: list[tuple[object, str]] = []

    def make() -> Shown:
        running = [run for run in live_now(store) if run.alive]
        told = [line for run in running for line in run_lines(run).splitlines()]
        now = [stamp_of(store), told]
        if not last or last[0][0] != now:
            store.notes.clear()
            try:
                board, notes = scoreboard(store)
                last[:] = [(now, page_of(board, store, [*told, *notes]))]
            except StoreLocked:
                if not last:  # else the page stays as it was until the store is free
                    raise
        return Shown(last[0][1], bool(running))

    with PageServer(make, arguments.port) as server, suppress(KeyboardInterrupt):
        print(f"the scoreboard is at {server.url} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
    return 0


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


def run_arenarl(arguments: argparse.Namespace) -> int:
    """Serve the places of a seed's city, the same whatever the requests."""
    from assay.integrations.mcp import serve
    from assay.worlds.city import world
    from assay.worlds.city_desk import CityDesk

    desk = CityDesk(world(requests=1).sample(arguments.seed))
    serve("city", desk.tools(), arguments.transport, read_only=True)
    return 0
