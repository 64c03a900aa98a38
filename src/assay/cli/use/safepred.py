"""Read policies out of a document, and review an agent's recorded actions for what they lead to (2602.01725)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.safety.safepred import ActionText, CompactState, Policy, ReactiveGuard, SafePred

STATE = ("url", "page_type", "key_elements", "text")


def configure(verbs: Any) -> None:
    policies = verbs.add_parser("policies", help="the policies of a document (txt, md, html, docx, pdf) as JSON")
    policies.add_argument("document", type=Path)
    policies.add_argument("--out", type=Path, metavar="FILE", help="write them there instead of printing them")
    policies.add_argument(
        "--model", help="a model that extracts and reviews them (default: sentences with must, never, …)"
    )
    policies.add_argument("--organization", help="whose policies they are")
    policies.set_defaults(run=run_policies)
    review = verbs.add_parser("review", help="risk of each step of a trace, as JSONL")
    review.add_argument(
        "--policies", type=Path, required=True, metavar="FILE", help="what `policies --out` wrote, or a document"
    )
    review.add_argument(
        "--trace", type=Path, required=True, metavar="FILE", help='JSONL: {"state": …, "action": …} a step'
    )
    add_world_model(review)
    review.set_defaults(run=run_review)


def add_world_model(parser: Any) -> None:
    """The options that say what predicts; `find_guard` reads them."""
    predicted = parser.add_mutually_exclusive_group()
    predicted.add_argument("--model", help="the world model: any model name that Inspect knows")
    predicted.add_argument(
        "--learned", type=Path, metavar="FILE", help="JSONL of recorded steps with `after` to learn from"
    )
    parser.add_argument("--goal", default="", help="what the agent was asked to do")
    parser.add_argument("--horizon", type=int, default=4, metavar="N", help="steps that are looked ahead (default: 4)")


def run_policies(arguments: argparse.Namespace) -> int:
    from assay.methods.safety.safepred import dump_policies, extract_policies

    if not arguments.document.is_file():
        raise UserError(f"{arguments.document}: there is no such file")
    complete = None
    if arguments.model:
        from assay.integrations.inspect.models import complete as of_model

        complete = of_model(arguments.model)
    try:
        found = extract_policies(arguments.document, complete, arguments.organization)
    except ValueError as error:
        raise UserError(f"{arguments.document}: {error}") from None
    if arguments.out is None:
        print(dump_policies(found), end="")
        return 0
    from assay.cli.files import replacing

    with replacing(arguments.out) as temporary:
        temporary.write_text(dump_policies(found), "utf-8")
    print(f"{arguments.out}: {len(found)} policies")
    return 0


def run_review(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl

    policies = policies_of(arguments.policies)
    rows = read_jsonl(arguments.trace, ("state", "action"))
    guard, past = find_guard(arguments, policies), list["ActionText"]()
    for number, row in enumerate(rows, 1):
        state, action = _state(row["state"], arguments.trace, number), _action(row["action"], arguments.trace, number)
        made = guard.review(state, action, row.get("plan", ()), goal=arguments.goal, trajectory=past)
        past.append(action)
        said = {"step": number, "action": str(action), "risk": made.risk, "safe": made.safe}
        print(json.dumps({**said, "violated": list(made.violated), "why": made.explanation}, ensure_ascii=False))
    return 0


def policies_of(file: Path) -> tuple[Policy, ...]:
    from assay.methods.safety.safepred import read_policies

    try:
        return read_policies(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: {error}") from None


def find_guard(arguments: argparse.Namespace, policies: tuple[Policy, ...]) -> SafePred | ReactiveGuard:
    """The guard by what the options say predicts; without a world model, the reactive one."""
    from assay.methods.safety.safepred import LearnedWorldModel, LLMWorldModel, ReactiveGuard, Recorded, SafePred

    if arguments.model:
        from assay.integrations.inspect.models import complete

        return SafePred(LLMWorldModel(complete(arguments.model)), policies, horizon=arguments.horizon)
    if arguments.learned is None:
        return ReactiveGuard(policies)
    from assay.cli.rows import read_jsonl

    file, episodes = arguments.learned, dict[str, list[Recorded]]()
    for number, row in enumerate(read_jsonl(file, ("state", "action", "after")), 1):
        before, after = _state(row["state"], file, number), _state(row["after"], file, number)
        step = Recorded(before, _action(row["action"], file, number), after)
        episodes.setdefault(str(row.get("episode", "")), []).append(step)
    return SafePred(LearnedWorldModel(list(episodes.values())), policies, horizon=arguments.horizon)


def _state(row: Any, file: Path, number: int) -> CompactState:
    from assay.methods.safety.safepred import CompactState

    if not isinstance(row, dict) or _missing(row, STATE):
        raise UserError(f"{file}, line {number}: state wants {', '.join(STATE)}")
    elements = row["key_elements"]
    if not isinstance(elements, list) or not all(isinstance(e, list) and len(e) == 2 for e in elements):
        raise UserError(f"{file}, line {number}: key_elements wants a list of [role, name]")
    pairs = tuple((str(role), str(name)) for role, name in elements)
    return CompactState(str(row["url"]), str(row["page_type"]), pairs, str(row["text"]))


def _action(row: Any, file: Path, number: int) -> ActionText:
    from assay.methods.safety.safepred import ActionText

    if not isinstance(row, dict) or _missing(row, ("verb", "role", "name")):
        raise UserError(f"{file}, line {number}: action wants verb, role and name")
    return ActionText(*(str(row.get(key, "")) for key in ("verb", "role", "name", "text", "near")))


def _missing(row: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if name not in row]
