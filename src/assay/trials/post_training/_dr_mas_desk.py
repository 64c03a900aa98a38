"""A solver and a fixer at the knowledge desk: the team of the trials of Dr. MAS.

The solver searches and drafts an answer. The table approves the right ones; only where it does not, the fixer is
called in: it goes on where the solver stopped, has two calls of its own, may look its candidate up, and answers. Both
get the team's reward: 0.7 for a right answer at the end; 0.2 for a right draft, or of a wrong one half of that for the
share of the way found in the end; and a little noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator
from assay.models.policies import FeaturePolicy
from assay.worlds.knowledge.desk import Desk, Split
from assay.worlds.knowledge.episodes import ANSWER, FEATURES, SEARCH, VERIFY, Episodes, Reading

SOLVER, FIXER = 0, 1
MOVES = (np.array([SEARCH, ANSWER]), np.array([SEARCH, VERIFY, ANSWER]))
CALLS, FIXER_CALLS = 4, 2
RIGHT, QUALITY, NOISE = 0.7, 0.2, 0.05
QUESTIONS, ROLLOUTS = 8, 16

Ints = NDArray[np.int64]


class Decisions(NamedTuple):
    """N decisions of one agent: `kind` numbers a row of `observations` (S, F); `episode` (N,) is whose they are."""

    observations: Tensor
    kind: Tensor
    actions: Tensor
    episode: Tensor


@dataclass(frozen=True)
class Played:
    """E episodes: whether the answer at the end is right, the team's reward, the question's group, whether the fixer
    was called; and each agent's decisions."""

    right: Tensor
    rewards: Tensor
    group: Tensor
    called: Tensor
    decisions: tuple[Decisions, Decisions]

    def rows(self, rewards: Tensor | None = None) -> RolloutBatch:
        """A row an agent and episode that it acted in, the solver's first; `rewards` (E,) in place of the team's."""
        episode = torch.cat([torch.arange(len(self.right)), self.called.nonzero().flatten()])
        return RolloutBatch(
            rewards=(self.rewards if rewards is None else rewards)[episode],
            group=self.group[episode],
            mask=torch.ones(len(episode), 1, dtype=torch.bool),
            agent=(torch.arange(len(episode)) >= len(self.right)).long(),
            trajectory=episode,
        )

    def first(self, rollouts: int) -> Played:
        """The first rollouts of every question alone."""
        kept = torch.arange(len(self.right)) % ROLLOUTS < rollouts
        place = kept.cumsum(0) - 1

        def of_kept(one: Decisions) -> Decisions:
            rows = kept[one.episode]
            return Decisions(one.observations, one.kind[rows], one.actions[rows], place[one.episode[rows]])

        drafts, fixes = map(of_kept, self.decisions)
        return Played(self.right[kept], self.rewards[kept], self.group[kept], self.called[kept], (drafts, fixes))


