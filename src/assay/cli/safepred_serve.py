"""`assay serve safepred -- COMMAND`: a guard before any MCP server, which foresees what its calls lead to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.cli.use.safepred import add_world_model, find_guard, policies_of

if TYPE_CHECKING:
    from assay.methods.safety.safepred import ActionText, ReactiveGuard, SafePred


def configure(parser: Any) -> None:
    """The options of the command; `assay serve` adds it to its own."""
    parser.add_argument(
        "--policies", type=Path, required=True, metavar="FILE", help="JSON of `policies --out`, or a document"
    )
    add_world_model(parser)
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --: the words that start the MCP server")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.integrations.mcp import proxy

    watch = Watch(find_guard(arguments, policies_of(arguments.policies)), arguments.goal)
    proxy(arguments.command, watch.before_call, after_call=watch.after_call)
    return 0


class Watch:
    """Reviews a server's calls one after another; the last result stands for the screen."""

    def __init__(self, guard: SafePred | ReactiveGuard, goal: str) -> None:
        self._guard, self._goal = guard, goal
        self._shown, self._path = "", list["ActionText"]()

    async def before_call(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """None where the call may run, else what the agent is told."""
        from assay.methods.safety.safepred import tool_action, tool_state

        action = tool_action(name, arguments)
        review = await self._guard.review_async(
            tool_state(self._shown), action, (), goal=self._goal, trajectory=self._path
        )
        return None if review.safe else review.refusal

    def after_call(self, name: str, arguments: Mapping[str, Any], result: str) -> None:
        """Take note of a call that ran."""
        from assay.methods.safety.safepred import tool_action

        self._shown = result
        self._path.append(tool_action(name, arguments))
