"""verl: register an advantage estimator under a name that `algorithm.adv_estimator` can ask for. Needs verl 0.9.

    # my_adv.py
    from assay.integrations import verl
    from assay.methods.post_training.hadw import HADW
    from assay.methods.post_training.pipeline import GroupNormalised, Pipeline

    verl.register("assay_hadw", Pipeline(GroupNormalised(), HADW()))

Then `VERL_USE_EXTERNAL_MODULES=my_adv python -m verl.trainer.main_ppo algorithm.adv_estimator=assay_hadw ...`: verl
imports the modules named there in each of its processes.

verl hands an estimator the token rewards, the response mask and the prompt's uid, nothing else. Groups come from the
uid; an agent or a structural key travels in it too (`tag_uid`). Only the estimator called "gdpo" also gets the batch:
one that reads log-probabilities, such as PRL's `FutureKL`, takes its place (`register_whole`).

A `TokenLoss` is registered by `register_loss` and asked for by `actor_rollout_ref.actor.policy_loss.loss_mode`. A
reward in TRL's form is made a verl reward by `score_function`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.losses import TokenLoss
from assay.methods.post_training.pipeline import AdvantageEstimator, RewardFunction

VerlEstimator = Callable[..., tuple[Tensor, Tensor]]
VerlLoss = Callable[..., tuple[Tensor, dict[str, float]]]

TAGS = frozenset({"agent", "key"})
WHOLE = "gdpo"
LOGPROBS = {"logprobs": "old_log_probs", "ref_logprobs": "ref_log_prob", "rollout_logprobs": "rollout_log_probs"}
SETTING = {
    "logprobs": "algorithm.rollout_correction.bypass_mode=false",
    "ref_logprobs": "actor_rollout_ref.actor.use_kl_loss=true (kl_loss_coef may be 0)",
    "rollout_logprobs": "actor_rollout_ref.rollout.calculate_log_probs=true",
}
_TAG = re.compile(r"::(agent|key)=(-?\d+)")


def register(name: str, estimator: AdvantageEstimator) -> None:
    """Make `estimator` known to verl as `name`. Raises ModuleNotFoundError where verl is not installed, ValueError
    for an estimator that reads what verl does not hand over."""
    wrapped = verl_estimator(estimator)
    _core_algos().register_adv_est(name)(wrapped)


def register_whole(estimator: AdvantageEstimator) -> None:
    """Put `estimator` in the place of verl's "gdpo", to be asked for by `algorithm.adv_estimator=gdpo`: there verl
    hands over its whole batch, so that log-probabilities of actor, reference and engine can be read. verl's own GDPO
    is gone from this process. Raises as `register` does."""
    wrapped = verl_estimator(estimator, whole=True)
    _core_algos().ADV_ESTIMATOR_REGISTRY[WHOLE] = wrapped


def register_loss(name: str, loss: TokenLoss) -> None:
    """Make `loss` known to verl's actor as `name`. Raises as `register` does."""
    wrapped = verl_loss(loss)
    _core_algos().register_policy_loss(name)(wrapped)


def verl_estimator(estimator: AdvantageEstimator, *, whole: bool = False) -> VerlEstimator:
    """`estimator` with verl's signature: (B, T) rewards and mask to advantages and returns, each (B, T). `whole` is
    for the one estimator that verl hands its batch to."""
    read = sorted(estimator.needs & LOGPROBS.keys()) if whole else []
    unknown = sorted(estimator.needs - TAGS - set(read))
    if unknown:
        hint = "register_whole hands them over" if set(unknown) <= LOGPROBS.keys() else "verl has no such thing"
        raise ValueError(
            f"{type(estimator).__name__} needs {', '.join(unknown)}, which verl hands to no estimator of a name of "
            f"its own: {hint}"
        )

    def advantages_and_returns(
        token_level_rewards: Tensor,
        response_mask: Tensor,
        index: Sequence[str] | None = None,
        config: Any = None,
        batch: Mapping[str, Tensor] | None = None,
        **unused: Any,
    ) -> tuple[Tensor, Tensor]:
        if index is None:
            raise ValueError("index: got None, wanted the uid of each row (verl sets it where rollout.n > 1)")
        mask = response_mask.bool()
        rollouts = RolloutBatch(
            rewards=(token_level_rewards * mask).sum(dim=1),
            group=_numbered([_TAG.sub("", str(uid)) for uid in index], mask.device),
            mask=mask | ~mask.any(dim=1, keepdim=True),  # a row without a trained token gets 0 below
            allow_singletons=True,
            **{name: _tags(name, index, mask.device) for name in sorted(estimator.needs & TAGS)},
            **{name: _of_batch(name, batch, mask) for name in read},
        )
        with torch.no_grad():
            advantages = estimator(rollouts)
        if advantages.dim() == 1:
            advantages = advantages.unsqueeze(1)
        advantages = advantages * mask
        return advantages, advantages.clone()

    return advantages_and_returns


