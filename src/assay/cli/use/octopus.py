"""Splice sampled responses into self-corrections, with what to hide from the loss (2602.08503)."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.octopus import Row

Rows = list[dict[str, Any]]


def configure(verbs: Any) -> None:
    splice = verbs.add_parser("splice", help="of each prompt's responses, pairs of a first and a second attempt")
    splice.add_argument(
        "file", type=Path, help='JSONL: {"prompt", "response", "correct"}, the last of its final answer'
    )
    splice.add_argument("--output", type=Path, metavar="FILE", required=True, help="where the rows go (JSONL, Parquet)")
    splice.add_argument("--target", type=int, help="rows a prompt, its responses included (default: twice as many)")
    splice.add_argument("--responses", type=int, metavar="N", help="responses a group; prompts must have a multiple")
    splice.add_argument("--stage", type=int, choices=(1, 2), default=1, help="of training, for what is hidden")
    splice.add_argument("--min-words", type=int, default=0, help="shorter responses give way to others (default: 0)")
    splice.add_argument("--seed", type=int, default=0, help="of the draw among pairs of a kind (default: 0)")
    splice.set_defaults(run=run_splice)


def run_splice(arguments: argparse.Namespace) -> int:
    import numpy as np

    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.octopus import recombine

    groups = _groups(read_jsonl(arguments.file, ("prompt", "response", "correct")), arguments)
    generator = np.random.default_rng(arguments.seed)
    written: Rows = []
    kinds: Counter[str] = Counter()
    without_pair = 0
    for prompt, rows in groups:
        judge = Judge(rows)
        originals = [row["response"] for row in rows]
        made = recombine(originals, judge, arguments.target, generator=generator, min_tokens=arguments.min_words)
        spliced = [row for row in made if row.spliced]
        kinds.update(row.kind or "" for row in spliced)
        without_pair += not spliced
        written += [_written(prompt, row, arguments.stage) for row in made]
    write_rows(arguments.output, written)
    print(f"{arguments.output}: {len(written)} rows of {len(groups)} groups, {sum(kinds.values())} of them spliced")
    print(", ".join(f"{name} {kinds[kind]}" for kind, name in NAMES.items()))
    if without_pair:
        print(f"{without_pair} groups had no pair to splice: only their responses are there, repeated up to the target")
    return 0


NAMES = {"wc": "wrong to right", "cc": "right to right", "ww": "wrong to wrong", "cw": "right to wrong"}


def _groups(rows: Rows, arguments: argparse.Namespace) -> list[tuple[str, Rows]]:
    """Responses by prompt, `--responses` to a group."""
    prompts: dict[str, Rows] = {}
    for number, row in enumerate(rows, 1):
        for name in ("prompt", "response"):
            if not isinstance(row[name], str):
                raise UserError(f"{arguments.file}, row {number}: {name!r} is {row[name]!r}, wanted text")
        if row["correct"] not in (0, 1):
            raise UserError(f"{arguments.file}, row {number}: 'correct' is {row['correct']!r}, wanted true or false")
        prompts.setdefault(row["prompt"], []).append(row)
    if arguments.responses is not None and arguments.responses < 2:
        raise UserError(f"--responses: got {arguments.responses}, wanted at least 2")
    groups = []
    for prompt, own in prompts.items():
        size = arguments.responses or len(own)
        if len(own) % size:
            raise UserError(f"{arguments.file}: {prompt[:60]!r} has {len(own)} responses, wanted a multiple of {size}")
        groups += [(prompt, own[at : at + size]) for at in range(0, len(own), size)]
    return groups


class Judge:
    """Judges attempts by the answers whose correctness the responses tell; others it cannot judge."""

    def __init__(self, rows: Rows) -> None:
        from assay.methods.parsing import boxed, normalise_answer
        from assay.methods.post_training.octopus import split_response

        self.boxed, self.normalise = boxed, normalise_answer
        self.known: dict[str, bool] = {}
        for row in rows:
            first, second = split_response(row["response"])
            answer = self._answer(first if second is None else second)
            right = bool(row["correct"])
            if answer is not None and self.known.setdefault(answer, right) != right:
                raise UserError(f"{row['prompt'][:60]!r}: the answer {answer!r} is called right and wrong")

    def __call__(self, attempt: str) -> bool | None:
        answer = self._answer(attempt)
        return None if answer is None else self.known.get(answer)

    def _answer(self, attempt: str) -> str | None:
        inside = self.boxed(attempt)
        return self.normalise(inside) if inside else None


def _written(prompt: str, row: Row, stage: int) -> dict[str, Any]:
    """A row as it is written: `hidden_characters` of the response, from its beginning, are not to be trained on."""
    from assay.methods.post_training.octopus import OPEN

    first, tag, _ = row.text.partition(OPEN)
    hidden = len(first + tag) if tag and (stage == 1 or row.kind in ("wc", "cw")) else 0
    return {
        "prompt": prompt,
        "response": row.text,
        "kind": row.kind,
        "spliced": row.spliced,
        "hidden_characters": hidden,
        "kl_characters": len(first) if hidden and stage == 1 else 0,
    }
