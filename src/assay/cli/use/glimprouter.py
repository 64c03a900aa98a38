"""Answer questions with two models, each step by the one that its first token's entropy asks for (2601.05110)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from assay.cli.files import replacing
from assay.cli.rows import read_jsonl
from assay.errors import UserError


def configure(verbs: Any) -> None:
    route = verbs.add_parser("route", help="answer the questions of a JSONL file and write who wrote what")
    _add_common(route)
    route.add_argument("--threshold", type=float, help="entropy in nats above which the large model writes")
    route.add_argument("--share", type=float, help="share of steps for the large model; calibrates the threshold")
    route.add_argument("--output", type=Path, default=Path("routed.jsonl"), metavar="FILE")
    route.set_defaults(run=run_route)

    calibrate = verbs.add_parser("calibrate", help="print the threshold for each share of the large model")
    _add_common(calibrate)
    calibrate.set_defaults(run=run_calibrate)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help='JSONL: {"input": "...", "target": "..."} (target is optional)')
    parser.add_argument("--small", default="assay/nano", help="any Inspect model that returns log-probabilities")
    parser.add_argument("--large", default="assay/micro", help="any Inspect model")
    parser.add_argument("--step-stop", help=r"separator of steps (default \n for assay/…, a blank line otherwise)")
    parser.add_argument("--end-of-thinking", help="marker that ends the reasoning (default # for assay/…, </think>)")


def run_route(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    if (arguments.threshold is None) == (arguments.share is None):
        raise UserError("route wants either --threshold H (nats) or --share S (between 0 and 1)")
    rows = read_rows(arguments.file)
    threshold = arguments.threshold
    if threshold is None:
        from assay.methods.test_time.glimprouter import calibrate_threshold

        threshold = calibrate_threshold(_entropies(arguments, rows), arguments.share)
        print(f"threshold {threshold:.3f} nats for a share of {arguments.share:g}")
    routed = _solve(arguments, rows, threshold)
    write_lines(arguments.output, [{**row, **asdict(r)} for row, r in zip(rows, routed)])
    _print_summary(rows, routed, arguments)
    print(f"wrote {arguments.output}")
    return 0


def run_calibrate(arguments: argparse.Namespace) -> int:
    from assay.methods.test_time.glimprouter import bimodality, calibrate_threshold

    entropies = _entropies(arguments, read_rows(arguments.file))
    print("share of steps for the large model   threshold (nats)")
    for percent in (10, 20, 30, 40, 50, 60, 70, 80, 90):
        print(f"{percent:>33} %   {calibrate_threshold(entropies, percent / 100):>10.3f}")
    if len(set(entropies)) > 3:
        coefficient, low, high = bimodality(entropies)
        shape = "two modes" if coefficient > 5 / 9 else "one mode"
        print(f"{len(entropies)} steps, {shape} (coefficient {coefficient:.2f}), near {low:.2f} and {high:.2f} nats")
    return 0


def _entropies(arguments: argparse.Namespace, rows: list[dict[str, Any]]) -> list[float]:
    """First-token entropies along the small model's own reasoning."""
    routed = _solve(arguments, rows, float("inf"))
    return [step.entropy for r in routed for step in r.steps if step.entropy is not None]


def _solve(arguments: argparse.Namespace, rows: list[dict[str, Any]], threshold: float) -> list[Any]:
    from inspect_ai.model import get_model

    from assay.integrations.inspect.models import sampler
    from assay.methods.concurrency import gather, run_sync
    from assay.methods.test_time.glimprouter import GlimpRouter

    built_in = arguments.small.startswith("assay/")
    router = GlimpRouter(
        small=sampler(get_model(arguments.small)),
        large=sampler(get_model(arguments.large)),
        threshold=threshold,
        step_stop=arguments.step_stop or ("\n" if built_in else "\n\n"),
        end_of_thinking=arguments.end_of_thinking or ("#" if built_in else "</think>"),
    )

    async def everything() -> list[Any]:
        return await gather([lambda q=row["input"]: router.solve(q) for row in rows], limit=64)

    return run_sync(everything)


def _print_summary(rows: list[dict[str, Any]], routed: list[Any], arguments: argparse.Namespace) -> None:
    steps = [step for r in routed for step in r.steps]
    by_large = sum(step.by == "large" for step in steps)
    print(f"{len(rows)} questions, {len(steps)} steps, {by_large} by {arguments.large}")
    for name, tokens in (
        (arguments.small, sum(r.small_tokens + r.probe_tokens for r in routed)),
        (arguments.large, sum(r.large_tokens for r in routed)),
    ):
        print(f"  {name:<20} {tokens} tokens written")
    graded = [(row, r) for row, r in zip(rows, routed) if "target" in row]
    if graded:
        right = sum(str(row["target"]).strip() == r.answer.strip() for row, r in graded)
        print(f"  {right} of {len(graded)} answers equal their target")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The questions of a JSONL file; a UserError names the line whose `input` is no text."""
    rows = read_jsonl(path, ["input"])
    for number, row in enumerate(rows, 1):
        if not isinstance(row["input"], str) or not row["input"]:
            raise UserError(f'{path}, question {number}: wanted a text as "input", got {row["input"]!r}')
    return rows


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write JSONL, a row a line."""
    with replacing(path) as part:
        part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
