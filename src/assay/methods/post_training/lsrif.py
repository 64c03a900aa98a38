"""LSRIF: Logic-Structured Reinforcement Learning for Instruction Following (2601.06431): rewards by the logic.

An instruction's constraints hang together: all of these; first this, then that; if this, then A, else B. The reward
follows that tree where flat training averages whatever constraint is mentioned: a failed step takes weight from the
steps after it, and of two branches only the one that applies counts.

    trainer = GRPOTrainer(model, LSRIFReward(RuleVerifier()), train_dataset=rows, ...)   # columns prompt, structure

Details that matter
- What it costs: nothing by rules; with a language model one call a response for all its constraints.
- When it does not help: for constraints that all apply side by side it is the plain mean. It pays where branches
  exclude each other, since there the plain mean pays the wrong branch as well as the right one.
- Our reading: the decay. `decay=0.5` halves what follows a failed step, once for each failed step before it; a verdict
  between 0 and 1 takes a share of that. Steps are averaged, not summed.
- Ours: a conditional whose condition is false and that has no other branch does not apply. It is left out of the mean
  around it; as the whole instruction it has no reward at all (None, which TRL leaves out), rather than a 0 or a 1.
- A condition is a constraint of its own, on the prompt (`of="prompt"`) or on the response, settled by the same verifier
  and never rewarded; or plain true or false where whoever made the data knew; or a function of prompt and response.
- `build_instructions` makes data from questions of your own, `parameter_shift` and `attention_on` are the paper's look
  inside: which projections moved, and whether the model looks at "first", "then" and "if".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from assay.methods.concurrency import gather, run_sync
from assay.methods.parsing import ReplyError, as_text
from assay.methods.post_training._lsrif_checks import Rule
from assay.methods.post_training._lsrif_inside import attention_on, parameter_shift
from assay.methods.post_training._lsrif_instructions import ATOMS, CONDITIONS, Instruction, build_instructions
from assay.methods.post_training._lsrif_tree import (
    Conditional,
    Constraint,
    Node,
    Parallel,
    Sequential,
    check_ids,
    constraints,
    parse,
    settle,
    to_dict,
)
from assay.methods.post_training._lsrif_verifiers import (
    ClassifierVerifier,
    ConstraintVerifier,
    LLMVerifier,
    RuleVerifier,
    train_verifier,
)

__all__ = [
    "ATOMS", "CONDITIONS", "ClassifierVerifier", "Conditional", "Constraint", "ConstraintVerifier", "Instruction",
    "LLMVerifier", "LSRIFReward", "Node", "Parallel", "Rule", "RuleVerifier", "Sequential", "attention_on",
    "build_instructions", "constraints", "flat_reward", "parameter_shift", "parse", "settle", "structured_reward",
    "to_dict", "train_verifier",
]  # fmt: skip

TRUE = 0.5  # from this verdict on a condition is true

Verdicts: TypeAlias = Mapping[str, float]
Aggregate: TypeAlias = Callable[[Node, Verdicts], float | None]


def structured_reward(node: Node, verdicts: Verdicts, *, decay: float = 0.5) -> float | None:
    """The reward of a response by the logic of its instruction, in [0, 1]; None where nothing of it applies.

    verdicts   of each constraint that counts, and of each condition, by id, in [0, 1]; others are not looked at
    decay      what a failed step leaves of each step after it: r'_i = r_i * prod_{j<i} (r_j + (1 - r_j) * decay)

    >>> steps = Sequential([Constraint("a", "..."), Constraint("b", "...")])
    >>> structured_reward(steps, {"a": 0, "b": 1}), structured_reward(steps, {"a": 1, "b": 0})
    (0.25, 0.5)

    Raises ValueError for a verdict that is missing or out of range, two constraints of one id, a decay outside [0, 1],
    or a condition that is a function (`settle` it first).
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay: got {decay}, wanted a number in [0, 1]")
    check_ids(node)
    return _structured(node, verdicts, decay)


def _structured(node: Node, verdicts: Verdicts, decay: float) -> float | None:
    if isinstance(node, Constraint):
        return _verdict(node, verdicts)
    if isinstance(node, Conditional):
        branch = node.then if _applies(node, verdicts) else node.otherwise
        return None if branch is None else _structured(branch, verdicts, decay)
    weight, paid = 1.0, []
    for child in node.steps if isinstance(node, Sequential) else node.children:
        reward = _structured(child, verdicts, decay)
        if reward is not None:
            paid.append(reward * weight)
            if isinstance(node, Sequential):
                weight *= reward + (1 - reward) * decay
    return sum(paid) / len(paid) if paid else None


def _applies(node: Conditional, verdicts: Verdicts) -> bool:
    if isinstance(node.condition, bool):
        return node.condition
    if isinstance(node.condition, Constraint):
        return _verdict(node.condition, verdicts) >= TRUE
    raise ValueError("condition: it is a function of prompt and response; `settle` the tree first")


def _verdict(constraint: Constraint, verdicts: Verdicts) -> float:
    if constraint.id not in verdicts:
        raise ValueError(
            f"verdicts: none for {constraint.id!r}, which counts here; got {', '.join(verdicts) or 'none'}"
        )
    value = float(verdicts[constraint.id])
    if not 0 <= value <= 1:
        raise ValueError(f"verdicts: got {value} for {constraint.id!r}, wanted a number in [0, 1]")
    return value


def flat_reward(node: Node, verdicts: Verdicts) -> float:
    """What training without the logic pays: the mean over all constraints, those of every branch alike."""
    check_ids(node)
    values = [_verdict(one, verdicts) for one in constraints(node, conditions=False)]
    return sum(values) / len(values)


class LSRIFReward:
    """The structured reward as a reward function of TRL: `GRPOTrainer(reward_funcs=LSRIFReward(verifier), ...)`.

    The data set's column "structure" holds each row's tree, as JSON text, as an object, or as a tree itself.
    aggregate   from a tree and its verdicts to the reward, such as `flat_reward`
    A row that nothing applies to is None: unscorable, not zero. So is one whose judge gives no usable reply; `void`
    counts these.
    """

    __name__ = "lsrif"  # TRL logs a reward under its name

    def __init__(
        self, verifier: ConstraintVerifier, aggregate: Aggregate = structured_reward, concurrency: int = 16
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency: got {concurrency}, wanted at least 1")
        self.verifier, self.aggregate, self.concurrency, self.void = verifier, aggregate, concurrency, 0

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        structure: Sequence[Node | Mapping[str, Any] | str] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row. Raises ValueError without the column "structure", or for what is no tree."""
        if structure is None:
            raise ValueError("structure: got no such column in the data set, wanted the tree of each row")
        trees = [one if isinstance(one, Node) else parse(one) for one in structure]
        return run_sync(self._score, [as_text(p) for p in prompts], [as_text(c) for c in completions], trees)

    async def _score(self, prompts: list[str], completions: list[str], trees: list[Node]) -> list[float | None]:
        calls = [partial(self.one, *row) for row in zip(prompts, completions, trees, strict=True)]
        return await gather(calls, limit=self.concurrency)

    async def one(self, prompt: str, completion: str, tree: Node) -> float | None:
        """The reward of one response."""
        settled = settle(tree, prompt, completion)
        try:
            verdicts = await self.verifier.verify(prompt, completion, list(constraints(settled)))
        except ReplyError:
            self.void += 1
            return None
        return self.aggregate(settled, verdicts)
