"""Make a curriculum of pass rates, see how far your engine is from your trainer, solve with reviewers (2602.09443)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    import torch

    from assay.methods.post_training.p1_vl import Reviewed, Stage

WINDOWS = (40_000, 60_000, 80_000)  # the paper's 30B model; named here so that --help imports no torch
THRESHOLDS = (1.001, 1.002, 1.005, 1.01, 1.02, 1.05, 1.1)
SHARES = (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1)
BINS, WIDTH = 10, 40


def configure(verbs: Any) -> None:
    stages = verbs.add_parser("curriculum", help="pass rates, their histogram, and a file for each stage")
    stages.add_argument(
        "file",
        type=Path,
        help='JSONL, a rollout a row: {"prompt", "correct"}, or {"prompt", "response", "answer"}; with --model a '
        'problem a row: {"prompt", "answer"}',
    )
    stages.add_argument("--output", type=Path, metavar="DIR", required=True, help="where stage1.jsonl ... go")
    stages.add_argument(
        "--windows", type=int, nargs=3, default=WINDOWS, metavar="TOKENS", help="of the stages (default: %(default)s)"
    )
    stages.add_argument("--model", metavar="MODEL", help="an Inspect model to sample; goes on where it was stopped")
    stages.add_argument("--samples", type=int, default=72, metavar="N", help="rollouts a problem (default: 72)")
    stages.set_defaults(run=run_curriculum)

    mismatch = verbs.add_parser("mismatch", help="geometric ratios of trainer to engine, and what a threshold keeps")
    mismatch.add_argument(
        "file", type=Path, help='Parquet or JSONL, a sequence a row: {"trainer": [...], "rollout": [...]} in nats'
    )
    mismatch.add_argument("--threshold", type=float, nargs="+", default=THRESHOLDS, metavar="C")
    mismatch.add_argument("--json", action="store_true", help="print the figures as JSON")
    mismatch.set_defaults(run=run_mismatch)

    minions = verbs.add_parser("minions", help="one problem through the studios: read the figure, solve, review")
    minions.add_argument("task", type=Path, help="a text file with the problem")
    minions.add_argument("--figure", type=Path, action="append", default=[], metavar="FILE", help="may be repeated")
    minions.add_argument("--model", required=True, metavar="MODEL", help="an Inspect model such as openai/gpt-5")
    minions.add_argument("--reviewer", metavar="MODEL", help="another one for both reviewers")
    minions.add_argument("--passes", type=int, default=5, help="reviews in a row to pass (default: 5)")
    minions.add_argument("--max-rounds", type=int, default=8, help="solutions to review (default: 8)")
    minions.add_argument("--json", action="store_true", help="print all that became of it as JSON")
    minions.set_defaults(run=run_minions)


def run_curriculum(arguments: argparse.Namespace) -> int:
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.p1_vl import PRUNED_ABOVE, stages

    plan = stages(*arguments.windows)
    rates = sampled(arguments) if arguments.model else counted(arguments.file)
    made = [stage_rows(rates, stage) for stage in plan]
    arguments.output.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(made, 1):
        write_rows(arguments.output / f"stage{number}.jsonl", rows)
    print(histogram(list(rates.values())))
    often, never = (sum(map(test, rates.values())) for test in (lambda r: r > PRUNED_ABOVE, lambda r: r == 0))
    print(f"{len(rates)} prompts: {often} solved too often (above {PRUNED_ABOVE:g}), {never} never")
    for number, (stage, rows) in enumerate(zip(plan, made), 1):
        zeros = " or 0" if stage.include_zero else ""
        what = f"rates up to {stage.upper:g}{zeros}, {stage.rollouts} rollouts, {stage.window} tokens"
        print(f"{arguments.output / f'stage{number}.jsonl'}: {len(rows)} prompts, {what}")
    return 0


def counted(file: Path) -> dict[str, float]:
    """The pass rate of each prompt of a file of rollouts."""
    from assay.cli.rows import read_jsonl
    from assay.methods.post_training.p1_vl import PhysicsVerifier, multi_answer_reward

    verify = PhysicsVerifier()
    marks: dict[str, list[bool]] = {}
    for number, row in enumerate(read_jsonl(file, ("prompt",)), 1):
        if row.get("correct") in (0, 1):
            right = bool(row["correct"])
        elif isinstance(row.get("response"), str) and row.get("answer") not in (None, "", []):
            right = multi_answer_reward(row["response"], golds(row["answer"]), verify) == 1
        else:
            raise UserError(f"{file}, row {number}: neither 'correct' (true or false) nor 'response' with 'answer'")
        marks.setdefault(str(row["prompt"]), []).append(right)
    return {prompt: sum(own) / len(own) for prompt, own in marks.items()}


def sampled(arguments: argparse.Namespace) -> dict[str, float]:
    """The pass rate of each problem, by samples of the model; rows that failed are told and left out."""
    from functools import partial

    from assay.cli.rows import read_jsonl
    from assay.integrations.inspect.models import sampler
    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import read_rows
    from assay.methods.post_training.p1_vl import measure_pass_rates

    rows = read_jsonl(arguments.file, ("prompt", "answer"))
    arguments.output.mkdir(parents=True, exist_ok=True)
    out = arguments.output / "pass_rates.jsonl"
    measure = partial(measure_pass_rates, rows, sampler(arguments.model), out, arguments.samples)
    report = run_sync(measure)
    for name, error in report.failed:
        print(f"row {name} failed: {error}")
    found = {str(row["prompt"]): float(row["pass_rate"]) for row in read_rows(out)}
    if not found:
        raise UserError(f"{arguments.file}: no row could be sampled")
    return found


def golds(answer: Any) -> list[str]:
    return [str(one) for one in answer] if isinstance(answer, list) else [str(answer)]


def stage_rows(rates: dict[str, float], stage: Stage) -> list[dict[str, Any]]:
    told = {"rollouts": stage.rollouts, "window": stage.window}
    return [{"prompt": prompt, "pass_rate": rate, **told} for prompt, rate in rates.items() if stage.keeps(rate)]


def histogram(rates: Sequence[float]) -> str:
    """Bars of ten bins, zeros and ones in bins of their own."""
    names = ["0", *(f"to {(i + 1) / BINS:.1f}" for i in range(BINS)), "1"]
    counts = [0] * len(names)
    for rate in rates:
        counts[0 if rate == 0 else -1 if rate == 1 else 1 + min(int(rate * BINS - 1e-9), BINS - 1)] += 1
    most = max(counts)
    lines = [f"{name:>7} {count:>6} {'█' * round(WIDTH * count / most)}" for name, count in zip(names, counts)]
    return "\n".join(lines)


def run_mismatch(arguments: argparse.Namespace) -> int:
    import torch

    from assay.cli.words import rows
    from assay.methods.post_training.p1_vl import SeqMIS, sequence_importance

    trainer, engine, mask = logprobs(arguments.file)
    log_rho, geo = sequence_importance(trainer, engine, mask)
    shares = torch.quantile(geo, torch.tensor(SHARES, dtype=geo.dtype)).tolist()
    kept = {}
    for threshold in arguments.threshold:
        if threshold < 1:
            raise UserError(f"--threshold {threshold:g}: wanted at least 1; below, half of all sequences go at once")
        kept[threshold] = SeqMIS(threshold, weight=False)(trainer, engine, mask)[1]
    told = {
        "sequences": len(geo),
        "tokens": int(mask.sum()),
        "mean_log_rho": float(log_rho.mean()),
        "geo": dict(zip(map(str, SHARES), shares)),
        "kept": {f"{threshold:g}": share for threshold, share in kept.items()},
    }
    if arguments.json:
        print(json.dumps(told, indent=2))
        return 0
    print(f"{told['sequences']} sequences of {told['tokens']} tokens; mean log rho {told['mean_log_rho']:+.4g}")
    print(
        rows(
            [
                ["share of sequences", *(f"{share:.0%}" for share in SHARES)],
                ["geo up to", *(f"{v:.5g}" for v in shares)],
            ]
        )
    )
    print(rows([["threshold", *(f"{one:g}" for one in kept)], ["kept", *(f"{share:.1%}" for share in kept.values())]]))
    return 0


def logprobs(file: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Log-probabilities of trainer and engine, padded, (B, T), and the mask of what is there."""
    import torch

    from assay.cli.rows import numbers, read_columns, read_jsonl

    names = ["trainer", "rollout"]
    if file.suffix == ".parquet":
        columns = read_columns(file, names)
    else:
        rows = read_jsonl(file, names)
        columns = [[row[name] for row in rows] for name in names]
    for number, pair in enumerate(zip(*columns), 1):
        if not all(isinstance(one, (list, tuple)) and one for one in pair) or len(pair[0]) != len(pair[1]):
            sizes = " and ".join(str(len(one)) if isinstance(one, (list, tuple)) else "no list" for one in pair)
            raise UserError(f"{file}, row {number}: got {sizes} log-probabilities, wanted two lists of one length")
    lengths = torch.tensor([len(own) for own in columns[0]])
    mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    tables = []
    for name, column in zip(names, columns):
        table = torch.zeros(mask.shape, dtype=torch.float64)
        table[mask] = torch.tensor(numbers([value for own in column for value in own], name), dtype=torch.float64)
        tables.append(table)
    return tables[0], tables[1], mask


