"""Match your agent's tool calls with an expert's, and see each turn's reward (2601.10712)."""

from __future__ import annotations

import argparse
import json
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.matchtir import Call


def configure(verbs: Any) -> None:
    match = verbs.add_parser("match", help="match every call, reward every turn, name missing and redundant calls")
    match.add_argument("predicted", type=Path, help="JSONL: a line a rollout, with `messages` or `tool_calls` (OpenAI)")
    match.add_argument("gold", type=Path, help="JSONL of the expert's calls: a line for each `id` (or in that order)")
    match.add_argument("--soft", action="store_true", help="optimal transport instead of a one-to-one assignment")
    match.add_argument("--greedy", action="store_true", help="the best pair first, as the authors' code does")
    match.add_argument("--json", action="store_true", help="print a JSON object a rollout")
    match.set_defaults(run=run_match)


def run_match(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl

    if arguments.soft and arguments.greedy:
        raise UserError("--soft and --greedy: choose one of them")
    predicted, gold = read_jsonl(arguments.predicted), read_jsonl(arguments.gold)
    experts = {str(row.get("id", place)): row for place, row in enumerate(gold)}
    for place, row in enumerate(predicted):
        name = str(row.get("id", place))
        if name not in experts:
            raise UserError(f"{arguments.gold}: no line with id {name!r}, which {arguments.predicted} has")
        found = matched(
            name, turns(row, arguments.predicted), list(chain(*turns(experts[name], arguments.gold))), arguments
        )
        print(json.dumps(found) if arguments.json else as_text(found))
    return 0


def matched(name: str, made: list[list[Call]], gold: list[Call], arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command says of one rollout."""
    from assay.methods.post_training.matchtir import match, similarities, turn_rewards

    if not gold:
        raise UserError(f"{arguments.gold}: {name!r} has no tool call, wanted the expert's")
    calls, assignment = list(chain(*made)), "greedy" if arguments.greedy else "optimal"
    similarity = similarities(calls, gold)
    pairs = dict(match(similarity, assignment))
    kind = "soft" if arguments.soft else "hard"
    return {
        "id": name,
        "turn_rewards": [round(float(r), 4) for r in turn_rewards(made, gold, kind=kind, assignment=assignment)],
        "calls": [
            {"name": call.name, "matches": pairs.get(p), "similarity": round(float(similarity[p, pairs[p]]), 4)}
            if p in pairs
            else {"name": call.name, "matches": None, "similarity": 0.0}
            for p, call in enumerate(calls)
        ],
        "unreadable": [call.name for call in calls if call.arguments is None],
        "missing": [gold[g].name for g in range(len(gold)) if g not in pairs.values()],
    }


def as_text(found: dict[str, Any]) -> str:
    """A line a call, then what is missing."""
    lines = [f"{found['id']}: turn rewards {', '.join(f'{reward:.3f}' for reward in found['turn_rewards'])}"]
    for call in found["calls"]:
        place = "redundant" if call["matches"] is None else f"expert's call {call['matches'] + 1}"
        lines.append(f"  {call['similarity']:.3f}  {call['name']:<24} {place}")
    lines += [f"  -----  {name:<24} missing" for name in found["missing"]]
    lines += [f"  arguments of {name} are no JSON object: the call scores 0" for name in found["unreadable"]]
    return "\n".join(lines)


def turns(row: dict[str, Any], file: Path) -> list[list[Call]]:
    """The calls of a rollout, turn by turn: one an assistant's message, or each of `tool_calls` a turn of its own."""
    if "messages" in row:
        made = [message for message in row["messages"] if message.get("role") == "assistant"]
        return [[_call(call, file) for call in message.get("tool_calls") or ()] for message in made]
    if "tool_calls" in row:
        return [[_call(call, file)] for call in row["tool_calls"]]
    raise UserError(f"{file}: a line has neither `messages` nor `tool_calls`; it has {', '.join(row)}")


def _call(call: Any, file: Path) -> Call:
    """An OpenAI tool call, or the bare {"name", "arguments"} inside it; arguments as JSON text or as an object."""
    from assay.methods.post_training.matchtir import Call

    function = call.get("function", call) if isinstance(call, dict) else {}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise UserError(f"{file}: got {json.dumps(call)[:60]}, wanted a tool call with a name")
    given = function.get("arguments", {})
    if isinstance(given, str):
        try:
            given = json.loads(given or "{}")
        except json.JSONDecodeError:
            given = None
    return Call(function["name"], given if isinstance(given, dict) else None)
