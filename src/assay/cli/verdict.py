"""`assay verdict`: the verdict on one trial, from the store."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from assay.cli.run import EXPECTATION, OUTCOMES
from assay.cli.stores import add_store, open_store
from assay.cli.words import verdict_lines
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.engine.scoreboard import Judged


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="trial, paper id, or part of a title")
    parser.add_argument("--expect", choices=OUTCOMES, help="exit 6 on another verdict (for CI)")
    parser.add_argument("--json", action="store_true")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import sys

    judged = judged_trial(arguments)
    if arguments.json:
        print(json.dumps({"trial": judged.name, "paper": judged.trial.paper, **asdict(judged.verdict)}, indent=2))
    else:
        print("\n".join(verdict_lines(judged.name, judged.trial, judged.verdict, colour=sys.stdout.isatty())))
    return EXPECTATION if arguments.expect and judged.verdict.outcome != arguments.expect else 0


def judged_trial(arguments: argparse.Namespace) -> Judged:
    """The one trial that `arguments.name` means, judged by what the store holds of it; UserError if nothing."""
    from assay.engine import registry
    from assay.engine.scoreboard import scoreboard

    entry = registry.find(arguments.name)
    store = open_store(arguments)
    board, notes = scoreboard(store, names=[entry.name], plan=True)
    if not board:
        why = f" ({notes[0]})" if notes else ""
        raise UserError(f"no full run of {entry.name} is stored{why}: assay run {entry.name}")
    return board[0]
