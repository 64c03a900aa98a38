import sys
from collections.abc import Iterator

import pytest
import torch

ray = pytest.importorskip("ray")

from assay.integrations.ray import on_actor  # noqa: E402
from assay.methods.post_training.dr_mas import (  # noqa: E402
    AgentModelMap,
    DrMAS,
    FeatureAgent,
    MultiAgentTrainer,
    SolverVerifier,
)
from assay.models.policies import FeaturePolicy  # noqa: E402


@pytest.fixture
def cluster() -> Iterator[None]:
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # actors cannot import this file
    ours = not ray.is_initialized()  # the engine's tests keep a session open
    if ours:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    if ours:
        ray.shutdown()
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def policy() -> FeatureAgent:
    return FeatureAgent(FeaturePolicy(2, (2,), (8,), generator=torch.Generator().manual_seed(0)))


def team(**placed):
    return MultiAgentTrainer(
        {"small": policy},
        AgentModelMap({"solver": "small", "verifier": "small"}, learning_rate=1e-2),
        SolverVerifier(
            2,
            see=lambda agent, question, steps: torch.tensor([float(question), float(len(steps))]),
            approves=lambda action: bool(action[0] == 1),
        ),
        lambda question, steps: float(int(steps[-1].action[0]) == question),
        DrMAS(),
        rollouts=4,
        **placed,
    )


@pytest.mark.slow
def test_a_team_on_actors_takes_the_very_steps_that_it_takes_here(cluster):
    here, there = team(), team(place=on_actor)
    for _ in range(3):
        assert here.step([0, 1]) == there.step([0, 1])


def test_without_ray_running_the_remedy_is_said(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(RuntimeError, match=r"ray\.init\(\)"):
        team(place=on_actor)
