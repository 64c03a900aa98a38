"""A team trained together on this machine: which agent speaks with which weights, and one step for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from assay.methods.post_training._dr_mas_orchestras import Orchestra, Step
from assay.methods.post_training._dr_mas_policies import AgentPolicy
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.losses import ReinforceLoss
from assay.methods.post_training.pipeline import AdvantageEstimator

Reward = Callable[[Any, Sequence[Step]], float | Sequence[float]]  # a question and an episode to one for all, or each


@dataclass(frozen=True)
class AgentModelMap:
    """Which model each agent speaks with.

    models          agent to the model's name; agents may name models of different sizes
    learning_rate   of all models, or by name
    shared          True: all agents speak with one set of weights; False: each has weights of its own
    """

    models: Mapping[str, str]
    learning_rate: float | Mapping[str, float] = 1e-3
    shared: bool = False

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("models: got no agent, wanted at least one")
        different = sorted(set(self.models.values()))
        if self.shared and len(different) > 1:
            raise ValueError(f"shared: the agents name {' and '.join(different)}; one set of weights wants one model")
        for name in different:
            if not self.rate(name) > 0:
                raise ValueError(f"learning_rate: got {self.rate(name)} for {name}, wanted > 0")

    def rate(self, model: str) -> float:
        """The model's learning rate."""
        if not isinstance(self.learning_rate, Mapping):
            return self.learning_rate
        if model not in self.learning_rate:
            raise ValueError(f"learning_rate: got none for {model!r}, wanted one a model")
        return self.learning_rate[model]

    def weights(self, agent: str) -> str:
        """The name of the agent's set of weights."""
        return self.models[agent] if self.shared else agent


class Learns(Protocol):
    """One set of weights that acts and learns, here or elsewhere."""

    def act(self, observations: Sequence[Any]) -> list[Any]: ...

    def update(self, observations: Sequence[Any], actions: Sequence[Any], advantages: Tensor) -> float: ...


class Learner:
    """A policy with its own optimiser and stream of draws."""

    def __init__(self, policy: AgentPolicy, learning_rate: float, seed: int, max_norm: float = 1.0) -> None:
        self.policy, self.max_norm = policy, max_norm
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)

    def act(self, observations: Sequence[Any]) -> list[Any]:
        """One sampled action an observation."""
        return self.policy.act(observations, self.generator)

    def update(self, observations: Sequence[Any], actions: Sequence[Any], advantages: Tensor) -> float:
        """One on-policy step on rows just sampled, advantages (N,) or (N, T); the gradient's norm before clipping."""
        logprobs, mask = self.policy.logprobs(observations, actions)
        loss, _ = ReinforceLoss()(logprobs, logprobs.detach(), advantages.to(logprobs), mask)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_norm)
        self.optimizer.step()
        return float(norm)


@dataclass(frozen=True)
class Played:
    """Episodes of a team. `steps` are the rows of `batch`, one an agent's turn; `agents` names its agent ids."""

    episodes: list[list[Step]]
    steps: list[Step]
    batch: RolloutBatch
    agents: tuple[str, ...]


@dataclass(frozen=True)
class TeamStep:
    """What came of one step: mean reward of the rows, and the gradient's norm of every set of weights that acted."""

    reward: float
    gradient_norms: dict[str, float]


