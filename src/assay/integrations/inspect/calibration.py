"""How far an agent's spoken confidence can be taken at its word, as an Inspect scorer (2601.07264).

    inspect score LOG.eval --scorer assay/calibration
    inspect eval TASK --solver ... --scorer assay/calibration -S verification='["prover"]'

A reply ends in its answer, in a tag or box, and says its confidence, as in `<confidence>0.8</confidence>`. The figures
are those of `assay use calibrated_agents report`, a set for each kind of tool that the samples used last.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspect_ai.model import ChatMessageAssistant
from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    Metric,
    SampleScore,
    Score,
    Scorer,
    Target,
    Value,
    accuracy,
    metric,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState

NO_TOOL, OTHER = "none", "other"


@metric
def calibration_by_tool(bins: int = 10) -> Metric:
    """`ece/KIND`, `brier/KIND`, `auroc/KIND` and `confidence_when_wrong/KIND` for each kind of tool, and `silent`, the
    share of replies without a readable confidence, which no other figure counts. NaN where a figure is not defined."""

    def compute(scores: list[SampleScore]) -> Value:
        from assay.methods.post_training.calibrated_agents import by_tool

        told = [one.score.metadata or {} for one in scores]
        spoken = [place for place, row in enumerate(told) if row.get("confidence") is not None]
        found: dict[str, float] = {"silent": 1 - len(spoken) / len(scores) if scores else float("nan")}
        confidence = [told[place]["confidence"] for place in spoken]
        right = [told[place]["correct"] for place in spoken]
        for kind, one in by_tool(confidence, right, [told[place]["tool"] for place in spoken], bins=bins).items():
            for name in ("ece", "brier", "auroc", "confidence_when_wrong"):
                value = getattr(one.calibration, name)
                found[f"{name}/{kind}"] = float("nan") if name == "auroc" and one.auroc_note else float(value)
        return found

    return compute


@scorer(metrics=[accuracy(), stderr(), calibration_by_tool()])
def calibration(evidence: Sequence[str] = (), verification: Sequence[str] = ()) -> Scorer:
    """Whether the answer is one of the targets, with the confidence in it and the kind of tool that came before it.

    evidence, verification    tools whose names do not tell which they are, such as "wiki" or "prover"

    The kind is "none" without a tool call, "other" for a tool that nobody has said the kind of.
    """
    from assay.methods.post_training.calibrated_agents import ToolKind, answers_right, readable, tool_kind

    kinds: dict[str, ToolKind] = {**dict.fromkeys(evidence, "evidence"), **dict.fromkeys(verification, "verification")}

    def kind_of(state: TaskState) -> str:
        replies = [message for message in state.messages if isinstance(message, ChatMessageAssistant)]
        called = [call.function for message in replies for call in message.tool_calls or ()]
        if not called:
            return NO_TOOL
        try:
            return tool_kind(called[-1], kinds)
        except ValueError:
            return OTHER

    async def score(state: TaskState, target: Target) -> Score:
        reply = state.output.completion
        right = any(answers_right(reply, gold) for gold in target)
        told = {"correct": right, "confidence": readable(reply), "tool": kind_of(state)}
        return Score(value=CORRECT if right else INCORRECT, answer=reply, metadata=told)

    return score
