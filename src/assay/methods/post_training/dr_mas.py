"""Dr. MAS: Stable Reinforcement Learning for Multi-Agent LLM Systems (2602.08847).

The agents of a team share one reward but not its distribution: who is called in only when a draft failed sees worse
outcomes than who writes every draft. A baseline over all of them then leaves each agent with an offset that says
nothing about what it did and swells its gradient. `DrMAS` compares an agent's rows of a question with one another.

    advantage = DrMAS()                                  # reads batch.agent; in verl through tag_uid(uid, agent=2)
    team = MultiAgentTrainer(models, AgentModelMap({"solver": "small", "verifier": "small"}), SolverVerifier(),
                             reward, advantage)

Details that matter
- What it costs: O(B), one grouping of the rows; a local `MultiAgentTrainer` does one on-policy step a batch and model.
- When it does not help: where all agents see the same rewards it is the global baseline; where an agent has only a
  few rows a question, and rewards are 0 or 1, many of its cells hold equal rewards and teach nothing.
- A cell of one row keeps its raw reward, as in the authors' code: mean 0 and standard deviation 1 are taken there.
  `DrMAS.raw_cells` counts them; `singleton="zero"` gives them nothing instead.
- All rows of an agent count, so that one that speaks twice in an episode has two rows of it in its cell.
- The second moment that the paper predicts (`gradient_inflation`) holds where the length of a row's score does not
  depend on its reward; `measured_second_moment` says what it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from assay.methods.policy_gradient import Scale, Singleton, group_advantages, group_means
from assay.methods.post_training._dr_mas_orchestras import (
    Act,
    Orchestra,
    SolverVerifier,
    Step,
    VerifySearchAnswer,
)
from assay.methods.post_training._dr_mas_policies import AgentPolicy, FeatureAgent, TextAgent
from assay.methods.post_training._dr_mas_trainer import AgentModelMap, Learner, MultiAgentTrainer
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import GroupNormalised

__all__ = [
    "Act",
    "AgentModelMap",
    "AgentPolicy",
    "DrMAS",
    "FeatureAgent",
    "GlobalGRPO",
    "Inflation",
    "Learner",
    "MultiAgentTrainer",
    "Orchestra",
    "SolverVerifier",
    "Step",
    "TextAgent",
    "VerifySearchAnswer",
    "gradient_inflation",
    "invalid_action_penalty",
    "measured_second_moment",
]


class DrMAS(GroupNormalised):
    """Rewards compared within their (question, agent): reads `group` and `agent`, gives (B,).

    `raw_cells` says how many cells of the last batch held a single scored row.
    """

    def __init__(self, eps: float = 1e-6, scale: Scale = "std", singleton: Singleton = "raw") -> None:
        super().__init__(by=("group", "agent"), scale=scale, eps=eps, singleton=singleton)
        self.raw_cells = 0

    def __call__(self, batch: RolloutBatch) -> Tensor:
        batch.require("agent", needed_by="DrMAS")
        assert batch.agent is not None
        agents, agent = torch.unique(batch.agent, return_inverse=True)
        cell = torch.unique(batch.group, return_inverse=True)[1] * len(agents) + agent
        self.raw_cells = int((torch.bincount(cell[~batch.rewards.isnan()]) == 1).sum())
        return self._normalised(batch.rewards, cell)


class GlobalGRPO(GroupNormalised):
    """What is done without Dr. MAS: episodes of a question are compared, and all rows of one share its advantage."""

    def __init__(self, eps: float = 1e-6, scale: Scale = "std") -> None:
        super().__init__(scale=scale, eps=eps, unit="trajectory")


def invalid_action_penalty(rewards: Tensor, valid: Tensor, coef: float = 0.1) -> Tensor:
    """(B,) rewards, less `coef` where a row's action could not be carried out (`valid` (B,) bool is False)."""
    if valid.dtype != torch.bool:
        raise TypeError(f"valid: got {valid.dtype}, wanted bool")
    if valid.shape != rewards.shape:
        raise ValueError(f"valid: got shape {tuple(valid.shape)}, wanted that of rewards, {tuple(rewards.shape)}")
    if not coef >= 0:
        raise ValueError(f"coef: got {coef}, wanted 0 or more")
    return rewards - coef * (~valid).to(rewards.dtype)


@dataclass(frozen=True)
class Inflation:
    """Per agent, in ascending order of `agent` (K,): its rows' mean and standard deviation of the reward, and the
    second moment of its advantages under a global baseline (1 under its own)."""

    agent: Tensor
    mean: Tensor
    std: Tensor
    factor: Tensor


def gradient_inflation(rewards: Tensor, agent: Tensor, group: Tensor) -> Inflation:
    """((mu_k - mu)^2 + sigma_k^2) / sigma^2 of each agent k: how much a global baseline swells E||g_k||^2.

    rewards, agent, group   (B,); rows with reward NaN are left out

    Moments (of the population) are taken within a question, mu and sigma over all its rows; the factor is the mean
    over an agent's rows in questions whose rewards differ, NaN without any. Weighted by their rows, the factors of
    all agents have mean 1.
    """
    RolloutBatch(rewards, group, torch.ones(len(rewards), 1, dtype=torch.bool), agent=agent, allow_singletons=True)
    scored = ~rewards.isnan()
    values, names, of = rewards[scored].double(), agent[scored], group[scored]
    centred = group_advantages(values, of, scale="none")
    squared = centred.square() / group_means(centred.square(), of)  # its mean over rows; NaN where rewards are equal
    agents, place = torch.unique(names, return_inverse=True)
    mean = _by_agent(values, place, len(agents))
    spread = _by_agent((values - mean[place]).square(), place, len(agents)).sqrt()
    return Inflation(agents, mean, spread, _by_agent(squared, place, len(agents)))


def measured_second_moment(advantages: Tensor, score_norms: Tensor, agent: Tensor) -> Tensor:
    """E||A s||^2 / E||s||^2 of each agent's rows, (K,) in ascending order of the agents.

    score_norms   (B,) the length of each row's score, grad log pi; `advantages` and `agent` (B,)
    """
    for name, values in (("score_norms", score_norms), ("agent", agent)):
        if values.shape != advantages.shape:
            raise ValueError(f"{name}: got shape {tuple(values.shape)}, wanted {tuple(advantages.shape)}")
    agents, place = torch.unique(agent, return_inverse=True)
    squared = score_norms.double().square()
    moments = _by_agent(advantages.double().square() * squared, place, len(agents))
    return moments / _by_agent(squared, place, len(agents))


def _by_agent(values: Tensor, place: Tensor, agents: int) -> Tensor:
    """(N,) values to the mean of each agent's that are no NaN, (agents,)."""
    there = ~values.isnan()
    total = values.new_zeros(agents).index_add(0, place[there], values[there])
    return total / values.new_zeros(agents).index_add(0, place[there], torch.ones_like(values[there]))
