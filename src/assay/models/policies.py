"""Small policies that stand in for a language model where a tiny one could not learn the task.

`FeaturePolicy` chooses from fixed lists of actions, `CandidatePolicy` from candidates that differ from decision to
decision. Both are a `Policy` of `assay.methods.policy_gradient`: sampled with a `torch.Generator`, log-probabilities
exposed, trained in seconds on one core.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

START_GAIN = 0.01  # of the last layer: a fresh policy is all but uniform


class FeaturePolicy(nn.Module):
    """A tanh network over `features` observed numbers with one categorical head for each entry of `heads`.

    heads    how many actions each head chooses from; the heads are independent given the observation
    hidden   widths of the hidden layers; () is a log-linear policy

    Observations are (N, features); actions (N, len(heads)) long. Weights are drawn from `generator`.
    """

    def __init__(
        self, features: int, heads: Sequence[int], hidden: Sequence[int] = (64, 64), *, generator: torch.Generator
    ) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features: got {features}, wanted at least 1")
        if not heads or min(heads) < 2:
            raise ValueError(f"heads: got {tuple(heads)}, wanted at least one head of at least 2 actions")
        self.heads = tuple(heads)
        self.network = _network(features, hidden, sum(heads), generator)

    def forward(self, observations: Tensor) -> tuple[Tensor, ...]:
        """Log-probabilities of each head's actions, one (N, actions) a head."""
        logits = self.network(observations).split(self.heads, dim=-1)
        return tuple(torch.log_softmax(head, dim=-1) for head in logits)

    def log_prob(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Log-probability of each decision, (N,): the sum over its heads."""
        chosen = [head.gather(1, actions[:, [i]]) for i, head in enumerate(self(observations))]
        return torch.cat(chosen, dim=1).sum(dim=1)

    @torch.no_grad()
    def sample(self, observations: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Actions (N, heads) and their log-probabilities (N,), without a graph."""
        heads = self(observations)
        actions = torch.stack([_draw(head, generator) for head in heads], dim=1)
        logprobs = [head.gather(1, actions[:, [i]]) for i, head in enumerate(heads)]
        return actions, torch.cat(logprobs, dim=1).sum(dim=1)

    @torch.no_grad()
    def greedy(self, observations: Tensor) -> Tensor:
        """The most likely action of each head, (N, heads)."""
        return torch.stack([head.argmax(dim=1) for head in self(observations)], dim=1)


class Candidates(NamedTuple):
    """What N decisions choose from: features (N, C, F), and (N, C) True where there is such a candidate."""

    features: Tensor
    valid: Tensor


def pad_candidates(decisions: Sequence[Tensor]) -> Candidates:
    """Decisions with features (C_i, F) each, to one padded batch. Raises ValueError where one has no candidate."""
    if not decisions or min(len(decision) for decision in decisions) == 0:
        raise ValueError("decisions: got none, or one without a candidate; wanted at least one candidate each")
    features = nn.utils.rnn.pad_sequence(list(decisions), batch_first=True)
    sizes = torch.tensor([len(decision) for decision in decisions])
    return Candidates(features, torch.arange(features.shape[1]) < sizes[:, None])


class CandidatePolicy(nn.Module):
    """A softmax over the scores that one tanh network gives the candidates at hand.

    Observations are `Candidates`, actions (N,) the number of the chosen candidate. The order of the candidates does
    not matter. `hidden=()` is a log-linear policy. Weights are drawn from `generator`.
    """

    def __init__(self, features: int, hidden: Sequence[int] = (64, 64), *, generator: torch.Generator) -> None:
        super().__init__()
        if features < 1:
            raise ValueError(f"features: got {features}, wanted at least 1")
        self.network = _network(features, hidden, 1, generator)

    def forward(self, observations: Candidates) -> Tensor:
        """Log-probabilities (N, C); -inf where there is no candidate."""
        scores = self.network(observations.features).squeeze(-1)
        return torch.log_softmax(scores.masked_fill(~observations.valid, -math.inf), dim=1)

    def log_prob(self, observations: Candidates, actions: Tensor) -> Tensor:
        """Log-probability of each choice, (N,)."""
        chosen: Tensor = self(observations).gather(1, actions[:, None])
        return chosen.squeeze(1)

    @torch.no_grad()
    def sample(self, observations: Candidates, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Choices (N,) and their log-probabilities (N,), without a graph."""
        logprobs = self(observations)
        actions = _draw(logprobs, generator)
        return actions, logprobs.gather(1, actions[:, None]).squeeze(1)

    @torch.no_grad()
    def greedy(self, observations: Candidates) -> Tensor:
        """The best scored candidate of each decision, (N,)."""
        best: Tensor = self(observations).argmax(dim=1)
        return best


def _draw(logprobs: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(logprobs.exp(), 1, generator=generator).squeeze(1)


def _network(inputs: int, hidden: Sequence[int], outputs: int, generator: torch.Generator) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide, narrow in zip((inputs, *hidden), hidden):
        layers += [_linear(wide, narrow, 1.0, generator), nn.Tanh()]
    return nn.Sequential(*layers, _linear((inputs, *hidden)[-1], outputs, START_GAIN, generator))


def _linear(inputs: int, outputs: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # leaves the global random state alone
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
