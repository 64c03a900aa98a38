"""Make balanced judging data from your own rollouts, and count how often responses turn back (2601.08468)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from assay.errors import UserError

RATES = (0.1, 0.9)


def configure(verbs: Any) -> None:
    judge = verbs.add_parser("judge-set", help="right and wrong solutions of your model, as prompts for a judge")
    judge.add_argument(
        "file", type=Path, help='JSONL: {"problem", "solution", "correct"}, or "answer" (the gold one) for "correct"'
    )
    judge.add_argument("--output", type=Path, metavar="FILE", required=True, help="where the rows go (JSONL, Parquet)")
    judge.add_argument(
        "--keep-rate",
        type=float,
        nargs=2,
        default=RATES,
        metavar=("LOW", "HIGH"),
        help="shares of right solutions between which a problem is kept (default: 0.1 0.9)",
    )
    judge.add_argument("--all", action="store_true", help="keep all solutions of a problem, not as many of each kind")
    judge.add_argument("--seed", type=int, default=0, help="of the draw among the commoner kind (default: 0)")
    judge.set_defaults(run=run_judge_set)

    backtracking = verbs.add_parser("backtracking", help="doubts and second tries per 1,000 words of each response")
    backtracking.add_argument("file", type=Path, help='JSONL: {"response": "..."}')
    backtracking.add_argument("--field", default="response", metavar="NAME", help="field of the text")
    backtracking.add_argument("--by", metavar="NAME", help="field to group the rows by, such as a model or a step")
    backtracking.add_argument("--phrase", action="append", metavar="TEXT", help="count this instead; may be repeated")
    backtracking.add_argument("--json", action="store_true", help="print the table as JSON")
    backtracking.set_defaults(run=run_backtracking)


def run_judge_set(arguments: argparse.Namespace) -> int:
    import numpy as np

    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.judge_rlvr import build_judge_set

    labels: dict[tuple[str, str], bool] = {}
    solutions: dict[str, list[str]] = {}
    for number, row in enumerate(read_jsonl(arguments.file, ("problem", "solution")), 1):
        problem, solution, right = _labelled(row, f"{arguments.file}, row {number}")
        if labels.setdefault((problem, solution), right) != right:
            raise UserError(f"{arguments.file}, row {number}: the same solution is called right and wrong")
        solutions.setdefault(problem, []).append(solution)
    judged = build_judge_set(
        solutions,
        lambda problem, n: solutions[problem],
        lambda problem, solution: labels[problem, solution],
        per_problem=max(2, *map(len, solutions.values())),
        keep_rate=(arguments.keep_rate[0], arguments.keep_rate[1]),
        balance=not arguments.all,
        generator=np.random.default_rng(arguments.seed),
    )
    write_rows(arguments.output, judged.rows)
    right = sum(row["label"] for row in judged.rows)
    print(f"{arguments.output}: {len(judged.rows)} solutions of {judged.kept} problems, {right} of them right")
    print(
        f"left out: {judged.one_sided} problems with only right or only wrong solutions, {judged.outside_rate} outside "
        f"the pass rates, {judged.unfinished} solutions whose thinking never ended"
    )
    return 0


def _labelled(row: dict[str, Any], where: str) -> tuple[str, str, bool]:
    """Problem, solution without its hidden thinking, and whether its answer is right."""
    from assay.methods.parsing import exact_match, final_answer
    from assay.methods.post_training.judge_rlvr import solution_part

    for name in ("problem", "solution"):
        if not isinstance(row[name], str):
            raise UserError(f"{where}: {name!r} is {row[name]!r}, wanted text")
    solution = solution_part(row["solution"])
    if "correct" in row:
        if row["correct"] not in (0, 1):
            raise UserError(f"{where}: 'correct' is {row['correct']!r}, wanted true or false")
        return row["problem"], solution, bool(row["correct"])
    if row.get("answer") in (None, ""):
        raise UserError(f"{where}: neither 'correct' nor 'answer', the gold answer, to tell whether it is right")
    answer = final_answer(solution)
    return row["problem"], solution, answer is not None and exact_match(answer, str(row["answer"]))


def run_backtracking(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.post_training.judge_rlvr import LEXICON, backtracking_rate

    lexicon = tuple(arguments.phrase or LEXICON)
    rates: dict[str, list[float]] = {}
    wanted = (arguments.field,) if arguments.by is None else (arguments.field, arguments.by)
    for number, row in enumerate(read_jsonl(arguments.file, wanted), 1):
        text = row[arguments.field]
        if not isinstance(text, str):
            raise UserError(f"{arguments.file}, row {number}: {arguments.field!r} is {text!r}, wanted text")
        name = "all" if arguments.by is None else str(row[arguments.by])
        rates.setdefault(name, []).append(backtracking_rate(text, lexicon))
    table = [
        {"of": name, "responses": len(own), "per_1000_words": sum(own) / len(own), "with_any": sum(map(bool, own))}
        for name, own in rates.items()
    ]
    if arguments.json:
        print(json.dumps(table, indent=2, ensure_ascii=False))
    else:
        _print(table)
    return 0


def _print(table: list[dict[str, Any]]) -> None:
    from assay.cli.words import rows

    header = ["", "responses", "per 1,000 words", "with any"]
    shown = [[t["of"], str(t["responses"]), f"{t['per_1000_words']:.1f}", str(t["with_any"])] for t in table]
    print(rows([header, *shown]))
