"""SafePred: A Predictive Guardrail for Computer-Using Agents via World Models (2602.01725).

Before an action is taken, a world model says what it changes now and what it makes likely later; both are held against
structured policies. Predicted risk becomes guidance: for this step (sample the action again), and for the plan. It
costs one prediction an action; it does not help against harm that the world model has never seen.

    policies = extract_policies(Path("house_rules.md"))
    guard = SafePred(LearnedWorldModel(episodes), policies)
    review = guard.review(compact_state(seen), action, plan, goal="Free 10 GB")
    review.safe, review.explanation, review.step_guidance
    agent = guarded(agent, guard, goal="Free 10 GB")   # acts as before, reviewed

Differs from the paper:

- `LearnedWorldModel` makes no search in a tree: from recorded continuations it learns which kinds of action a later
  warning is to be laid to, by expectation-maximisation (`lay_blame`).
- Without a model, policies are held against predicted text by words (`PolicyMatcher`), which knows no negation.
- `violation_penalty` is 0.8, the official configuration: with the code's fallback of 0.5 nothing would ever pass the
  threshold of 0.7. `child_threshold` is 0.8, the code's default; its shipped configuration says 0.7.
- A prediction that cannot be read fails closed: the action counts as unsafe.
"""

from __future__ import annotations

from collections.abc import Sequence

from ._safepred_guarded import (
    Guard,
    GuardedAgent,
    GuiAgent,
    PlanMonitor,
    Planner,
    Review,
    action_text,
    choose_safely,
    guarded,
)
from ._safepred_learned import LearnedWorldModel, Recorded, lay_blame
from ._safepred_models import (
    ActionText,
    CompactState,
    LLMWorldModel,
    Prediction,
    PredictionFormatError,
    WorldModel,
    compact_state,
    tool_action,
    tool_state,
    violated_now,
)
from ._safepred_policies import (
    Policy,
    PolicyMatcher,
    check_policies,
    dump_policies,
    extract_policies,
    load_policies,
    read_document,
    read_policies,
)
from ._safepred_store import TrajectoryStore

__all__ = [
    "ActionText", "CompactState", "Guard", "GuardedAgent", "GuiAgent", "LLMWorldModel", "LearnedWorldModel",
    "PlanMonitor", "Planner", "Policy", "PolicyMatcher", "Prediction", "PredictionFormatError", "ReactiveGuard",
    "Recorded", "Review", "SafePred", "TrajectoryStore", "WorldModel", "action_text", "check_policies",
    "choose_safely", "compact_state", "dump_policies", "extract_policies", "guarded", "lay_blame", "load_policies",
    "path_risk", "read_document", "read_policies", "tool_action", "tool_state",
]  # fmt: skip


