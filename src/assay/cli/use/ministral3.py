"""Shrink a model step by step and distil each child; soft labels of judged pairs of replies (2601.08584)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from assay.methods.post_training.ministral3 import Batch, StageSpec


def configure(verbs: Any) -> None:
    distil = verbs.add_parser("distil", help="prune and distil a family from one parent; writes a folder a child")
    distil.add_argument("--model", required=True, help="the parent: a folder, a transformers name, nano or micro")
    distil.add_argument("--data", type=Path, required=True, metavar="FILE.jsonl", help='texts: {"text": "..."}')
    distil.add_argument("--stages", type=Path, required=True, metavar="FILE.yaml", help=_STAGES)
    distil.add_argument("--teacher", default="parent", help="parent (the default), previous, or another model")
    distil.add_argument("--learning-rate", type=float, default=1e-4, metavar="R")
    distil.add_argument("--length", type=int, default=256, metavar="N", help="tokens a row (default 256)")
    distil.add_argument("--batch", type=int, default=16, metavar="N", help="rows a step (default 16)")
    distil.add_argument("--tie", action="store_true", help="keep tied embeddings tied (see the docs for what it costs)")
    distil.add_argument("--out", type=Path, required=True, metavar="DIR", help="a run that was stopped goes on there")
    distil.set_defaults(run=run_distil)

    odpo = verbs.add_parser("odpo", help="soft labels of judged pairs: both orders joined, broken replies lose")
    odpo.add_argument("file", type=Path, help=_PAIRS)
    odpo.add_argument("--out", type=Path, required=True, metavar="FILE.jsonl")
    odpo.set_defaults(run=run_odpo)


_STAGES = "a list of {n_layers, d_model, d_ff, tokens, context}; what is left out stays as it is"
_PAIRS = 'JSONL: {"prompt", "a", "b", "a_first", "b_first"}: the chance that the reply shown first is better'


def run_distil(arguments: argparse.Namespace) -> int:
    from assay.cli.local_models import load
    from assay.methods.post_training.ministral3 import cascade

    stages = read_stages(arguments.stages)
    if arguments.length < 2 or arguments.batch < 1 or not arguments.learning_rate > 0:
        raise UserError("--length wants at least 2, --batch at least 1, --learning-rate more than 0")
    model, tokenizer = load(arguments.model)
    rows = read_rows(arguments.data, tokenizer, arguments.length)
    teacher: Any = arguments.teacher
    if teacher not in ("parent", "previous"):
        teacher = load(teacher)[0]
    need = sum(-(-stage.tokens // arguments.length) for stage in stages)
    if len(rows) <= need:
        raise UserError(
            f"{arguments.data}: {len(rows) * arguments.length} tokens in whole rows, the stages want "
            f"{need * arguments.length} and some to calibrate on; nothing is shown twice"
        )
    starts = [sum(-(-stage.tokens // arguments.length) for stage in stages[:i]) for i in range(len(stages))]

    def data(i: int) -> Iterator[Batch]:
        return batches(rows[starts[i] :], arguments.batch)

    calibration = [ids for ids, _ in batches(rows[need : need + 4 * arguments.batch], arguments.batch)]
    children = cascade(
        model,
        stages,
        calibration,
        data,
        teacher=teacher,
        out=arguments.out,
        tie=arguments.tie,
        learning_rate=arguments.learning_rate,
    )
    print("child    parameters  layers  width  neurons")
    for i, child in enumerate(children, 1):
        config, count = child.config, sum(p.numel() for p in child.parameters())
        tokenizer.save_pretrained(arguments.out / f"stage-{i}")
        sizes = f"{config.num_hidden_layers:>6}  {config.hidden_size:>5}  {config.intermediate_size:>7}"
        print(f"stage-{i}  {count:>10,}  {sizes}")
    print(f"wrote {len(children)} children to {arguments.out}")
    return 0


def run_odpo(arguments: argparse.Namespace) -> int:
    import torch

    from assay.cli.rows import numbers, read_jsonl
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training._distillation import broken_loses, thinking_broken, unbiased

    if arguments.out.suffix != ".jsonl":
        raise UserError(f"--out: got {arguments.out}, wanted a .jsonl file")
    rows = read_jsonl(arguments.file, ("prompt", "a", "b", "a_first", "b_first"))
    chances = {name: torch.tensor(numbers([row[name] for row in rows], name)) for name in ("a_first", "b_first")}
    for name, values in chances.items():
        if not ((values >= 0) & (values <= 1)).all():
            raise UserError(
                f"{arguments.file}: {name} has a value outside [0, 1], wanted the chance of the first reply"
            )
    broken = [torch.tensor([thinking_broken(str(row[side])) for row in rows]) for side in ("a", "b")]
    preferred = broken_loses(unbiased(chances["a_first"], chances["b_first"]), broken[0], broken[1])
    leaning = (chances["a_first"] + chances["b_first"] - 1).mean()
    made = [
        {**row, "preferred": round(float(p), 6), "confidence": round(abs(2 * float(p) - 1), 6)}
        for row, p in zip(rows, preferred)
    ]
    write_rows(arguments.out, made)
    print(f"{len(rows)} pairs: mean confidence {sum(row['confidence'] for row in made) / len(made):.2f}")
    print(f"whoever is shown first gains {leaning:+.1%} on average; taken out by the mean of both orders")
    print(f"{int(broken[0].sum() + broken[1].sum())} replies break the thinking format and lose")
    print(f"wrote {arguments.out}; train on them with assay.integrations.trl_odpo.ODPOTrainer")
    return 0


def read_stages(file: Path) -> list[StageSpec]:
    """The stages of a YAML file."""
    from dataclasses import fields

    from assay.cli.rows import read_yaml
    from assay.methods.post_training.ministral3 import StageSpec

    data = read_yaml(file)
    if not isinstance(data, list) or not data or not all(isinstance(stage, dict) for stage in data):
        raise UserError(f"{file}: wanted {_STAGES}")
    known = {field.name for field in fields(StageSpec)}
    for number, stage in enumerate(data, 1):
        if unknown := set(stage) - known:
            raise UserError(
                f"{file}, stage {number}: no field {sorted(unknown)[0]!r}; there are {', '.join(sorted(known))}"
            )
        for name, value in stage.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UserError(f"{file}, stage {number}: {name} is {value!r}, wanted a whole number above 0")
    return [StageSpec(**stage) for stage in data]


def read_rows(file: Path, tokenizer: Any, length: int) -> list[Tensor]:
    """All texts one after another, cut into rows of `length` tokens; what does not fill a row is left out."""
    import torch

    from assay.cli.rows import read_jsonl

    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    ids: list[int] = []
    for row in read_jsonl(file, ("text",)):
        ids += tokenizer.encode(str(row["text"]), add_special_tokens=False) + end
    whole = torch.tensor(ids[: len(ids) // length * length])
    return list(whole.view(-1, length))


def batches(rows: list[Tensor], size: int) -> Iterator[Batch]:
    """Rows in order, `size` at a time; all that follows is learned."""
    import torch

    for start in range(0, len(rows), size):
        ids = torch.stack(rows[start : start + size])
        yield ids, torch.ones_like(ids).bool()
