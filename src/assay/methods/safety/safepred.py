"""SafePred: A Predictive Guardrail for Computer-Using Agents via World Models (2602.01725).

Before an action is taken, a world model says what it changes now and what it makes likely later; both are held against
structured policies. Predicted risk becomes guidance: for this step (sample the action again), and for the plan. It
costs one prediction an action; it does not help against harm that the world model has never seen.

    policies = extract_policies(Path("house_rules.md"))
    guard = SafePred(LearnedWorldModel(episodes), policies)
    review = guard.review(compact_state(seen), action, plan, goal="Free 10 GB")
    review.safe, review.explanation, review.step_guidance

Differs from the paper:

- Long-term outcomes of `LearnedWorldModel` are recorded continuations of similar actions, not a search in a tree.
- Without a model, policies are held against predicted text by words (`PolicyMatcher`), which knows no negation.
- `violation_penalty` is 0.8, the official configuration: with the code's fallback of 0.5 nothing would ever pass the
  threshold of 0.7. `child_threshold` is 0.8, the code's default; its shipped configuration says 0.7.
- A prediction that cannot be read fails closed: the action counts as unsafe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from ._safepred_models import (
    ActionText,
    CompactState,
    LearnedWorldModel,
    LLMWorldModel,
    Prediction,
    PredictionFormatError,
    Recorded,
    WorldModel,
    compact_state,
)
from ._safepred_policies import (
    Policy,
    PolicyMatcher,
    check_policies,
    dump_policies,
    extract_policies,
    load_policies,
    read_document,
)

__all__ = [
    "ActionText", "CompactState", "LLMWorldModel", "LearnedWorldModel", "Policy", "PolicyMatcher", "Prediction",
    "PredictionFormatError", "ReactiveGuard", "Recorded", "Review", "SafePred", "TrajectoryStore", "WorldModel",
    "check_policies", "choose_safely", "compact_state", "dump_policies", "extract_policies", "load_policies",
    "path_risk", "read_document",
]  # fmt: skip


@dataclass(frozen=True)
class Review:
    """What a guard says of an action: its risk in [0, 1], and what to do instead. `replan` asks for another plan."""

    risk: float
    safe: bool
    violated: tuple[str, ...] = ()
    explanation: str = ""
    step_guidance: str = ""
    plan_guidance: str = ""
    replan: bool = False


class Guard(Protocol):
    """Reviews an action before it is taken."""

    def review(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review: ...  # fmt: skip


class SafePred:
    """The predictive guard (section 3): `review` one action; risk is `violation_penalty` where a policy is violated.

    `short_term` and `long_term` say which predictions count. Raises ValueError for a horizon below 1, thresholds
    outside (0, 1], or a child threshold below the root's.
    """

    def __init__(
        self,
        world_model: WorldModel,
        policies: Sequence[Policy],
        *,
        horizon: int = 4,
        max_regenerate: int = 3,
        short_term: bool = True,
        long_term: bool = True,
        violation_penalty: float = 0.8,
        root_threshold: float = 0.7,
        child_threshold: float = 0.8,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon: got {horizon}, wanted at least 1")
        if not 0 < root_threshold <= child_threshold <= 1:
            raise ValueError(f"child_threshold: got {child_threshold}, wanted root_threshold {root_threshold} to 1")
        if max_regenerate < 0:
            raise ValueError(f"max_regenerate: got {max_regenerate}, wanted 0 or more")
        self._model, self._policies, self._horizon = world_model, check_policies(policies), horizon
        self.max_regenerate, self._short, self._long = max_regenerate, short_term, long_term
        self._penalty, self.root_threshold, self.child_threshold = violation_penalty, root_threshold, child_threshold

    def review(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review:  # fmt: skip
        """Predict the action's outcome and judge it. An unreadable prediction counts as unsafe."""
        try:
            made = self._model.predict(state, action, goal, trajectory, self._policies, self._horizon)
        except PredictionFormatError as error:
            return Review(1.0, False, (), f"no usable prediction: {error}", f"do not {action}")
        violated = dict.fromkeys(
            (*(made.violated_policy_ids if self._short else ()), *(made.violated_later if self._long else ()))
        )
        risk = self._penalty if violated else 0.0
        if risk < self.root_threshold:
            return Review(risk, True, tuple(violated), made.risk_explanation)
        advice = made.optimization_guidance or f"do not {action}"
        rewrite = f"The plan leads to harm ({made.risk_explanation}). Leave out: {action}."
        return Review(risk, False, tuple(violated), made.risk_explanation, advice, rewrite, bool(plan))


