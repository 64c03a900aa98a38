"""Ray: what learns in an actor of its own, on this machine or another of the cluster. Needs ray.

    import ray
    ray.init()                                                       # or ray.init("auto"), on a running cluster
    trainer = MultiAgentTrainer(..., place=partial(on_actor, num_gpus=1))

Each set of weights of a team is then one actor; observations, actions and advantages travel, weights stay. A policy's
factory runs in the actor, so that a large model is loaded there and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
from torch import Tensor

from assay.methods.post_training.dr_mas import AgentPolicy, Learner


class OnActor:
    """A `Learner` in an actor, used as if it were here; the actor ends with the last reference to this object."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def act(self, observations: Sequence[Any]) -> list[Any]:
        """One sampled action an observation."""
        done: list[Any] = ray.get(self._actor.act.remote(list(observations)))
        return done

    def update(self, observations: Sequence[Any], actions: Sequence[Any], advantages: Tensor) -> float:
        """As `Learner.update`."""
        norm: float = ray.get(self._actor.update.remote(list(observations), list(actions), advantages))
        return norm


def on_actor(
    make: Callable[[], AgentPolicy], learning_rate: float, seed: int, *, num_cpus: float = 1, num_gpus: float = 0
) -> OnActor:
    """`MultiAgentTrainer`'s `place`: an actor that holds one set of weights. Raises RuntimeError before `ray.init`."""
    if not ray.is_initialized():
        raise RuntimeError("Ray is not running: call ray.init() first, or ray.init('auto') on a cluster")
    host = ray.remote(_Host).options(num_cpus=num_cpus, num_gpus=num_gpus)
    return OnActor(host.remote(make, learning_rate, seed))


class _Host(Learner):
    """A learner that makes its policy where it is."""

    def __init__(self, make: Callable[[], AgentPolicy], learning_rate: float, seed: int) -> None:
        super().__init__(make(), learning_rate, seed)