def run_minions(arguments: argparse.Namespace) -> int:
    from inspect_ai.model import get_model
    from inspect_ai.util import materialize_media

    from assay.cli.rows import read_text
    from assay.integrations.inspect.models import complete
    from assay.methods.concurrency import run_sync
    from assay.methods.parsing import ReplyError
    from assay.methods.post_training.p1_vl import Minions

    for figure in arguments.figure:
        if not figure.is_file():
            raise UserError(f"{figure}: no such file")
    problem = read_text(arguments.task)
    model = complete(get_model(arguments.model))
    reviewer = complete(get_model(arguments.reviewer)) if arguments.reviewer else model
    loop = Minions(model, model, model, reviewer, reviewer, arguments.passes, arguments.max_rounds)

    async def through_the_studios() -> Reviewed:
        return await loop(problem, [await materialize_media(str(figure)) for figure in arguments.figure])

    try:
        done = run_sync(through_the_studios)
    except ReplyError as error:
        raise UserError(f"{arguments.model}: {error}") from error
    if arguments.json:
        print(json.dumps(asdict(done), indent=2, ensure_ascii=False))
        return 0
    print(done.solution)
    state = f"passed {arguments.passes} reviews in a row" if done.verified else "not verified"
    print(f"\n{state}; {done.domain}, {done.rounds} rounds, {len(done.reports)} sent back, {done.void} reviews void")
    return 0