class MultiAgentTrainer:
    """Trains the models of a team: `step(questions)` plays `rollouts` episodes of each and updates every model.

    models      model name to a factory of its policy; called once for each set of weights
    placement   which agent speaks with which model
    reward      (question, steps) to the team's reward, or to one a step
    advantage   e.g. `DrMAS()`; rows are an agent's turns, `group` the question, `trajectory` the episode
    place       (policy factory, learning rate, seed) to what acts and learns: by default here, with
                `assay.integrations.ray.on_actor` in an actor for each set of weights

    Raises ValueError where map, orchestra and models do not name the same agents and models.
    """

    def __init__(
        self,
        models: Mapping[str, Callable[[], AgentPolicy]],
        placement: AgentModelMap,
        orchestra: Orchestra,
        reward: Reward,
        advantage: AdvantageEstimator,
        *,
        rollouts: int = 8,
        seed: int = 0,
        place: Callable[[Callable[[], AgentPolicy], float, int], Learns] | None = None,
    ) -> None:
        _check_team(models, placement, orchestra)
        if rollouts < 2:
            raise ValueError(f"rollouts: got {rollouts}, wanted at least 2 to compare")
        self.placement, self.orchestra, self.reward, self.advantage = placement, orchestra, reward, advantage
        self.rollouts, place = rollouts, here if place is None else place
        self.learners: dict[str, Learns] = {}
        for number, agent in enumerate(orchestra.agents):
            model = placement.models[agent]
            if placement.weights(agent) not in self.learners:
                self.learners[placement.weights(agent)] = place(models[model], placement.rate(model), seed + number)

    def play(self, questions: Sequence[Any]) -> Played:
        """`rollouts` episodes of each question by the present policies, with their rewards."""
        if len(questions) == 0:
            raise ValueError("questions: got none, wanted at least one")
        asked = [question for question in questions for _ in range(self.rollouts)]
        episodes = self.orchestra.run(asked, lambda agent, seen: self._learner(agent).act(seen))
        rewards = [_each(self.reward(question, steps), steps) for question, steps in zip(asked, episodes)]
        steps = [step for episode in episodes for step in episode]
        place = torch.tensor([number for number, episode in enumerate(episodes) for _ in episode])
        names = self.orchestra.agents
        batch = RolloutBatch(
            rewards=torch.tensor([value for row in rewards for value in row]),
            group=place // self.rollouts,
            mask=torch.ones(len(steps), 1, dtype=torch.bool),
            agent=torch.tensor([names.index(step.agent) for step in steps]),
            trajectory=place,
        )
        return Played(episodes, steps, batch, names)

    def step(self, questions: Sequence[Any]) -> TeamStep:
        """Play, weigh, and one update of every set of weights whose agents acted; the updates run side by side."""
        played = self.play(questions)
        advantages = self.advantage(played.batch)
        rows: dict[str, list[int]] = {}
        for row, step in enumerate(played.steps):
            rows.setdefault(self.placement.weights(step.agent), []).append(row)

        def update(name: str) -> float:
            mine = [played.steps[row] for row in rows[name]]
            seen, done = [step.observation for step in mine], [step.action for step in mine]
            return self.learners[name].update(seen, done, advantages[rows[name]])

        with ThreadPoolExecutor(len(rows)) as pool:
            norms = dict(zip(rows, pool.map(update, rows)))
        return TeamStep(float(played.batch.rewards.nanmean()), norms)

    def _learner(self, agent: str) -> Learns:
        return self.learners[self.placement.weights(agent)]


def here(make: Callable[[], AgentPolicy], learning_rate: float, seed: int) -> Learner:
    """A learner in this process."""
    return Learner(make(), learning_rate, seed)


def _each(reward: float | Sequence[float], steps: Sequence[Step]) -> list[float]:
    """The reward of each step."""
    if isinstance(reward, Sequence):
        if len(reward) != len(steps):
            raise ValueError(f"reward: gave {len(reward)} for {len(steps)} steps, wanted one for all or one a step")
        return [float(value) for value in reward]
    return [float(reward)] * len(steps)


def _check_team(models: Mapping[str, Any], placement: AgentModelMap, orchestra: Orchestra) -> None:
    if not orchestra.agents:
        raise ValueError("orchestra: has no agents, wanted at least one")
    idle = [agent for agent in placement.models if agent not in orchestra.agents]
    if idle:
        raise ValueError(
            f"placement: names {idle[0]!r}, which the orchestra never calls ({', '.join(orchestra.agents)})"
        )
    without = [agent for agent in orchestra.agents if agent not in placement.models]
    if without:
        raise ValueError(f"placement: names no model for {without[0]!r}, which the orchestra calls")
    unknown = [model for model in placement.models.values() if model not in models]
    if unknown:
        raise ValueError(f"models: has no {unknown[0]!r}, which the placement names; it has {', '.join(models)}")
