"""verl: BAPO, whose reward looks at whole groups, where verl scores one row at a time. Needs verl 0.9.

    # my_bapo.py
    from assay.integrations import verl
    from assay.integrations.verl_bapo import BAPOAdvantage, compute_score

    verl.register("assay_bapo", BAPOAdvantage())

Then `VERL_USE_EXTERNAL_MODULES=my_bapo python -m verl.trainer.main_ppo algorithm.adv_estimator=assay_bapo
reward.custom_reward_function.path=my_bapo.py reward.custom_reward_function.name=compute_score ...`.

The rows' scores meet in the advantage estimator, which sees the whole batch. What it must know of a row beside its
correctness, whether it refuses and which answer it gives, travels in the score's last bits: a score is a multiple of
1/512, and what is added to it is less than that. verl's logs show the score, off by 0.002 at most.

Details that matter
- verl tells an estimator nothing of its evaluations: the plateau is that of the training batches' mean correctness,
  `every` batches at a time.
- Leave `algorithm.use_kl_in_reward` off: what is added to a score garbles it.
- Two answers count as one with a chance of 1 in 4,096. Resampling is not done: verl samples before it scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from assay.methods.parsing import final_answer, normalise_answer
from assay.methods.post_training.bapo import BoundaryReward, PlateauDetector, correctness_reward, is_idk
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator, GroupNormalised

STEPS = 512  # of the score
BITS = 13  # beneath: one for a refusal, twelve for the answer; float32 still holds them at a score of -1
UNIT = STEPS << BITS
UNREADABLE_ANSWER = 0


def compute_score(
    data_source: str, solution_str: str, ground_truth: Any, extra_info: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """verl's custom reward function: the packed score, and for verl's logs "acc", the correctness, and "idk"."""
    score, idk = correctness_reward(solution_str, str(ground_truth)), is_idk(solution_str)
    return {"score": pack(score, idk, final_answer(solution_str)), "acc": score, "idk": float(idk)}


def pack(score: float, idk: bool, answer: str | None) -> float:
    """Score in [-1, 1], refusal and answer in one number that float32 holds exactly."""
    if not -1 <= score <= 1:
        raise ValueError(f"score: got {score}, wanted one in [-1, 1]")
    steps = min(round(score * STEPS), STEPS - 1)  # a whole 1 would leave no bits beneath
    if score > 0:
        steps = max(steps, 1)  # whether anything is right at all decides about the group
    return ((steps << BITS) + (_number(answer) << 1) + idk) / UNIT


def unpack(packed: Tensor) -> tuple[Tensor, Tensor, list[str | None]]:
    """(B,) packed scores to scores, refusals, and answers by number, None where there was none."""
    code = (packed.double() * UNIT).round().long()
    score = (code >> BITS).double() / STEPS
    score = torch.where(code >> BITS == STEPS - 1, 1.0, score)
    numbers = ((code & ((1 << BITS) - 1)) >> 1).tolist()
    answers = [None if number == UNREADABLE_ANSWER else str(number) for number in numbers]
    return score.to(packed.dtype), (code & 1).bool(), answers


class BAPOAdvantage:
    """Base estimator for `verl.register`: scores unpacked, BAPO's reward group by group, then `base`.

    every    batches whose mean correctness makes one value for the detector
    """

    needs = frozenset[str]()

    def __init__(
        self,
        detector: PlateauDetector | None = None,
        boundary: BoundaryReward | None = None,
        base: AdvantageEstimator | None = None,
        every: int = 10,
    ) -> None:
        if every < 1:
            raise ValueError(f"every: got {every}, wanted at least 1 batch")
        self.detector = detector if detector is not None else PlateauDetector()
        self.boundary = boundary if boundary is not None else BoundaryReward()
        self.base = base if base is not None else GroupNormalised()
        self.every, self._means = every, list[float]()

    def __call__(self, batch: RolloutBatch) -> Tensor:
        scores, idk, answers = unpack(batch.rewards)
        self._means.append(float(scores.mean()))
        if len(self._means) == self.every:
            self.detector.update(sum(self._means) / self.every)
            self._means.clear()
        rewards = self.boundary(scores, idk, answers, batch.group, self.detector.stage)
        return self.base(batch.replace(rewards=rewards))


def _number(answer: str | None) -> int:
    """An answer as one of 1 to 4,095, the same for answers that are the same once normalised; 0 for none."""
    if answer is None:
        return UNREADABLE_ANSWER
    digest = hashlib.blake2b(normalise_answer(answer).encode(), digest_size=8).digest()
    return 1 + int.from_bytes(digest, "big") % (2 ** (BITS - 1) - 1)