def verl_loss(loss: TokenLoss) -> VerlLoss:
    """`loss` with verl's signature. It sees one micro-batch: its mean is weighted by the share of the global batch.

    verl hands over exp(log pi_old - log pi_rollout) in place of rollout log-probabilities, and only where
    `algorithm.rollout_correction.rollout_is=token`; a low `rollout_is_threshold` would cut them off.
    """
    unknown = sorted(loss.needs - {"rollout_logprobs"})
    if unknown:
        raise ValueError(f"{type(loss).__name__} needs {', '.join(unknown)}, which verl hands to no policy loss")

    def policy_loss(
        old_log_prob: Tensor,
        log_prob: Tensor,
        advantages: Tensor,
        response_mask: Tensor,
        loss_agg_mode: str = "token-mean",
        config: Any = None,
        rollout_is_weights: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        if "rollout_logprobs" in loss.needs and rollout_is_weights is None:
            raise ValueError(
                f"{type(loss).__name__} needs rollout log-probabilities: "
                "set algorithm.rollout_correction.rollout_is=token and a high rollout_is_threshold"
            )
        mask = response_mask.bool()
        rollout = None if rollout_is_weights is None else old_log_prob - rollout_is_weights.clamp(min=1e-12).log()
        value, figures = loss(log_prob, old_log_prob, advantages, mask, rollout_logprobs=rollout)
        return value * _share(mask, loss.reduce, config), {f"actor/{key}": figure for key, figure in figures.items()}

    return policy_loss


def score_function(reward: RewardFunction) -> Callable[..., float]:
    """`reward`, which is in TRL's form, as verl's `custom_reward_function`: one row a call.

    The data set's `extra_info` fields become the columns, and `ground_truth` the column "answer".
    An unscorable row (None) counts 0, because verl knows no other.
    """

    def compute_score(
        data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None
    ) -> float:
        columns = {name: [value] for name, value in (extra_info or {}).items() if name not in ("prompt", "answer")}
        prompt = (extra_info or {}).get("prompt", "")
        score = reward(
            prompts=[prompt], completions=[solution_str], completion_ids=[[]], answer=[ground_truth], **columns
        )
        return float(score[0] or 0)

    return compute_score


def tag_uid(uid: str, **tags: int) -> str:
    """`uid` with tags that the estimator reads back: tag_uid("q7", agent=2) == "q7::agent=2"."""
    unknown = sorted(set(tags) - TAGS)
    if unknown:
        raise ValueError(f"tags: got {unknown[0]}, wanted agent or key")
    return uid + "".join(f"::{name}={value}" for name, value in sorted(tags.items()))


def _core_algos() -> ModuleType:
    try:
        from verl.trainer.ppo import core_algos
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "assay.integrations.verl needs verl: pip install 'assay-papers[verl]'", name=error.name
        ) from error
    return core_algos


def _share(mask: Tensor, reduce: str, config: Any) -> float:
    """What part of the global batch's mean this micro-batch's mean makes up, times verl's data-parallel size."""
    whole = getattr(config, "global_batch_info", None) or {}
    key, mine = ("global_batch_size", len(mask)) if reduce == "sequence" else ("batch_num_tokens", int(mask.sum()))
    total = whole.get(key)
    return 1.0 if total is None else mine / float(total) * (whole.get("dp_size") or 1)


def _of_batch(name: str, batch: Mapping[str, Tensor] | None, mask: Tensor) -> Tensor:
    """Log-probabilities out of verl's batch, 0 outside the mask, where verl leaves whatever there was."""
    values = None if batch is None else batch.get(LOGPROBS[name])
    if values is None:
        raise ValueError(f"{name}: verl's batch has no {LOGPROBS[name]!r}; set {SETTING[name]}")
    return values.masked_fill(~mask, 0)


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
