"""PRL: Process Reward Learning Improves LLMs' Reasoning Ability and Broadens the Reasoning Boundary (2601.10201).

The objective E[r] - (1/eta) KL(pi || pi_0) splits over the steps of a response: each step's process reward is its
log-ratio to the reference, the last one also gets the outcome. `FutureKL` takes from the advantage of a token what
its step and all later ones have cost in divergence; no search and no reward model are needed.

    AdvantageGRPOTrainer(..., advantage=Pipeline(GroupNormalised(scale="none"), FutureKL(beta=0.01)))

Details that matter
- What it costs: one forward pass of the reference model, which `GRPOConfig(beta=1e-12)` makes TRL do without a KL
  term of weight; then O(B T).
- beta = 1/eta weighs against the reward's own unit. Behind `GroupNormalised(scale="std")` advantages are divided by
  the group's std and beta is not, so it then weighs beta * std. Put `FutureKL` last: what multiplies advantages
  (HA-DW, uniqueness) would multiply the divergence too.
- When it does not help: with one step a response it is the divergence of the whole response, which is as much as
  the KL in the reward before mean-centring does.
- The paper's first version splits responses into steps, by lines or by a fixed number of tokens; its second, where
  the method has another name, takes every token for a step (`step_level=False`). Both are unbiased.
- Set by us: the default of beta, and `center`, a baseline a step. Like the group's mean of the rewards it holds the
  row itself, so that it scales the correction by the same 1 - 1/G.
- With verl: `assay.integrations.verl.register_whole(Pipeline(GroupNormalised(scale="none"), FutureKL(beta=0.01)))`
  takes the place of "gdpo", the only estimator that verl hands reference log-probabilities to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator, GroupNormalised

StepsOf = Callable[[RolloutBatch], Tensor]  # a batch to the step of each token, (B, T) long, never decreasing


class FutureKL:
    """The `AdvantageTransform` A -> A - beta * (log-ratio to the reference of the token's step and all later ones).

    beta        1/eta, the weight of the divergence in the objective
    step_level  False: every trained token is a step of its own
    center      subtract the group's mean of the log-ratios, step by step
    steps       how a response is split: a number of tokens, or a function such as `line_steps(...)`
    """

    needs = frozenset({"logprobs", "ref_logprobs"})

    def __init__(
        self, beta: float = 0.01, step_level: bool = True, center: bool = True, steps: int | StepsOf = 64
    ) -> None:
        if not beta > 0:
            raise ValueError(f"beta: got {beta}, wanted a weight > 0")
        if isinstance(steps, int) and steps < 1:
            raise ValueError(f"steps: got {steps}, wanted at least 1 token a step")
        self.beta, self.step_level, self.center, self.steps = beta, step_level, center, steps

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor:
        """Advantages (B,) or (B, T) to (B, T), 0 outside the mask."""
        correction = self.correction(batch).to(advantages.dtype)
        over_tokens = advantages if advantages.dim() == 2 else advantages.unsqueeze(1)
        return (over_tokens - self.beta * correction) * batch.mask

    def correction(self, batch: RolloutBatch) -> Tensor:
        """The log-ratio still to come at each token, (B, T), centred where asked for."""
        batch.require("logprobs", "ref_logprobs", needed_by="FutureKL")
        assert batch.logprobs is not None
        ratio = log_ratios(batch.logprobs, batch.ref_logprobs, batch.mask)
        step = self._steps(batch)
        to_come = step_sums(ratio, step).flip(1).cumsum(1).flip(1)
        if self.center:
            to_come = to_come - _group_means(to_come, reached(step, batch.mask), batch.group)
        return to_come.gather(1, step) * batch.mask

    def _steps(self, batch: RolloutBatch) -> Tensor:
        if not self.step_level:
            return torch.arange(batch.mask.shape[1], device=batch.mask.device).expand_as(batch.mask)
        step = fixed_steps(batch.mask, self.steps) if isinstance(self.steps, int) else self.steps(batch)
        _check_steps(step, batch.mask)
        return step


def process_rewards(
    logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, step: Tensor, outcome: Tensor, eta: float
) -> Tensor:
    """Each step's reward: -(1/eta) times its log-ratio, and the outcome (B,) added to a row's last step.

    logprobs, ref_logprobs (B, T), mask (B, T) bool, step (B, T) long. Returns (B, steps), 0 where a row has no such
    step. A row's sum is r - (1/eta) log(pi/pi_0), which is the same for all responses of the optimal policy.
    """
    if not eta > 0:
        raise ValueError(f"eta: got {eta}, wanted > 0")
    if not mask.any(dim=1).all():
        raise ValueError(f"mask: row {int((~mask.any(dim=1)).nonzero()[0])} has no token, wanted at least one a row")
    _check_steps(step, mask)
    rewards = -step_sums(log_ratios(logprobs, ref_logprobs, mask), step) / eta
    last = step.masked_fill(~mask, 0).max(dim=1, keepdim=True).values
    return rewards.scatter_add(1, last, outcome.to(rewards.dtype).unsqueeze(1))


def optimal_policy(pi0: Tensor, rewards: Tensor, eta: float) -> Tensor:
    """pi* = pi_0 e^(eta r) / Z over responses that can be listed: `pi0` and `rewards` (..., N)."""
    if not eta > 0:
        raise ValueError(f"eta: got {eta}, wanted > 0")
    return torch.softmax(pi0.log() + eta * rewards, dim=-1)


def segment(tokens: Sequence[str], mode: Literal["newline", "fixed"] = "newline", size: int = 64) -> Tensor:
    """The step of each token of one response, (T,) long, from the tokens' texts ("" for special ones).

    "newline": a step ends with the first line break after some text, so that empty lines make no step; white space
    behind the last text belongs to the last step. "fixed": `size` tokens a step, and what is left over at the end
    belongs to the last step.

    >>> segment(["a", "=", "1\\n", "\\n", "b", "\\n", ""]).tolist()
    [0, 0, 0, 1, 1, 1, 1]
    """
    if mode not in ("newline", "fixed"):
        raise ValueError(f"mode: got {mode!r}, wanted 'newline' or 'fixed'")
    if not tokens:
        return torch.zeros(0, dtype=torch.long)
    if mode == "fixed":
        return fixed_steps(torch.ones(1, len(tokens), dtype=torch.bool), size)[0]
    steps, step, holds_text, last = [], 0, False, 0
    for token in tokens:
        steps.append(step)
        holds_text = holds_text or bool(token.strip())
        if token.strip():
            last = step
        if "\n" in token and holds_text:
            step, holds_text = step + 1, False
    return torch.tensor(steps, dtype=torch.long).clamp(max=last)


def fixed_steps(mask: Tensor, size: int) -> Tensor:
    """`size` tokens a step, (B, T) long; what is left over at a row's end belongs to its last step."""
    if size < 1:
        raise ValueError(f"size: got {size}, wanted at least 1 token a step")
    column = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    length = (column + 1).masked_fill(~mask, 0).amax(dim=1, keepdim=True)
    return torch.minimum(column // size, (length // size - 1).clamp(min=0))


def line_steps(tokenize: Callable[[str], Sequence[str]]) -> StepsOf:
    """Steps by lines for `FutureKL(steps=...)`; `tokenize` gives the texts of a completion's tokens, in order.

    The completion's text is split again, so where sampling chose other tokens for it than the tokenizer would, a
    step may begin some tokens off. Tokens behind the text (end of text, padding) belong to the last step.
    """

    def steps(batch: RolloutBatch) -> Tensor:
        batch.require("completions", needed_by="line_steps")
        step = torch.zeros(batch.mask.shape, dtype=torch.long, device=batch.mask.device)
        for row, text in enumerate(batch.completions):
            own = segment(tokenize(text))[: step.shape[1]].to(step)
            step[row, : len(own)] = own
            step[row, len(own) :] = own[-1] if len(own) else 0
        return step

    return steps


def log_ratios(logprobs: Tensor, ref_logprobs: Tensor | None, mask: Tensor) -> Tensor:
    """log pi - log pi_ref of each trained token, (B, T), without a graph; 0 outside the mask."""
    assert ref_logprobs is not None
    return (logprobs - ref_logprobs).detach().masked_fill(~mask, 0)


def step_sums(ratio: Tensor, step: Tensor) -> Tensor:
    """The log-ratios (B, T) summed over each step, (B, steps)."""
    return ratio.new_zeros(len(ratio), int(step.max()) + 1).scatter_add(1, step, ratio)


def reached(step: Tensor, mask: Tensor) -> Tensor:
    """Whether a row trains any token of a step, (B, steps) bool."""
    return step_sums(mask.float(), step) > 0


def _group_means(values: Tensor, there: Tensor, group: Tensor) -> Tensor:
    """Each column's mean over those rows of the group that are there, for every row, (B, steps)."""
    ids, cell = torch.unique(group, return_inverse=True)
    total = values.new_zeros(len(ids), values.shape[1]).index_add(0, cell, values * there)
    count = values.new_zeros(len(ids), values.shape[1]).index_add(0, cell, there.to(values))
    return (total / count.clamp(min=1))[cell]


def _check_steps(step: Tensor, mask: Tensor) -> None:
    if step.shape != mask.shape:
        raise ValueError(f"step: got shape {tuple(step.shape)}, wanted that of mask, {tuple(mask.shape)}")
    if step.is_floating_point() or step.dtype == torch.bool:
        raise TypeError(f"step: got {step.dtype}, wanted integer steps")
    if (step < 0).any():
        raise ValueError(f"step: got {int(step.min())}, wanted steps counted from 0")
    if (step.diff(dim=1) < 0).any():
        raise ValueError(f"step: decreases in row {int((step.diff(dim=1) < 0).any(dim=1).nonzero()[0])}")


class LossSideK3:
    """What GRPO's own KL term adds, as a transform, for comparison: on samples of the present policy the gradient of
    beta * k3 acts like an advantage of -beta (1 - pi_ref/pi) on each token. It sees no later token's divergence."""

    needs = frozenset({"logprobs", "ref_logprobs"})

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor:
        batch.require("logprobs", "ref_logprobs", needed_by="LossSideK3")
        assert batch.logprobs is not None
        pull = 1 - torch.exp(-log_ratios(batch.logprobs, batch.ref_logprobs, batch.mask))
        over_tokens = advantages if advantages.dim() == 2 else advantages.unsqueeze(1)
        return (over_tokens - self.beta * pull.to(advantages.dtype)) * batch.mask


class KLInReward:
    """The divergence of the whole response taken off its reward before the group is normalised, for comparison: it
    changes the group's statistics, and every token bears the same."""

    needs = frozenset({"logprobs", "ref_logprobs"})

    def __init__(self, beta: float, base: AdvantageEstimator | None = None) -> None:
        self.beta = beta
        self.base = base if base is not None else GroupNormalised()

    def __call__(self, batch: RolloutBatch) -> Tensor:
        batch.require("logprobs", "ref_logprobs", needed_by="KLInReward")
        assert batch.logprobs is not None
        spent = log_ratios(batch.logprobs, batch.ref_logprobs, batch.mask).sum(dim=1)
        return self.base(batch.replace(rewards=batch.rewards - self.beta * spent.to(batch.rewards.dtype)))


@torch.no_grad()
def response_logprobs(model: Any, prompt: Tensor, response: Tensor) -> Tensor:
    """log pi of each token of `response` (T,) after the token ids `prompt` (P,), P >= 1, by a `transformers` causal
    language model. Returns (T,) float32."""
    if len(prompt) == 0:
        raise ValueError("prompt: got no token, wanted at least one to condition on")
    logits = model(torch.cat([prompt, response])[None]).logits[0, len(prompt) - 1 : -1]
    logprobs: Tensor = logits.float().log_softmax(-1).gather(1, response[:, None])[:, 0]
    return logprobs
