"""verl: register an advantage estimator under a name that `algorithm.adv_estimator` can ask for. Needs verl 0.9.

    # my_adv.py
    from assay.integrations import verl
    from assay.methods.post_training.hadw import HADW
    from assay.methods.post_training.pipeline import GroupNormalised, Pipeline

    verl.register("assay_hadw", Pipeline(GroupNormalised(), HADW()))

Then `VERL_USE_EXTERNAL_MODULES=my_adv python -m verl.trainer.main_ppo algorithm.adv_estimator=assay_hadw ...`: verl
imports the modules named there in each of its processes.

verl hands an estimator the token rewards, the response mask and the prompt's uid, nothing else. Groups come from the
uid; an agent or a structural key travels in it too (`tag_uid`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator

VerlEstimator = Callable[..., tuple[Tensor, Tensor]]

TAGS = frozenset({"agent", "key"})
_TAG = re.compile(r"::(agent|key)=(-?\d+)")


def register(name: str, estimator: AdvantageEstimator) -> None:
    """Make `estimator` known to verl as `name`. Raises ModuleNotFoundError where verl is not installed, ValueError
    for an estimator that reads what verl does not hand over."""
    wrapped = verl_estimator(estimator)
    try:
        from verl.trainer.ppo.core_algos import register_adv_est
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "assay.integrations.verl needs verl: pip install 'assay-papers[verl]'", name=error.name
        ) from error
    register_adv_est(name)(wrapped)


def verl_estimator(estimator: AdvantageEstimator) -> VerlEstimator:
    """`estimator` with verl's signature: (B, T) rewards and mask to advantages and returns, each (B, T)."""
    unknown = sorted(estimator.needs - TAGS)
    if unknown:
        raise ValueError(f"{type(estimator).__name__} needs {', '.join(unknown)}, which verl hands to no estimator")

    def advantages_and_returns(
        token_level_rewards: Tensor,
        response_mask: Tensor,
        index: Sequence[str] | None = None,
        config: Any = None,
        **unused: Any,
    ) -> tuple[Tensor, Tensor]:
        if index is None:
            raise ValueError("index: got None, wanted the uid of each row (verl sets it where rollout.n > 1)")
        mask = response_mask.bool()
        batch = RolloutBatch(
            rewards=(token_level_rewards * mask).sum(dim=1),
            group=_numbered([_TAG.sub("", str(uid)) for uid in index], mask.device),
            mask=mask | ~mask.any(dim=1, keepdim=True),  # a row without a trained token gets 0 below
            allow_singletons=True,
            **{name: _tags(name, index, mask.device) for name in sorted(estimator.needs)},
        )
        with torch.no_grad():
            advantages = estimator(batch)
        if advantages.dim() == 1:
            advantages = advantages.unsqueeze(1)
        advantages = advantages * mask
        return advantages, advantages.clone()

    return advantages_and_returns


def tag_uid(uid: str, **tags: int) -> str:
    """`uid` with tags that the estimator reads back: tag_uid("q7", agent=2) == "q7::agent=2"."""
    unknown = sorted(set(tags) - TAGS)
    if unknown:
        raise ValueError(f"tags: got {unknown[0]}, wanted agent or key")
    return uid + "".join(f"::{name}={value}" for name, value in sorted(tags.items()))


def _tags(name: str, index: Sequence[str], device: torch.device) -> Tensor:
    values = []
    for uid in index:
        tag = dict(_TAG.findall(str(uid))).get(name)
        if tag is None:
            raise ValueError(f"index: uid {uid!r} carries no {name}, wanted one written by tag_uid(uid, {name}=...)")
        values.append(int(tag))
    return torch.tensor(values, device=device)


def _numbered(names: Sequence[str], device: torch.device) -> Tensor:
    return torch.as_tensor(np.unique(np.asarray(names), return_inverse=True)[1], device=device)
