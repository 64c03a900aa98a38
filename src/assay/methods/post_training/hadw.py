"""Your Group-Relative Advantage Is Biased (2601.08521): history-aware difficulty weights, HA-DW.

Among groups that give any gradient (some rollouts right, some wrong) the group's mean over-estimates the success
rate of hard prompts and under-estimates that of easy ones, so hard prompts' successes are paid too little.
`HADW` multiplies each advantage by an exponential of how far the group's pass rate lies from the model's running
ability: up for the side that is under-rated, down for the other.

Details that matter
- What it costs: O(B) a step and one number of memory, the running ability ("anchor"). Every process must see the
  whole batch, or the counts K and B summed over processes; the TRL adapter gathers them.
- When it does not help: the gain rests on a mix of hard and easy prompts with the anchor near the middle of it. With
  an anchor a tenth off that middle, or with uniformly spread difficulty, the bias grows instead. The weights also
  change the mean size of the advantages: with `scale=1` the raw bias grows, so tune the learning rate (or `scale`)
  together with it.
- Set by us, because the paper's table of constants could not be read: `eta`, `history`, `prior`, `scale`.
- Ours: `floor`. The paper's step size is proportional to the spread of recent beliefs, so equal beliefs would
  freeze the anchor for good; `floor=0` gives the paper's formula.
- Rewards outside [0, 1] are mapped onto it by the batch's own range. The paper divides by max - min; we subtract
  the minimum too, so that 0 stays failure and `prior` and `fixed` keep their meaning.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from assay.methods.policy_gradient import group_means
from assay.methods.post_training.batch import RolloutBatch


class DifficultyAnchor:
    """C, the model's running ability: a belief about its success rate, moved by each batch (eqs. 6-17).

    eta          base step size, in (0, 1]
    history      m, how many of the last beliefs set the step size
    prior        the first belief
    gain, floor  eta_t = clip(gain * eta * std of the last m beliefs, floor, 1); `eta` itself while there is one belief
    hard_update  C is the mean success of the last m batches instead (the appendix's variant, in our reading)
    """

    def __init__(
        self,
        eta: float = 0.1,
        history: int = 8,
        prior: float = 0.5,
        *,
        gain: float = 1.0,
        floor: float = 0.01,
        hard_update: bool = False,
    ) -> None:
        if not 0 < eta <= 1:
            raise ValueError(f"eta: got {eta}, wanted a step size in (0, 1]")
        if history < 1:
            raise ValueError(f"history: got {history}, wanted at least 1 belief")
        if not gain > 0:
            raise ValueError(f"gain: got {gain}, wanted > 0")
        for name, value in (("prior", prior), ("floor", floor)):
            if not 0 <= value <= 1:
                raise ValueError(f"{name}: got {value}, wanted a share in [0, 1]")
        self.eta, self.gain, self.floor, self.hard_update = eta, gain, floor, hard_update
        self._beliefs: deque[float] = deque([prior], maxlen=history)
        self._observed: deque[float] = deque(maxlen=history)

    @property
    def belief(self) -> float:
        """C, as the next batch will be weighted by it."""
        return self._beliefs[-1]

    def update(self, y: float) -> None:
        """Take in a batch of which the share `y`, in [0, 1], was right."""
        if not 0 <= y <= 1:
            raise ValueError(f"y: got {y}, wanted the batch's share of right responses, in [0, 1]")
        self._observed.append(y)
        if self.hard_update:
            belief = sum(self._observed) / len(self._observed)
        else:
            eta_t = self._step_size()
            belief = (1 - eta_t) * self.belief + eta_t * y
        self._beliefs.append(belief)

    def _step_size(self) -> float:
        if len(self._beliefs) < 2:
            return self.eta
        mean = sum(self._beliefs) / len(self._beliefs)
        sigma = math.sqrt(sum((c - mean) ** 2 for c in self._beliefs) / len(self._beliefs))
        return min(1.0, max(self.floor, self.gain * self.eta * sigma))

    def state_dict(self) -> dict[str, Any]:
        return {"beliefs": list(self._beliefs), "observed": list(self._observed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._beliefs = deque(state["beliefs"], maxlen=self._beliefs.maxlen)
        self._observed = deque(state["observed"], maxlen=self._observed.maxlen)


class HADW:
    """The `AdvantageTransform` A -> A * Phi, Phi = scale * exp(D * M) (eqs. 6-17).

    M = |p_hat - C| with p_hat the group's mean reward, D = -sign(A) * sign(p_hat - C): successes of a prompt that is
    harder than usual count more and its failures less, and the other way round for an easy one. The anchor is
    updated after the batch was weighted. `mode="fixed"` holds C at `fixed` (the paper's ablation).
    """

    needs: frozenset[str] = frozenset()

    def __init__(
        self,
        scale: float = 1.0,
        anchor: DifficultyAnchor | None = None,
        mode: Literal["anchor", "fixed"] = "anchor",
        fixed: float = 0.5,
    ) -> None:
        if not 0 < scale < math.inf:
            raise ValueError(f"scale: got {scale}, wanted a finite number > 0")
        if mode not in ("anchor", "fixed"):
            raise ValueError(f"mode: got {mode!r}, wanted 'anchor' or 'fixed'")
        if not 0 <= fixed <= 1:
            raise ValueError(f"fixed: got {fixed}, wanted a success rate in [0, 1]")
        self.scale, self.mode, self.fixed = scale, mode, fixed
        self.anchor = anchor if anchor is not None else DifficultyAnchor()

    def __call__(self, batch: RolloutBatch, advantages: Tensor) -> Tensor:
        """Advantages (B,) or (B, T) to weighted ones of the same shape; rows without any scored reward stay."""
        success = _as_success(batch.rewards)
        p_hat = group_means(success, batch.group)
        if advantages.dim() == 2:
            p_hat = p_hat.unsqueeze(1)
        ability = self.fixed if self.mode == "fixed" else self.anchor.belief
        weighted = advantages * difficulty_weights(advantages, p_hat, ability, self.scale)

        if self.mode == "anchor" and not success.isnan().all():
            self.anchor.update(float(success.double().nanmean()))
        return weighted

    def state_dict(self) -> dict[str, Any]:
        return self.anchor.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.anchor.load_state_dict(state)


def difficulty_weights(advantages: Tensor, p_hat: Tensor, ability: float, scale: float = 1.0) -> Tensor:
    """Phi = scale * exp(D * M) for each advantage; `p_hat` broadcasts against them, NaN counts as average."""
    diff = torch.nan_to_num(p_hat - ability, nan=0.0)
    return scale * torch.exp(-advantages.sign() * diff)  # D * M = -sign(A) * sign(diff) * |diff|


def _as_success(rewards: Tensor) -> Tensor:
    """Rewards on [0, 1]; a batch of one and the same reward outside it says nothing of difficulty: all NaN."""
    if rewards.isnan().all():
        return rewards
    low, high = rewards.nan_to_num(torch.inf).min(), rewards.nan_to_num(-torch.inf).max()
    if low >= 0 and high <= 1:
        return rewards
    return (rewards - low) / (high - low) if high > low else torch.full_like(rewards, torch.nan)


# What the paper proves about one prompt with success probability p and G rollouts. S: the group is mixed, that is,
# it holds at least one right and one wrong response.


def conditional_bias(p: ArrayLike, group_size: ArrayLike) -> NDArray[np.float64]:
    """E[A_hat | S] - A = p - E[p_hat | S] (Theorem 1): negative on hard prompts, positive on easy ones, 0 at 1/2.

    `p` in [0, 1] and `group_size` broadcast against each other; at 0 and 1 the limits -1/G and 1/G are given.
    """
    group_size, p = np.asarray(group_size), np.asarray(p, dtype=np.float64)
    _check_group_size(group_size.min())
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("p: got a value outside [0, 1], wanted success probabilities")
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    mixed = 1 - (1 - q) ** group_size - q**group_size
    bias = q - q * (1 - q ** (group_size - 1)) / mixed
    return np.where(inside, bias, np.where(p == 0, -1.0, 1.0) / group_size)


def misestimate_probability(p: float, group_size: int, eps: float = 0.0) -> float:
    """P(p_hat is off by more than `eps` to the biased side | S) (Theorem 2): too high for p <= 1/2, else too low."""
    _check_group_size(group_size)
    if not 0 < p < 1:
        raise ValueError(f"p: got {p}, wanted a success probability in (0, 1)")
    if not eps >= 0:
        raise ValueError(f"eps: got {eps}, wanted >= 0")
    if p > 0.5:
        p = 1 - p  # too low a rate of success is too high a rate of failure
    first = math.floor(group_size * (p + eps) + 1e-9) + 1  # 1e-9: G(p + eps) may fall a rounding short of a whole
    tail = sum(_binomial(group_size, k, p) for k in range(max(1, first), group_size))
    return tail / sum(_binomial(group_size, k, p) for k in range(1, group_size))


def corollary3(p: float, group_size: int) -> Literal["under", "over"] | None:
    """Which way the advantage is wrong in *every* mixed group: "under" for p < 1/G, "over" for p > 1 - 1/G, else None.

    A mixed group has 1/G <= p_hat <= 1 - 1/G. (The corollary's number follows the paper; its wording is our reading.)
    """
    _check_group_size(group_size)
    if not 0 <= p <= 1:
        raise ValueError(f"p: got {p}, wanted a success probability in [0, 1]")
    if p * group_size < 1:
        return "under"
    return "over" if (1 - p) * group_size < 1 else None


def scale_interval(
    p_hat: float, c_low: float, c_high: float, direction: int, magnitude: float, *, reward: Literal[0, 1]
) -> tuple[float, float]:
    """The `scale`s for which the weighted advantage of a mixed group is the one that a corrected pass rate
    c * p_hat, c_low <= c <= c_high, would give (Theorem 3; derived here, the paper's own form could not be read).

    With D = `direction` and M = `magnitude`, (reward - p_hat) * scale * exp(D * M) = reward - c * p_hat.
    """
    if not 0 < p_hat < 1:
        raise ValueError(f"p_hat: got {p_hat}, wanted the pass rate of a mixed group, in (0, 1)")
    if not 0 < c_low <= c_high:
        raise ValueError(f"c_low, c_high: got {c_low}, {c_high}, wanted 0 < c_low <= c_high")
    if direction not in (-1, 0, 1):
        raise ValueError(f"direction: got {direction}, wanted -1, 0 or 1")
    phi = math.exp(direction * magnitude)
    ends = sorted((reward - c * p_hat) / (reward - p_hat) / phi for c in (c_low, c_high))
    return ends[0], ends[1]


# What a file of rewards says of the bias in one's own runs.


@dataclass(frozen=True)
class DifficultyBin:
    """The prompts of one range of success rates, and what group-relative advantages do to them.

    difficulty                 success rate of the prompts: "never", "under 0.25", ..., "always"
    bias                       mean of p - E[p_hat | S] over the mixed groups; None without any
    wasted                     share of groups that are all right or all wrong and give no gradient
    weight_right, weight_wrong mean HA-DW weight of a right and of a wrong response in the mixed groups
    """

    difficulty: str
    prompts: int
    groups: int
    success_rate: float
    bias: float | None
    wasted: float
    weight_right: float | None
    weight_wrong: float | None


def bias_report(rewards: ArrayLike, prompts: ArrayLike, steps: ArrayLike | None = None) -> list[DifficultyBin]:
    """Bias and weights by difficulty, hardest first; ranges that hold no prompt are left out.

    rewards  (n,) of 0 and 1, NaN for unscored rows, which are dropped
    prompts  (n,) the prompt of each row; its success rate is taken over all of its rows
    steps    (n,) sortable; rows of one prompt and step are a group, and the anchor runs through the steps in order.
             None: a prompt's rows are one group, and the anchor stands at the mean reward.
    """
    reward, named = np.asarray(rewards, dtype=np.float64), np.asarray(prompts)
    scored = ~np.isnan(reward)
    if not scored.any():
        raise ValueError(f"rewards: none of the {len(reward)} rows is scored, wanted rewards of 0 and 1")
    reward, named = reward[scored], named[scored]
    if not np.isin(reward, (0, 1)).all():
        odd = reward[~np.isin(reward, (0, 1))][0]
        raise ValueError(f"rewards: got {odd:g}, wanted 0 and 1 (success probabilities are what the bias is about)")
    names, prompt = np.unique(named, return_inverse=True)
    times, step = np.unique(np.zeros(len(reward)) if steps is None else np.asarray(steps)[scored], return_inverse=True)
    cells, cell = np.unique(prompt * len(times) + step, return_inverse=True)
    of_prompt, of_step = cells // len(times), cells % len(times)

    size = np.bincount(cell)
    if size.min() < 2:
        lone = names[of_prompt[size.argmin()]]
        raise ValueError(f"prompts: {lone} has a group of a single scored row, wanted at least 2 rollouts")
    p_hat = np.bincount(cell, reward) / size
    p = (np.bincount(prompt, reward) / np.bincount(prompt))[of_prompt]
    ability = _abilities(np.bincount(step, reward) / np.bincount(step))[of_step]
    return [
        _bin(words, inside, of_prompt, p, p_hat, size, ability)
        for words, inside in (
            ("never", p == 0),
            ("under 0.25", (p > 0) & (p < 0.25)),
            ("0.25 to 0.5", (p >= 0.25) & (p < 0.5)),
            ("0.5 to 0.75", (p >= 0.5) & (p < 0.75)),
            ("from 0.75", (p >= 0.75) & (p < 1)),
            ("always", p == 1),
        )
        if inside.any()
    ]


def _abilities(success: NDArray[np.float64]) -> NDArray[np.float64]:
    """The anchor before each step, given each step's share of right responses."""
    if len(success) == 1:
        return success
    anchor, abilities = DifficultyAnchor(), []
    for y in success:
        abilities.append(anchor.belief)
        anchor.update(float(y))
    return np.array(abilities)


def _bin(
    words: str,
    inside: NDArray[np.bool_],
    prompt: NDArray[np.int64],
    p: NDArray[np.float64],
    p_hat: NDArray[np.float64],
    size: NDArray[np.int64],
    ability: NDArray[np.float64],
) -> DifficultyBin:
    mixed = inside & (p_hat > 0) & (p_hat < 1)
    some = bool(mixed.any())
    diff = p_hat[mixed] - ability[mixed]
    return DifficultyBin(
        difficulty=words,
        prompts=len(np.unique(prompt[inside])),
        groups=int(inside.sum()),
        success_rate=float(p[inside].mean()),
        bias=float(conditional_bias(p[mixed], size[mixed]).mean()) if some else None,
        wasted=1 - float(mixed.sum() / inside.sum()),
        weight_right=float(np.exp(-diff).mean()) if some else None,
        weight_wrong=float(np.exp(diff).mean()) if some else None,
    )


def _binomial(n: int, k: int, p: float) -> float:
    log_ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log_ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _check_group_size(group_size: int | np.integer[Any]) -> None:
    if group_size < 2:
        raise ValueError(f"group_size: got {group_size}, wanted at least 2 rollouts")
