"""Reward responses by the logic of their instructions, and write instructions with a logic (2601.06431)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.lsrif import ConstraintVerifier, Node


def configure(verbs: Any) -> None:
    reward = verbs.add_parser("reward", help="verdict of each constraint, and the structured and the flat reward")
    reward.add_argument("file", type=Path, help='JSONL: {"prompt", "response", "structure"}')
    reward.add_argument("--model", help="Inspect model that judges the constraints without a check")
    reward.add_argument("--decay", type=float, default=0.5, help="left of a step after a failed one (default: 0.5)")
    reward.add_argument("--output", type=Path, metavar="FILE", help="also write the rows with verdicts and rewards")
    reward.add_argument("--json", action="store_true", help="print a JSON object a response")
    reward.set_defaults(run=run_reward)

    instructions = verbs.add_parser("instructions", help="training data: your questions with constraints and a logic")
    instructions.add_argument("file", type=Path, help="text file with one question a line")
    instructions.add_argument("--n", type=int, default=500, help="instructions to write (default: 500)")
    instructions.add_argument("--output", type=Path, required=True, metavar="FILE", help="JSONL or Parquet")
    instructions.add_argument("--model", help="Inspect model that rewords each into one natural request")
    instructions.add_argument(
        "--mix",
        type=float,
        nargs=3,
        default=(1, 1, 1),
        metavar=("ALL", "STEPS", "IF"),
        help="parallel, sequential and conditional ones in this proportion (default: 1 1 1)",
    )
    instructions.add_argument("--seed", type=int, default=0)
    instructions.set_defaults(run=run_instructions)


def run_reward(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.lsrif import structured_reward

    rows = read_jsonl(arguments.file, ("prompt", "response", "structure"))
    trees = [_tree(row, f"{arguments.file}, row {number}") for number, row in enumerate(rows, 1)]
    structured_reward(trees[0], _all_met(trees[0]), decay=arguments.decay)  # a wrong decay shows before a model is paid
    judged = run_sync(_judged, _verifier(arguments.model, trees), rows, trees, arguments.decay)
    written = [{**row, **found} for row, found in zip(rows, judged)]
    if arguments.output is not None:
        write_rows(arguments.output, written)
    for row, found in zip(rows, judged):
        print(json.dumps(found, ensure_ascii=False) if arguments.json else _line(row, found))
    void = sum(found["verdicts"] is None for found in judged)
    if void and not arguments.json:
        print(f"{void} responses got no usable reply from the judge and have no reward")
    return 0


def _tree(row: dict[str, Any], where: str) -> Node:
    from assay.methods.post_training.lsrif import parse

    for name in ("prompt", "response"):
        if not isinstance(row[name], str):
            raise UserError(f"{where}: {name!r} is {row[name]!r}, wanted text")
    try:
        return parse(row["structure"])
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _all_met(tree: Node) -> dict[str, float]:
    from assay.methods.post_training.lsrif import constraints

    return {one.id: 1.0 for one in constraints(tree)}


def _verifier(model: str | None, trees: list[Node]) -> ConstraintVerifier:
    from assay.methods.post_training.lsrif import LLMVerifier, RuleVerifier, constraints

    if model is not None:
        from inspect_ai.model import get_model

        from assay.integrations.inspect.models import complete

        return LLMVerifier(complete(get_model(model)))
    unchecked = [one.id for tree in trees for one in constraints(tree) if one.check is None]
    if unchecked:
        raise UserError(f"constraint {unchecked[0]!r} and {len(unchecked) - 1} others have no check: name a --model")
    return RuleVerifier()


async def _judged(
    verifier: ConstraintVerifier, rows: list[dict[str, Any]], trees: list[Node], decay: float
) -> list[dict[str, Any]]:
    """Verdicts, structured and flat reward of each response; None where the judge gave no usable reply."""
    from functools import partial

    from assay.methods.concurrency import gather
    from assay.methods.parsing import ReplyError
    from assay.methods.post_training.lsrif import constraints, flat_reward, structured_reward

    async def one(row: dict[str, Any], tree: Node) -> dict[str, Any]:
        try:
            verdicts = await verifier.verify(row["prompt"], row["response"], list(constraints(tree)))
        except ReplyError:
            return {"verdicts": None, "structured": None, "flat": None}
        structured = structured_reward(tree, verdicts, decay=decay)
        return {"verdicts": verdicts, "structured": structured, "flat": flat_reward(tree, verdicts)}

    return await gather([partial(one, row, tree) for row, tree in zip(rows, trees)], limit=16)


def _line(row: dict[str, Any], found: dict[str, Any]) -> str:
    if found["verdicts"] is None:
        return f"  void   void  {_short(row['response'])}"
    structured = "     -" if found["structured"] is None else f"{found['structured']:6.3f}"
    verdicts = " ".join(f"{name}={value:g}" for name, value in found["verdicts"].items())
    return f"{structured} {found['flat']:6.3f}  {_short(row['response'])}  {verdicts}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:39] + "…"


def run_instructions(arguments: argparse.Namespace) -> int:
    from collections import Counter
    from functools import partial

    import numpy as np

    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import SUFFIXES, write_rows
    from assay.methods.post_training.lsrif import build_instructions

    if arguments.output.suffix not in SUFFIXES:
        raise UserError(f"--output: got {arguments.output.name}, wanted a name that ends in {' or '.join(SUFFIXES)}")
    if min(arguments.mix) < 0 or sum(arguments.mix) <= 0:
        raise UserError(f"--mix: got {' '.join(map(str, arguments.mix))}, wanted three shares, not all of them 0")
    writer = None
    if arguments.model is not None:
        from inspect_ai.model import get_model

        from assay.integrations.inspect.models import complete

        writer = complete(get_model(arguments.model))
    shares = [share / sum(arguments.mix) for share in arguments.mix]
    made = run_sync(
        partial(
            build_instructions,
            _questions(arguments.file),
            n=arguments.n,
            generator=np.random.default_rng(arguments.seed),
            writer=writer,
            mix=(shares[0], shares[1], shares[2]),
        )
    )
    write_rows(arguments.output, [one.to_row() for one in made.built])
    kinds = Counter(one.kind for one in made.built)
    print(f"{arguments.output}: {', '.join(f'{number} {kind}' for kind, number in sorted(kinds.items()))}")
    print(
        f"turned down: {made.contradictory} draws that exclude themselves, {made.unsatisfiable} that no simple text "
        f"meets; {made.lost_in_rewriting} rewordings that lost a demand"
    )
    return 0


def _questions(file: Path) -> list[str]:
    from assay.cli.rows import read_text

    questions = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if not questions:
        raise UserError(f"{file}: no questions, wanted one a line")
    return questions
