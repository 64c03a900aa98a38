"""`assay plot`: the estimation plot of a trial."""

from __future__ import annotations

import argparse
from pathlib import Path

from assay.cli.stores import add_store
from assay.cli.verdict import judged_trial


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="trial, paper id, or part of a title")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to, .png, .svg or .pdf (default: NAME.png)")
    add_store(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.engine.plots import check_ending, estimation_plot

    if arguments.out:
        check_ending(arguments.out)
    judged = judged_trial(arguments)
    path = arguments.out or Path(f"{judged.name.split('/')[-1]}.png")
    print(f"wrote {estimation_plot(judged.name, judged.trial, judged.values(), judged.verdict, path)}")
    return 0
