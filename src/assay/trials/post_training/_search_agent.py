"""A small policy at the knowledge desk: it plays episodes and keeps every decision, for trials that train it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.methods.policy_gradient import Rollouts
from assay.methods.post_training.bapo import correctness_reward, is_idk
from assay.models.policies import FeaturePolicy
from assay.worlds.knowledge.desk import Desk, Split
from assay.worlds.knowledge.episodes import FEATURES, Episodes, Reading

IDK = "I don't know"

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Played:
    """E episodes and their N decisions.

    answers    the answer of each, `IDK` for a refusal, None without one
    scores     (E,) correctness: F1 with the gold answer, -1 without an answer
    idk        (E,) bool
    episode    (N,) the episode of each decision; observations, actions and logprobs as in `Rollouts`
    calls      (E,) tools called
    """

    answers: tuple[str | None, ...]
    scores: Tensor
    idk: Tensor
    calls: Ints
    observations: Tensor
    actions: Tensor
    logprobs: Tensor
    episode: Tensor

    def __len__(self) -> int:
        return len(self.answers)

    def then(self, other: Played) -> Played:
        """These episodes and after them the other ones."""
        pairs = ("scores", "idk", "observations", "actions", "logprobs")
        both = {name: torch.cat([getattr(self, name), getattr(other, name)]) for name in pairs}
        episode = torch.cat([self.episode, other.episode + len(self)])
        calls = np.concatenate([self.calls, other.calls])
        return Played(self.answers + other.answers, calls=calls, episode=episode, **both)

    def rollouts(self, chosen: Ints, rewards: Tensor, group: Tensor) -> Rollouts:
        """What GRPO is given of the chosen episodes, (B,) different ones, with the rewards and groups of these."""
        place = torch.full((len(self),), -1)
        place[torch.from_numpy(chosen)] = torch.arange(len(chosen))
        row = place[self.episode]
        kept = row >= 0
        return Rollouts(self.observations[kept], self.actions[kept], self.logprobs[kept], row[kept], rewards, group)


class SearchAgent:
    """A fresh `FeaturePolicy` that chooses among `moves` of the desk's episodes, weights and draws from one seed."""

    def __init__(self, desk: Desk, moves: Sequence[int], *, max_calls: int, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.policy = FeaturePolicy(len(FEATURES), (len(moves),), generator=self.generator)
        self.reading = Reading(desk)
        self.moves, self.max_calls = np.array(moves), max_calls

    def play(self, split: Split, questions: Ints, *, greedy: bool = False) -> Played:
        """One episode for each entry of `questions`, numbers in the split, by drawn or by the likeliest moves."""
        episodes = Episodes(self.reading, split, questions, self.max_calls)
        decisions: list[tuple[Tensor, ...]] = []
        while not episodes.done.all():
            rows = np.flatnonzero(~episodes.done)
            seen = torch.from_numpy(episodes.observe()[rows])
            if greedy:
                actions = self.policy.greedy(seen)
                logprobs = self.policy.log_prob(seen, actions).detach()
            else:
                actions, logprobs = self.policy.sample(seen, self.generator)
            moves = np.zeros(len(questions), np.int64)
            moves[rows] = self.moves[actions[:, 0].numpy()]
            episodes.act(moves)
            decisions.append((seen, actions, logprobs, torch.from_numpy(rows)))
        return self._played(episodes, *map(torch.cat, zip(*decisions)))

    def _played(self, episodes: Episodes, *decisions: Tensor) -> Played:
        names = self.reading.desk.graph.names
        answers = tuple(
            IDK if refused else (names[said] if said >= 0 else None)
            for refused, said in zip(episodes.abstained.tolist(), episodes.said.tolist())
        )
        replies = ["" if answer is None else rf"\boxed{{{answer}}}" for answer in answers]
        scores = [correctness_reward(reply, names[gold]) for reply, gold in zip(replies, episodes.gold.tolist())]
        idk = torch.tensor([is_idk(reply) for reply in replies])
        return Played(answers, torch.tensor(scores), idk, episodes.calls, *decisions)
