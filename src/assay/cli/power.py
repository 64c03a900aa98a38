"""`assay power`: how many seeds a trial needs, from the spread seen so far."""

from __future__ import annotations

import argparse

from assay.cli.stores import add_store
from assay.cli.verdict import judged_trial
from assay.cli.words import rows
from assay.errors import UserError

SEEDS = (6, 8, 10, 12, 16, 20, 24, 32, 48, 64)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="trial, paper id, or part of a title")
    parser.add_argument("--effect", type=float, help="true effect in units of the bar (default: twice the bar)")
    parser.add_argument("--seeds", type=int, metavar="N", help="only this number of seeds")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.engine.power import power

    if arguments.seeds is not None and arguments.seeds < 2:
        raise UserError(f"bad --seeds {arguments.seeds}: wanted at least 2")
    judged = judged_trial(arguments)
    try:
        points = power(
            judged.trial,
            judged.units,
            [arguments.seeds] if arguments.seeds else SEEDS,
            effect=arguments.effect,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    effect = f"{arguments.effect:g}" if arguments.effect is not None else "the expected one"
    print(f"{judged.name}: chance to hold, by the rule itself on resampled differences")
    table = [("seeds", "effect on the bar", f"effect {effect}")]
    table += [(str(p.seeds), f"{p.at_bar:.3f}", f"{p.at_expected:.3f}") for p in points]
    print(rows(table))
    if needed := judged.verdict.seeds_needed:
        print(f"seeds needed at the effect seen: ≈ {needed.value} seeds ({needed.low}–{needed.high})")
    return 0