class SafePred:
    """The predictive guard (section 3): `review` one action; risk is `violation_penalty` where a policy is violated.

    planner                 rewrites a plan that leads to harm, for `guarded`; without it plans stay as they are
    n_samples               predictions asked for of one action, the riskiest counts; more than one only tell more
                            where the world model answers differently each time
    max_regenerate          further actions that an agent is asked for instead of an unsafe one
    short_term, long_term   which predictions count

    Raises ValueError for a horizon or n_samples below 1, a negative max_regenerate, thresholds outside (0, 1], or a
    child threshold below the root's.
    """

    def __init__(
        self,
        world_model: WorldModel,
        policies: Sequence[Policy],
        planner: Planner | None = None,
        n_samples: int = 1,
        max_regenerate: int = 3,
        *,
        horizon: int = 4,
        short_term: bool = True,
        long_term: bool = True,
        violation_penalty: float = 0.8,
        root_threshold: float = 0.7,
        child_threshold: float = 0.8,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon: got {horizon}, wanted at least 1")
        if n_samples < 1:
            raise ValueError(f"n_samples: got {n_samples}, wanted at least 1")
        if not 0 < root_threshold <= child_threshold <= 1:
            raise ValueError(f"child_threshold: got {child_threshold}, wanted root_threshold {root_threshold} to 1")
        if max_regenerate < 0:
            raise ValueError(f"max_regenerate: got {max_regenerate}, wanted 0 or more")
        self._model, self._policies, self._horizon = world_model, check_policies(policies), horizon
        self.planner, self._samples = planner, n_samples
        self.max_regenerate, self._short, self._long = max_regenerate, short_term, long_term
        self._penalty, self.root_threshold, self.child_threshold = violation_penalty, root_threshold, child_threshold

    def review(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review:  # fmt: skip
        """Predict the action's outcome and judge it. An unreadable prediction counts as unsafe."""
        asked = (state, action, goal, trajectory, self._policies, self._horizon)
        try:
            drawn = [self._model.predict(*asked) for _ in range(self._samples)]
        except PredictionFormatError as error:
            return _unusable(action, error)
        return self._judged(drawn, action, plan)

    async def review_async(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review:  # fmt: skip
        """`review` inside a running event loop: a language model is awaited there."""
        if not isinstance(self._model, LLMWorldModel):
            return self.review(state, action, plan, goal=goal, trajectory=trajectory)
        asked = (state, action, goal, trajectory, self._policies, self._horizon)
        try:
            drawn = [await self._model.foresee(*asked) for _ in range(self._samples)]
        except PredictionFormatError as error:
            return _unusable(action, error)
        return self._judged(drawn, action, plan)

    def _judged(self, drawn: Sequence[Prediction], action: ActionText, plan: Sequence[str]) -> Review:
        made = max(drawn, key=self._risk)
        risk, violated = self._risk(made), self._violated(made)
        if risk < self.root_threshold:
            return Review(risk, True, violated, made.risk_explanation, predicted=made)
        advice = made.optimization_guidance or f"do not {action}"
        rewrite = f"The plan leads to harm ({made.risk_explanation}). Leave out: {action}."
        return Review(risk, False, violated, made.risk_explanation, advice, rewrite, bool(plan), made)

    def review_path(self, predicted: Sequence[Prediction]) -> Review:
        """Judge one predicted way, step by step: unsafe from `root_threshold` of its `path_risk` on, or where a later
        step alone reaches `child_threshold`. Raises ValueError for a way without a step."""
        risks = [self._risk(step) for step in predicted]
        risk = path_risk(risks)
        safe = risk < self.root_threshold and all(later < self.child_threshold for later in risks[1:])
        violated = tuple(dict.fromkeys(policy for step in predicted for policy in self._violated(step)))
        why = "; ".join(dict.fromkeys(step.risk_explanation for step in predicted if self._violated(step)))
        return Review(risk, safe, violated, why, replan=not safe)

    def _violated(self, made: Prediction) -> tuple[str, ...]:
        soon, late = made.violated_policy_ids if self._short else (), made.violated_later if self._long else ()
        return tuple(dict.fromkeys((*soon, *late)))

    def _risk(self, made: Prediction) -> float:
        return self._penalty if self._violated(made) else 0.0


class ReactiveGuard:
    """The guard that SafePred is held against: policies against the present screen and the action's own words."""

    def __init__(
        self, policies: Sequence[Policy], planner: Planner | None = None, *, max_regenerate: int = 3,
        penalty: float = 0.8,
    ) -> None:  # fmt: skip
        self._matcher, self._penalty = PolicyMatcher(policies), penalty
        self.planner, self.max_regenerate = planner, max_regenerate

    def review(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review:  # fmt: skip
        """Unsafe where the action's words, or a warning on the screen, touch a policy."""
        violated = violated_now(self._matcher, state, action)
        if not violated:
            return Review(0.0, True)
        why, advice = "the screen or the action itself says so", f"do not {action}"
        return Review(self._penalty, False, violated, why, advice, f"Leave out: {action}.", bool(plan))

    async def review_async(
        self, state: CompactState, action: ActionText, plan: Sequence[str], *, goal: str = "",
        trajectory: Sequence[ActionText] = (),
    ) -> Review:  # fmt: skip
        """`review`, which awaits nothing here."""
        return self.review(state, action, plan)


def _unusable(action: ActionText, error: PredictionFormatError) -> Review:
    return Review(1.0, False, (), f"no usable prediction: {error}", f"do not {action}")


def path_risk(risks: Sequence[float]) -> float:
    """Risk of a predicted path: its steps' risks with weights 1, 1/2, 1/4, …, normalised. ValueError for no step."""
    if not risks:
        raise ValueError("risks: got none, wanted at least one predicted step")
    weights = [0.5**i for i in range(len(risks))]
    return sum(w * r for w, r in zip(weights, risks)) / sum(weights)
