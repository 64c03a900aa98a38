"""Sort solutions of each problem by strategy: clusters, weights by rarity, pass@k and strategies found (2601.08763)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.uniqueness import Partition


def configure(verbs: Any) -> None:
    strategies = verbs.add_parser("strategies", help="clusters, weights and pass@k of sampled solutions, by problem")
    strategies.add_argument("file", type=Path, help='JSONL: {"problem": "...", "solution": "...", "correct": true}')
    judge = strategies.add_mutually_exclusive_group(required=True)
    judge.add_argument("--model", help="Inspect model that says which solutions share an idea, one call a problem")
    judge.add_argument("--field", metavar="NAME", help="field of a row that names its strategy; no model is asked")
    strategies.add_argument("--alpha", type=float, default=1.0, help="power of the cluster's size (default: 1)")
    strategies.add_argument("--output", type=Path, metavar="FILE", help="also write the rows with cluster and weight")
    strategies.add_argument("--json", action="store_true", help="print the table as JSON")
    strategies.set_defaults(run=run_strategies)


def run_strategies(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.uniqueness import Uniqueness, cluster_ids

    alpha = Uniqueness(arguments.alpha).alpha  # checks it before a model is asked
    problems, skipped = by_problem(
        read_jsonl(arguments.file, ("problem", "solution", "correct")), arguments.field, arguments.file
    )
    partitions, void = judged(problems, arguments)
    lines = []
    for (problem, rows), partition in zip(problems.items(), partitions):
        clusters = cluster_ids(partition, len(rows))
        for row, cluster in zip(rows, clusters):
            row["cluster"], row["weight"] = cluster, clusters.count(cluster) ** -alpha
        lines.append(described(problem, rows))
    if arguments.output is not None:
        write_rows(arguments.output, [row for rows in problems.values() for row in rows])
    if arguments.json:
        print(json.dumps(lines, indent=2, ensure_ascii=False))
        return 0
    print_table(lines)
    if skipped:
        print(f"{skipped} problems with a single solution were left out")
    if void:
        print(f"{void} problems got no usable reply from {arguments.model}: each solution counts as a strategy there")
    return 0


def by_problem(
    rows: list[dict[str, Any]], field: str | None, file: Path
) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Rows by problem, in the order of the file, and how many problems had to be left out for a single solution."""
    problems: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(rows, 1):
        for name in ("problem", "solution"):
            if not isinstance(row[name], str):
                raise UserError(f"{file}, row {number}: {name!r} is {row[name]!r}, wanted text")
        if row["correct"] not in (0, 1):
            raise UserError(f"{file}, row {number}: 'correct' is {row['correct']!r}, wanted true or false")
        if field is not None and not isinstance(row.get(field), (str, int)):
            raise UserError(f"{file}, row {number}: no {field!r} that names a strategy; it has {', '.join(row)}")
        problems.setdefault(row["problem"], []).append(dict(row))
    several = {problem: own for problem, own in problems.items() if len(own) > 1}
    if not several:
        raise UserError(f"{file}: no problem with two solutions or more, so there is nothing to sort")
    return several, len(problems) - len(several)


def judged(problems: dict[str, list[dict[str, Any]]], arguments: argparse.Namespace) -> tuple[list[Partition], int]:
    """Each problem's clusters, and for how many the model gave no usable reply."""
    from functools import partial

    from assay.methods.concurrency import gather, run_sync
    from assay.methods.post_training.uniqueness import LLMStrategyJudge, SignatureJudge

    if arguments.field is not None:
        named = [[str(row[arguments.field]) for row in rows] for rows in problems.values()]
        by_name = SignatureJudge(str)
        return [run_sync(by_name.partition, "", names) for names in named], 0

    from inspect_ai.model import get_model

    from assay.integrations.inspect.models import complete

    judge = LLMStrategyJudge(complete(get_model(arguments.model)))
    texts = {problem: [row["solution"] for row in rows] for problem, rows in problems.items()}

    async def everything() -> list[Partition]:
        return await gather([partial(judge.partition, *item) for item in texts.items()], limit=16)

    return run_sync(everything), judge.void


def described(problem: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One problem's line: its solutions, clusters, and pass@1, pass@n and the area under the curve between them."""
    from assay.methods.metrics import auc_at_k, pass_at_k

    n, right = len(rows), sum(bool(row["correct"]) for row in rows)
    curve = [pass_at_k(n, right, k) for k in range(1, n + 1)]
    clusters = [row["cluster"] for row in rows]
    return {
        "problem": problem,
        "solutions": n,
        "correct": right,
        "strategies": len(set(clusters)),
        "right_strategies": len({row["cluster"] for row in rows if row["correct"]}),
        "largest": max(map(clusters.count, clusters)),
        "pass@1": curve[0],
        f"pass@{n}": curve[-1],
        "auc": auc_at_k(curve),
    }


def print_table(lines: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    table.add_column("problem", max_width=40, no_wrap=True, overflow="ellipsis")
    for name in ("solutions", "right", "strategies", "of them right", "largest", "pass@1", "AUC"):
        table.add_column(name, justify="right")
    for line in lines:
        counts = [line[name] for name in ("solutions", "correct", "strategies", "right_strategies", "largest")]
        table.add_row(line["problem"], *map(str, counts), f"{line['pass@1']:.3f}", f"{line['auc']:.3f}")
    Console().print(table)
    print("largest: solutions of the commonest strategy; AUC: mean height of pass@1 ... pass@n, n = solutions")
