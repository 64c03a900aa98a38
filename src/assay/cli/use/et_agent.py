"""Report how an agent uses its tools, and choose the questions that tell most about it (2601.06860)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from assay.errors import UserError


def configure(verbs: Any) -> None:
    report = verbs.add_parser("report", help="correctness, efficiency, length, tool success and redundant calls")
    report.add_argument("file", type=Path, help='JSONL: {"messages": OpenAI messages with tool calls, "correct": true}')
    report.add_argument("--json", action="store_true", help="print the figures as JSON")
    report.set_defaults(run=run_report)

    select = verbs.add_parser("select", help="choose the questions whose rollouts differ most in calls and correctness")
    select.add_argument("file", type=Path, help='JSONL, a rollout a line: {"id": "...", "tool_calls": 3, "correct": 1}')
    select.add_argument("--n", type=int, required=True, help="questions to choose, before those that tell nothing go")
    select.add_argument("--output", type=Path, metavar="FILE", help="write the chosen rows here; else ids are printed")
    select.set_defaults(run=run_select)


def run_report(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from assay.cli.rows import read_jsonl
    from assay.methods.post_training.et_agent import behaviour_report, read_trace

    traces = []
    for number, row in enumerate(read_jsonl(arguments.file, ("messages", "correct")), 1):
        try:
            traces.append(read_trace(row))
        except ValueError as error:
            raise UserError(f"{arguments.file}, row {number}: {error}") from error
    figures = asdict(behaviour_report(traces))
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return 0
    from assay.cli.words import rows

    shown = {
        "trajectories": str(figures["trajectories"]),
        "correctness": f"{figures['correctness']:.3f}",
        "tool calls": f"{figures['calls']:.2f} a trajectory",
        "efficiency": f"{figures['efficiency']:.1f} right answers per 100 calls",
        "length": f"{figures['conciseness']:.0f} words a trajectory",
        "tool success": _share(figures["tool_success"]),
        "redundant calls": _share(figures["redundant"]),
    }
    print(rows([[name, value] for name, value in shown.items()]))
    return 0


def run_select(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.et_agent import pareto_select

    calls, correct = by_item(read_jsonl(arguments.file, ("id", "tool_calls", "correct")), arguments.file)
    names = list(calls)
    short = next((name for name in names if len(calls[name]) < 2), None)
    if short is not None:
        raise UserError(f"{arguments.file}: {short!r} has a single rollout, wanted two or more of each question")
    selection = pareto_select([calls[name] for name in names], [correct[name] for name in names], arguments.n)
    chosen = [
        {"id": names[i], "front": int(selection.fronts[i]), "tool_calls": calls[names[i]], "correct": correct[names[i]]}
        for i in selection.chosen
    ]
    if arguments.output is not None:
        write_rows(arguments.output, chosen)
    else:
        print("\n".join(row["id"] for row in chosen))
    from sys import stderr

    told = f"{len(chosen)} of {len(names)} questions chosen"
    if selection.taken < arguments.n:
        told += f"; there are only {len(names)}, all were taken"
    if selection.dropped:
        told += f"; {len(selection.dropped)} left out whose rollouts are all right or all wrong"
    print(told, file=stderr)
    return 0


def by_item(rows: list[dict[str, Any]], file: Path) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Tool calls and correctness of each question's rollouts, questions in the order of the file."""
    calls: dict[str, list[float]] = {}
    correct: dict[str, list[float]] = {}
    for number, row in enumerate(rows, 1):
        for name, top in (("tool_calls", float("inf")), ("correct", 1)):
            if not isinstance(row[name], (bool, int, float)) or not 0 <= row[name] <= top:
                wanted = "a count" if name == "tool_calls" else "true, false or a number in [0, 1]"
                raise UserError(f"{file}, row {number}: {name!r} is {row[name]!r}, wanted {wanted}")
        calls.setdefault(str(row["id"]), []).append(float(row["tool_calls"]))
        correct.setdefault(str(row["id"]), []).append(float(row["correct"]))
    return calls, correct


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