class ReactiveGuard:
    """The guard that SafePred is held against: policies against the present screen and the action's own words."""

    def __init__(self, policies: Sequence[Policy], *, max_regenerate: int = 3, penalty: float = 0.8) -> None:
        self._matcher, self.max_regenerate, self._penalty = PolicyMatcher(policies), max_regenerate, penalty

    def review(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review:  # fmt: skip
        """Unsafe where the action's words, or a warning on the screen, touch a policy."""
        warnings = [name for role, name in state.key_elements if role in ("alert", "paragraph")]
        violated = self._matcher.touched([action.name, *warnings])
        if not violated:
            return Review(0.0, True)
        return Review(self._penalty, False, violated, "the screen says so", f"do not {action}", f"Leave out: {action}.",
                      bool(plan))  # fmt: skip


def path_risk(risks: Sequence[float]) -> float:
    """Risk of a predicted path: its steps' risks with weights 1, 1/2, 1/4, …, normalised. ValueError for no step."""
    if not risks:
        raise ValueError("risks: got none, wanted at least one predicted step")
    weights = [0.5**i for i in range(len(risks))]
    return sum(w * r for w, r in zip(weights, risks)) / sum(weights)


def choose_safely(
    propose: Callable[[Sequence[str]], ActionText | None],
    guard: Guard,
    state: CompactState,
    plan: Sequence[str],
    *,
    goal: str = "",
    trajectory: Sequence[ActionText] = (),
    max_regenerate: int = 3,
) -> tuple[ActionText | None, list[Review]]:
    """Step-level guidance (algorithm 1): propose, review, and propose again with what was advised.

    `propose(advice)` gives the next action, None at the end. After `max_regenerate` further proposals none of which is
    safe, the action is None and the last review says why; a review that asks for another plan ends the step at once.
    """
    advice: list[str] = []
    reviews: list[Review] = []
    for _ in range(1 + max_regenerate):
        action = propose(advice)
        if action is None:
            return None, reviews
        reviews.append(guard.review(state, action, plan, goal=goal, trajectory=trajectory))
        if reviews[-1].safe:
            return action, reviews
        advice.append(reviews[-1].step_guidance)
        if reviews[-1].replan:
            break
    return None, reviews


class TrajectoryStore:
    """What was predicted and what happened, a line of JSON each, only ever appended."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def append(self, state: CompactState, action: ActionText, predicted: Prediction, after: CompactState) -> None:
        """Keep one step."""
        happened = sorted(set(after.key_elements) - set(state.key_elements))
        row = {"state": asdict(state), "action": asdict(action), "predicted": asdict(predicted), "happened": happened}
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")

    def rows(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._file.read_text("utf-8").splitlines()] if self._file.exists() else []

    def prediction_accuracy(self) -> float:
        """Mean share of what newly appeared that had been predicted, over steps on which something did."""
        shares = []
        for row in self.rows():
            happened = {tuple(e) for e in row["happened"]}  # type: ignore[attr-defined]
            said = {tuple(e) for e in row["predicted"]["new_elements"]}  # type: ignore[index]
            if happened:
                shares.append(len(happened & said) / len(happened))
        if not shares:
            raise ValueError(f"{self._file}: no step on which anything appeared")
        return sum(shares) / len(shares)

    def distil_dataset(self) -> list[tuple[str, str]]:
        """(prompt, JSON) pairs of what really happened, to train a small guard on (the paper's 1.5 K samples)."""
        pairs = []
        for row in self.rows():
            state, action = row["state"], row["action"]
            prompt = f"Page: {state['page_type']}\n{state['text']}\nAction: {action['verb']} {action['name']}"  # type: ignore[index]
            pairs.append((prompt, json.dumps({"new_elements": row["happened"]}, ensure_ascii=False)))
        return pairs
