"""SafePred in Inspect: each tool call is reviewed for what it leads to, before it runs.

    inspect eval TASK --model … --approval safepred.yaml     # approvers: [{name: assay/safepred_approver, tools: "*",
                                                             #              policies: rules.md, world_model: openai/…}]

A call that would break a policy reaches the agent as the rejected tool's error, with what was foreseen.
"""

from __future__ import annotations

from pathlib import Path

from inspect_ai.approval import Approval, Approver, approver
from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ChatMessageUser
from inspect_ai.tool import ToolCall, ToolCallView

from assay.integrations.inspect.models import complete
from assay.methods.safety.safepred import (
    ActionText,
    LLMWorldModel,
    ReactiveGuard,
    SafePred,
    read_policies,
    tool_action,
    tool_state,
)


@approver
def safepred_approver(policies: str, world_model: str | None = None, horizon: int = 4) -> Approver:
    """Review each tool call before it runs; one that is expected to break a policy is rejected with the reason.

    policies      JSON that `assay use safepred policies --out` wrote, or a document to read them out of
    world_model   a model by name that predicts; without one, a call's and its last result's own words decide
    horizon       steps that are looked ahead

    The first user's message is the goal, the latest tool result stands for the screen, and the trajectory are the
    calls that ran. A prediction that cannot be read rejects the call.
    """
    rules = read_policies(Path(policies))
    guard = SafePred(LLMWorldModel(complete(world_model)), rules, horizon=horizon) if world_model else None
    judge = guard or ReactiveGuard(rules)

    async def approve(message: str, call: ToolCall, view: ToolCallView, history: list[ChatMessage]) -> Approval:
        goal = next((m.text for m in history if isinstance(m, ChatMessageUser)), "")
        shown = next((m.text for m in reversed(history) if isinstance(m, ChatMessageTool) and not m.error), "")
        action = tool_action(call.function, call.arguments)
        review = await judge.review_async(tool_state(shown), action, (), goal=goal, trajectory=_ran(history))
        told = {"risk": review.risk, "violated": list(review.violated)}
        if review.safe:
            return Approval(decision="approve", metadata=told)
        return Approval(decision="reject", explanation=review.refusal, metadata=told)

    return approve


def _ran(history: list[ChatMessage]) -> list[ActionText]:
    """The calls that gave a result, in order."""
    done = {m.tool_call_id for m in history if isinstance(m, ChatMessageTool) and not m.error}
    made = [call for m in history if isinstance(m, ChatMessageAssistant) for call in m.tool_calls or ()]
    return [tool_action(call.function, call.arguments) for call in made if call.id in done]
