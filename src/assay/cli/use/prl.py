"""Show what each step of a response cost in divergence from a reference model, and its process reward (2601.10201)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from assay.errors import UserError

FAR = 3.5  # modified z-score from which Iglewicz and Hoaglin (1993) call a value an outlier


def configure(verbs: Any) -> None:
    rewards = verbs.add_parser("rewards", help="log-ratio and process reward of each step of logged responses")
    rewards.add_argument("model", help="folder or name of the trained model (transformers, causal)")
    rewards.add_argument("reference", help="folder or name of the model that training began with")
    rewards.add_argument("file", type=Path, help='JSONL: {"prompt": "...", "response": "...", "reward": 1}')
    rewards.add_argument("--eta", type=float, default=100.0, help="1/beta of the objective (default: 100)")
    rewards.add_argument("--split", choices=("newline", "fixed"), default="newline", help="what a step is")
    rewards.add_argument("--size", type=int, default=64, help="tokens a step with --split fixed (default: 64)")
    rewards.add_argument("--output", type=Path, default=Path("process_rewards.jsonl"), metavar="FILE")
    rewards.set_defaults(run=run_rewards)


def run_rewards(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows

    rows = read_jsonl(arguments.file, ("prompt", "response", "reward"))
    for number, row in enumerate(rows, 1):
        check_row(row, f"{arguments.file}, row {number}")
    if not 0 < arguments.eta < float("inf"):
        raise UserError(f"--eta: got {arguments.eta}, wanted a number > 0")
    steps = scored(rows, arguments)
    flagged = flag(steps)
    write_rows(arguments.output, [{**row, "steps": own} for row, own in zip(rows, steps)])
    print_table(steps, flagged)
    print(f"wrote {arguments.output}")
    return 0


def check_row(row: dict[str, Any], where: str) -> None:
    for name in ("prompt", "response"):
        if not isinstance(row[name], str) or not row[name]:
            raise UserError(f"{where}: {name!r} is {row[name]!r}, wanted text")
    reward = row["reward"]
    if not isinstance(reward, (int, float)) or not -float("inf") < reward < float("inf"):
        raise UserError(f"{where}: 'reward' is {reward!r}, wanted a number")


def scored(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> list[list[dict[str, Any]]]:
    """Each row's steps: text, tokens, log-ratio and process reward."""
    import torch

    from assay.cli.local_models import load
    from assay.methods.post_training.prl import process_rewards, response_logprobs, segment, step_sums

    model, tokenizer = load(arguments.model)
    reference, its_tokenizer = load(arguments.reference)
    if tokenizer.get_vocab() != its_tokenizer.get_vocab():
        raise UserError(f"{arguments.reference} has another tokenizer than {arguments.model}: they must share one")
    found = []
    for row in rows:
        prompt = tokenizer(row["prompt"], return_tensors="pt")["input_ids"][0]
        response = tokenizer(row["response"], add_special_tokens=False, return_tensors="pt")["input_ids"][0]
        pieces = [tokenizer.decode(token, skip_special_tokens=True) for token in response]
        step = segment(pieces, arguments.split, arguments.size)
        ours, theirs = (response_logprobs(one, prompt, response) for one in (model, reference))
        batch = (ours[None], theirs[None], torch.ones(1, len(response), dtype=torch.bool), step[None])
        rewards = process_rewards(*batch, torch.tensor([float(row["reward"])]), arguments.eta)[0]
        ratios = step_sums((ours - theirs)[None], step[None])[0]
        texts = ["".join(p for p, s in zip(pieces, step.tolist()) if s == number) for number in range(len(rewards))]
        tokens = torch.bincount(step).tolist()
        columns = zip(texts, tokens, ratios.tolist(), rewards.tolist())
        found.append([{"text": t, "tokens": n, "log_ratio": d, "reward": r} for t, n, d, r in columns])
    return found


def flag(steps: list[list[dict[str, Any]]]) -> int:
    """Mark the steps whose log-ratio a token is an outlier in the file, on either side; their number."""
    from statistics import median

    per_token = [step["log_ratio"] / step["tokens"] for own in steps for step in own]
    middle = median(per_token)
    spread = median(abs(value - middle) for value in per_token)
    for own in steps:
        for step in own:
            away = abs(step["log_ratio"] / step["tokens"] - middle)
            step["flagged"] = 0.6745 * away > FAR * spread and spread > 0
    return sum(step["flagged"] for own in steps for step in own)


def print_table(steps: list[list[dict[str, Any]]], flagged: int, most: int = 20) -> None:
    """The flagged steps, farthest first; without any, the farthest steps there are."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    listed = [(row, number, step) for row, own in enumerate(steps, 1) for number, step in enumerate(own, 1)]
    listed.sort(key=lambda item: (-item[2]["flagged"], -abs(item[2]["log_ratio"] / item[2]["tokens"])))
    table = Table(box=box.SIMPLE)
    for name in ("row", "step", "tokens", "log-ratio", "reward"):
        table.add_column(name, justify="right")
    table.add_column("text", max_width=50, no_wrap=True, overflow="ellipsis")
    for row, number, step in listed[: min(most, max(flagged, 5))]:
        figures = f"{step['log_ratio']:+.3f}", f"{step['reward']:+.4f}"
        table.add_row(
            str(row), str(number), str(step["tokens"]), *figures, json.dumps(step["text"], ensure_ascii=False)
        )
    Console().print(table)
    print(f"{len(listed)} steps of {len(steps)} responses, {flagged} flagged: far from the rest in log-ratio a token")
