"""Show by how much group-relative advantages are off, prompt difficulty by difficulty, in your rewards (2601.08521)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.hadw import DifficultyBin


def configure(verbs: Any) -> None:
    bias = verbs.add_parser("bias", help="bias, wasted groups and HA-DW weights by difficulty, from logged rewards")
    bias.add_argument("file", type=Path, help="CSV (with a header line) or Parquet, one rollout a row")
    bias.add_argument("--group-column", default="prompt_id", help="which prompt a row is of (default: prompt_id)")
    bias.add_argument("--reward-column", default="reward", help="0 or 1; empty: not scored (default: reward)")
    bias.add_argument("--step-column", help="number of the step or epoch; without it a prompt's rows are one group")
    bias.add_argument("--success-at", type=float, metavar="R", help="count rewards of at least R as right")
    bias.add_argument("--json", action="store_true", help="print the table as JSON")
    bias.set_defaults(run=run_bias)


def run_bias(arguments: argparse.Namespace) -> int:
    import numpy as np

    from assay.cli.rows import numbers, read_columns
    from assay.methods.post_training.hadw import bias_report

    names = [arguments.group_column, arguments.reward_column]
    if arguments.step_column is not None:
        names.append(arguments.step_column)
    prompts, rewards, *steps = read_columns(arguments.file, names)
    reward = np.array(numbers(rewards, arguments.reward_column, empty=float("nan")))
    if arguments.success_at is not None:
        reward = np.where(np.isnan(reward), np.nan, reward >= arguments.success_at)
    elif not np.isin(reward[~np.isnan(reward)], (0, 1)).all():
        raise UserError(f"column {arguments.reward_column!r} holds more than 0 and 1: say --success-at R")
    step = numbers(steps[0], arguments.step_column) if steps else None
    bins = bias_report(reward, np.array([str(prompt) for prompt in prompts]), step)
    if arguments.json:
        from dataclasses import asdict

        print(json.dumps([asdict(one) for one in bins], indent=2))
    else:
        print_table(bins, unscored=int(np.isnan(reward).sum()))
    return 0


def print_table(bins: Sequence[DifficultyBin], unscored: int) -> None:
    """One line a range of success rates; a dash where no group was mixed."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    table.add_column("solved")
    for name in ("prompts", "groups", "mean", "bias", "wasted", "right ×", "wrong ×"):
        table.add_column(name, justify="right")

    def shown(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    for one in bins:
        table.add_row(
            one.difficulty,
            str(one.prompts),
            str(one.groups),
            f"{one.success_rate:.3f}",
            shown(one.bias, "+.3f"),
            f"{one.wasted:.0%}",
            shown(one.weight_right, ".2f"),
            shown(one.weight_wrong, ".2f"),
        )
    Console().print(table)
    print("bias: success rate less the mixed group's mean; below 0, right answers are paid too little")
    print("wasted: groups all right or all wrong; right ×, wrong ×: mean HA-DW weight of such a response")
    if unscored:
        print(f"{unscored} unscored rows were left out")