class Team:
    """Two fresh policies at a desk, weights and draws from one seed. `always`: the fixer is called in every episode."""

    def __init__(self, desk: Desk, seed: int, always: bool = False) -> None:
        self.generator, self.noise = torch.Generator().manual_seed(seed), np.random.default_rng([seed, 0])
        self.policies = [FeaturePolicy(len(FEATURES), (len(own),), generator=self.generator) for own in MOVES]
        self.reading, self.always = Reading(desk), always

    def play(self, split: Split, questions: Ints, group: Tensor) -> Played:
        """One episode for each entry of `questions`, numbers in the split."""
        episodes = Episodes(self.reading, split, questions, CALLS)
        drafts = self._act(SOLVER, episodes)
        drafted = episodes.said == episodes.gold
        called = np.ones(len(questions), bool) if self.always else ~drafted
        episodes.done &= ~called
        episodes.said[called] = -1
        episodes.max_calls = CALLS + FIXER_CALLS
        fixes = self._act(FIXER, episodes)
        right = episodes.said == episodes.gold
        quality = np.where(drafted, 1, 0.5 * self._way(split, questions, episodes, right))
        rewards = RIGHT * right + QUALITY * quality + self.noise.normal(0, NOISE, len(right))
        return Played(
            torch.from_numpy(right), torch.from_numpy(rewards), group, torch.from_numpy(called), (drafts, fixes)
        )

    def _act(self, agent: int, episodes: Episodes) -> Decisions:
        """Let the agent act until every episode is done."""
        seen, done, whose = [], [], []
        while not episodes.done.all():
            rows = np.flatnonzero(~episodes.done)
            observations = torch.from_numpy(episodes.observe()[rows])
            actions, _ = self.policies[agent].sample(observations, self.generator)
            moves = np.zeros(len(episodes.done), np.int64)
            moves[rows] = MOVES[agent][actions[:, 0].numpy()]
            episodes.act(moves)
            seen.append(observations)
            done.append(actions)
            whose.append(torch.from_numpy(rows))
        if not seen:
            empty = torch.zeros(0, dtype=torch.long)
            return Decisions(torch.zeros(0, len(FEATURES)), empty, empty[:, None], empty)
        kinds, kind = np.unique(torch.cat(seen).numpy(), axis=0, return_inverse=True)  # few states, met often
        return Decisions(torch.from_numpy(kinds), torch.from_numpy(kind.ravel()), torch.cat(done), torch.cat(whose))

    def _way(self, split: Split, questions: Ints, episodes: Episodes, right: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The share of the question's facts that were found, in order."""
        asked = self.reading.desk.questions[split]
        stood = np.array([asked[q].entities[hop] for q, hop in zip(questions.tolist(), episodes.hop.tolist())])
        share: NDArray[np.float64] = ((stood == episodes.at) * episodes.hop + right) / episodes.hops
        return share


def draw(team: Team, batches: int, order: np.random.Generator) -> Played:
    """`batches` batches of QUESTIONS different training questions, ROLLOUTS episodes each; batch by batch."""
    pool = len(team.reading.desk.questions["train"])
    asked = np.concatenate([order.choice(pool, QUESTIONS, replace=False) for _ in range(batches)])
    group = torch.arange(batches * QUESTIONS).repeat_interleave(ROLLOUTS)
    return team.play("train", asked.repeat(ROLLOUTS), group)


def objective(policy: FeaturePolicy, decisions: Decisions, advantages: Tensor, rows: Tensor) -> Tensor:
    """The mean over an agent's rows of the advantage times the row's log-probability, a scalar; to maximise.

    advantages   (E,) by episode, 0 where the agent did not act
    rows         the decisions that count
    """
    logprobs = policy.log_prob(decisions.observations[decisions.kind[rows]], decisions.actions[rows])
    episode = decisions.episode[rows]
    return (logprobs * advantages[episode]).sum() / len(torch.unique(episode))


def by_episode(played: Played, advantages: Tensor) -> tuple[Tensor, Tensor]:
    """Advantages of the rows to each agent's by episode, (E,) of the solver and of the fixer."""
    episodes = len(played.right)
    fixer = advantages.new_zeros(episodes)
    fixer[played.called] = advantages[episodes:]
    return advantages[:episodes].float(), fixer.float()


class Training:
    """The team trained step by step, one Adam step a batch and policy; `norms` holds each step's gradient norms."""

    def __init__(self, team: Team, estimator: AdvantageEstimator, seed: int, learning_rate: float) -> None:
        self.team, self.estimator, self.order = team, estimator, np.random.default_rng([seed, 1])
        self.optimizers = [torch.optim.Adam(policy.parameters(), lr=learning_rate) for policy in team.policies]
        self.norms: list[tuple[float, ...]] = []
        self.rewards: list[float] = []

    def run(self, updates: int) -> None:
        for _ in range(updates):
            played = draw(self.team, 1, self.order)
            weights = by_episode(played, self.estimator(played.rows()))
            self.rewards.append(float(played.rewards.mean()))
            self.norms.append(tuple(self._step(agent, played, weights[agent]) for agent in (SOLVER, FIXER)))

    def _step(self, agent: int, played: Played, advantages: Tensor) -> float:
        decisions, policy = played.decisions[agent], self.team.policies[agent]
        if len(decisions.kind) == 0:
            return 0.0
        self.optimizers[agent].zero_grad()
        (-objective(policy, decisions, advantages, torch.arange(len(decisions.kind)))).backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        self.optimizers[agent].step()
        return float(norm)


def signal_to_noise(gradients: Sequence[Tensor]) -> float:
    """||E g||^2 / tr Cov(g) of independent draws of a gradient; what the noise adds to the squared mean taken out."""
    table = torch.stack(list(gradients)).double()
    noise = float(table.var(dim=0).sum())
    if noise == 0:
        return 0.0  # a gradient that is always zero: no signal
    return (float(table.mean(dim=0).square().sum()) - noise / len(table)) / noise


def gradients(policy: FeaturePolicy, decisions: Decisions, advantages: Tensor, batches: int) -> list[Tensor]:
    """The flat gradient of each batch; zero where the agent did not act in one."""
    parameters = list(policy.parameters())
    size = len(advantages) // batches
    of_batch = decisions.episode // size
    order = torch.argsort(of_batch, stable=True)
    found = []
    for rows in order.split(torch.bincount(of_batch, minlength=batches).tolist()):
        if len(rows) == 0:
            found.append(torch.zeros(sum(p.numel() for p in parameters)))
            continue
        of_all = torch.autograd.grad(objective(policy, decisions, advantages, rows), parameters)
        found.append(torch.cat([one.flatten() for one in of_all]))
    return found
