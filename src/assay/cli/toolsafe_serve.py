"""`assay serve toolsafe -- COMMAND`: a guard before any MCP server, which answers unsafe calls with the reason."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.cli.toolsafe_guards import HELP, KEYWORDS
from assay.errors import UserError

if TYPE_CHECKING:
    from assay.cli.toolsafe_guards import Rate
    from assay.methods.safety.toolsafe import TSFlow

REMEMBERED = 200  # turns of the history that a guard may be shown


def configure(parser: Any) -> None:
    """The options of the command; `assay serve` adds it to its own."""
    parser.add_argument("--guard", default=KEYWORDS, metavar="MODEL", help=f"{HELP} (default)")
    parser.add_argument("--request", default="", metavar="TEXT", help="what the user asked for; a server is never told")
    parser.add_argument(
        "--threshold", type=float, default=0.5, metavar="R", help="hold back from this risk (default 0.5)"
    )
    parser.add_argument("--detail", choices=("rating", "full"), default="rating", help="what the agent is told")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="after --: the words that start the MCP server")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from assay.cli.toolsafe_guards import find_guard
    from assay.integrations.mcp import proxy
    from assay.methods.safety.toolsafe import KeywordGuard, TSFlow

    if not 0 < arguments.threshold <= 1:
        raise UserError(f"--threshold: got {arguments.threshold:g}, wanted a risk above 0, up to 1")
    # the flow is only told verdicts here; and it never gives up, because a server cannot end an episode
    flow = TSFlow(KeywordGuard(), arguments.threshold, max_blocks=None, detail=arguments.detail)
    watch = Watch(find_guard(arguments.guard), flow, arguments.request or "(not known: the guard sees calls alone)")
    proxy(arguments.command, watch.before_call, after_call=watch.after_call, listed=watch.listed)
    return 0


class Watch:
    """Judges a server's calls one after another, and remembers them and their results for the next judgement."""

    def __init__(self, rate: Rate, flow: TSFlow, request: str) -> None:
        self._rate, self._flow, self._request = rate, flow, request
        self._tools: dict[str, Any] = {}
        self._turns: deque[Any] = deque(maxlen=REMEMBERED)

    def listed(self, tools: Sequence[Any]) -> None:
        """Take note of MCP tools."""
        from assay.methods.safety.toolsafe import ToolSpec

        self._tools |= {tool.name: ToolSpec(tool.name, tool.description or "", tool.input_schema) for tool in tools}

    async def before_call(self, name: str, arguments: Mapping[str, Any]) -> str | None:
        """None where the call may run, else what the agent is told."""
        from assay.methods.safety.toolsafe import StepRecord, ToolCall

        call = ToolCall(name, arguments)
        record = StepRecord(self._request, tuple(self._turns), call, tuple(self._tools.values()))
        check = self._flow.decide(record, await self._rate(record))
        if check.allowed:
            return None
        self._remember(call, check.observation)
        return check.observation

    def after_call(self, name: str, arguments: Mapping[str, Any], result: str) -> None:
        """Take note of a call that ran."""
        from assay.methods.safety.toolsafe import ToolCall

        self._remember(ToolCall(name, arguments), result)

    def _remember(self, call: Any, result: str) -> None:
        from assay.methods.safety.toolsafe import Turn

        self._turns += [Turn("assistant", str(call)), Turn("tool", result)]
