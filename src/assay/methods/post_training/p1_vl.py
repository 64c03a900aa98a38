"""P1-VL: Bridging Visual Perception and Scientific Reasoning in Physics Olympiads (2602.09443): a recipe.

Reinforcement on problems that a model sometimes solves: each is sampled 72 times, what it solves too often is pruned,
and a curriculum tightens the pass rates it keeps while rollouts and context windows grow (`Curriculum`). Sequences
whose trainer and inference engine disagree are left out of the update (`SeqMIS`, `GSPOLoss`). At inference one studio
reads the figure, one solves and one reviews until a solution has passed five reviews in a row (`Minions`).

    rates = [pass_rate(answers, gold) for answers, gold in sampled]
    curriculum = Curriculum(rates, STAGES_30B, batch=512, longest_prompt=4000, steps=(200, 200), generator=generator)
    trainer = ScheduledGRPOTrainer(model, physics_reward, args, scheduler=curriculum, loss=GSPOLoss(), ...)

Details that matter
- What it costs: 72 samples a problem for the pass rates, and again at each stage where `estimate` is given; Seq-MIS is
  O(B T). The loop of `Minions` asks a model at least 2 * passes + 3 times.
- When it does not help: where pass rates lie close together there is nothing to keep or to prune; where trainer and
  engine agree to the last bit, geo is 1 and nothing is left out. A problem that no rollout solves gives no gradient:
  the last stage lets such problems in again and pays for them.
- The keeping rule is lower < rate <= upper: a rate of 0 stays out, but for a stage with `include_zero`.
- With TRL, `assay.integrations.trl_scheduled.ScheduledGRPOTrainer` runs a curriculum; Seq-MIS needs an engine that
  reports log-probabilities (vLLM), with TRL's own `vllm_importance_sampling_correction=False`. With verl:
  `assay.integrations.verl.register_loss("assay_geo_mis", GSPOLoss(SeqMIS()))`.
- rho of a long sequence is a product over its tokens: at 80,000 tokens even geo = 1.01 is more than a number can
  hold. `clip_weight` bounds it, `weight=False` does without.
- Our reading: the threshold 1.01, the five passes and eight rounds, the two windows that a plateau compares, that
  answers are the last boxes of a reply, and that `two_sided`, which also leaves out geo < 1 / threshold, is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from assay.methods.data.stages import StageReport, run_stage
from assay.methods.post_training._p1_answers import (
    Marked,
    ModelVerifier,
    PhysicsVerifier,
    multi_answer_reward,
    physics_reward,
)
from assay.methods.post_training._p1_minions import Domain, Minions, Reviewed
from assay.methods.post_training._p1_mismatch import GSPOLoss, SeqMIS, sequence_importance
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import RolloutPlan
from assay.methods.protocols import Sampler

__all__ = [
    "STAGES_30B", "STAGES_235B", "Curriculum", "Domain", "Filtered", "GSPOLoss", "Marked", "Minions", "ModelVerifier",
    "PhysicsVerifier", "Reviewed", "SeqMIS", "Stage", "dual_filter", "measure_pass_rates", "multi_answer_reward",
    "pass_rate", "physics_reward", "sequence_importance", "stages",
]  # fmt: skip

T = TypeVar("T")
SAMPLES = 72  # rollouts that a pass rate is measured by
PRUNED_ABOVE = 0.7


def pass_rate(replies: Sequence[str], gold: Sequence[str], n: int = SAMPLES) -> float:
    """The share of `n` replies to one problem that get every sub-answer right. Raises ValueError for another number
    of replies."""
    if len(replies) != n or n < 1:
        raise ValueError(f"replies: got {len(replies)}, wanted n={n}, at least 1")
    verify = PhysicsVerifier()
    return sum(multi_answer_reward(reply, gold, verify) == 1 for reply in replies) / n


async def measure_pass_rates(
    rows: Iterable[Mapping[str, Any]], sample: Sampler, out: Path, n: int = SAMPLES, *, workers: int = 4
) -> StageReport:
    """Rows of "prompt" and "answer" (a text, or a list of texts) to the same rows with "pass_rate", in `out`.

    A run that was stopped goes on where it was: see `assay.methods.data.stages`.
    """

    async def measured(row: dict[str, Any]) -> dict[str, Any]:
        gold = [row["answer"]] if isinstance(row["answer"], str) else list(row["answer"])
        replies = [one.text for one in await sample(row["prompt"], n=n)]
        return {**row, "pass_rate": pass_rate(replies, gold, n)}

    return await run_stage(rows, measured, out, workers=workers)


@dataclass(frozen=True)
class Filtered(Generic[T]):
    """What `dual_filter` keeps, those it recovered among it, and the places of what it left out, by reason."""

    kept: tuple[T, ...]
    pruned: tuple[int, ...]
    recovered: tuple[int, ...]
    lost: tuple[int, ...]


def dual_filter(
    items: Sequence[T],
    rates: Sequence[float],
    upper: float = PRUNED_ABOVE,
    zero: Literal["recover", "drop"] = "recover",
    recover: Callable[[T], T | None] | None = None,
) -> Filtered[T]:
    """Prune what is solved too often, rate > `upper`, and look again at what is never solved, rate 0.

    recover    an item to the item mended (figure and question match, nothing is missing), or None to give it up; it
               is given those with rate 0. With zero="drop" all of these go.
    """
    if not 0 < upper <= 1:
        raise ValueError(f"upper: got {upper}, wanted a rate in (0, 1]")
    if zero not in ("recover", "drop"):
        raise ValueError(f"zero: got {zero!r}, wanted 'recover' or 'drop'")
    if (zero == "recover") != (recover is not None):
        raise ValueError("recover: wanted a function with zero='recover', and none with zero='drop'")
    _check_rates(rates)
    if len(items) != len(rates):
        raise ValueError(f"rates: got {len(rates)}, wanted {len(items)}, one an item")
    kept: list[T] = []
    pruned: list[int] = []
    recovered: list[int] = []
    lost: list[int] = []
    for place, (item, rate) in enumerate(zip(items, rates)):
        if rate > upper:
            pruned.append(place)
        elif rate > 0:
            kept.append(item)
        elif recover is None or (mended := recover(item)) is None:
            lost.append(place)
        else:
            recovered.append(place)
            kept.append(mended)
    return Filtered(tuple(kept), tuple(pruned), tuple(recovered), tuple(lost))


@dataclass(frozen=True)
class Stage:
    """Prompts with lower < pass rate <= upper, `rollouts` of each, in a context of `window` tokens, prompt included.

    include_zero    prompts that no rollout solved are in as well
    """

    lower: float
    upper: float
    rollouts: int
    window: int
    include_zero: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.lower < self.upper <= 1:
            raise ValueError(f"lower, upper: got {self.lower}, {self.upper}, wanted 0 <= lower < upper <= 1")
        if self.rollouts < 2:
            raise ValueError(f"rollouts: got {self.rollouts}, wanted at least 2")
        if self.window < 1:
            raise ValueError(f"window: got {self.window}, wanted a number of tokens")

    def keeps(self, rate: float) -> bool:
        return self.lower < rate <= self.upper or (self.include_zero and rate == 0)


def stages(*windows: int) -> tuple[Stage, Stage, Stage]:
    """The paper's three stages with the given windows: pass rates up to 0.7, up to 0.5, then 16 rollouts and zeros."""
    if len(windows) != 3:
        raise ValueError(f"windows: got {len(windows)}, wanted one for each of the 3 stages")
    first, second, third = windows
    return Stage(0, 0.7, 8, first), Stage(0, 0.5, 8, second), Stage(0, 0.5, 16, third, include_zero=True)


STAGES_30B = stages(40_000, 60_000, 80_000)
STAGES_235B = stages(48_000, 54_000, 54_000)


class Curriculum:
    """A `Scheduler`: each step draws prompts that the present stage keeps, every one of them before any comes again.

    rates           pass rate of each prompt of the data set, by place
    batch           rollouts a step; a multiple of every stage's `rollouts`
    longest_prompt  tokens; a stage's completions get what is left of its window
    steps           steps of each stage but the last, which goes on; or None: a stage ends on a plateau, when the mean
                    reward of the last `patience` steps is no higher than that of the `patience` before
    estimate        places to their pass rates under the present policy, called for all prompts as a stage begins
                    (but the first); None keeps `rates`

    Raises ValueError for a window that a prompt fills, for too few prompts in a stage (when it begins), and the like.
    """

    def __init__(
        self,
        rates: Sequence[float],
        stages: Sequence[Stage],
        *,
        batch: int,
        longest_prompt: int,
        generator: np.random.Generator,
        steps: Sequence[int] | None = None,
        patience: int = 20,
        estimate: Callable[[Sequence[int]], Sequence[float]] | None = None,
    ) -> None:
        _check_rates(rates)
        if not stages:
            raise ValueError("stages: got none, wanted at least one Stage")
        if steps is not None and (len(steps) != len(stages) - 1 or any(count < 1 for count in steps)):
            raise ValueError(f"steps: got {list(steps)}, wanted a positive count for each stage but the last")
        if patience < 1:
            raise ValueError(f"patience: got {patience}, wanted at least 1 step")
        for stage in stages:
            if batch % stage.rollouts:
                raise ValueError(f"batch: got {batch}, wanted a multiple of the stage's {stage.rollouts} rollouts")
            if stage.window <= longest_prompt:
                raise ValueError(f"window: got {stage.window}, wanted more than the longest prompt, {longest_prompt}")
        self.stages, self.batch, self.longest_prompt = tuple(stages), batch, longest_prompt
        self.steps, self.patience, self.estimate, self.generator = steps, patience, estimate, generator
        self.rates = [float(rate) for rate in rates]
        self.number, self._begun, self._rewards = 0, 0, list[float]()
        self._waiting: list[int] = []
        self._check_kept()

    @property
    def stage(self) -> Stage:
        return self.stages[self.number]

    def kept(self) -> list[int]:
        """Places of the prompts that the present stage keeps."""
        return [place for place, rate in enumerate(self.rates) if self.stage.keeps(rate)]

    def plan(self, step: int) -> RolloutPlan:
        """What to sample at `step`, counted from 0; begins the next stage where the present one is over."""
        if self._over(step):
            self.number, self._begun, self._rewards, self._waiting = self.number + 1, step, [], []
            if self.estimate is not None:
                self.rates = [float(rate) for rate in self.estimate(range(len(self.rates)))]
                _check_rates(self.rates)
            self._check_kept()
        wanted = self.batch // self.stage.rollouts
        if len(self._waiting) < wanted:  # a round that does not fill a step makes way for a new one
            self._waiting = [int(place) for place in self.generator.permutation(self.kept())]
        drawn, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        return RolloutPlan(tuple(drawn), self.stage.rollouts, self.stage.window - self.longest_prompt)

    def observe(self, batch: RolloutBatch) -> None:
        """The rewards of a step, for the plateau."""
        self._rewards.append(float(batch.rewards.nanmean()))

    def state_dict(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "begun": self._begun,
            "rewards": list(self._rewards),
            "waiting": list(self._waiting),
            "rates": list(self.rates),
            "generator": self.generator.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if len(state["rates"]) != len(self.rates) or not 0 <= state["number"] < len(self.stages):
            raise ValueError(f"state: got one of {len(state['rates'])} prompts, wanted one of {len(self.rates)}")
        self.number, self._begun, self.rates = state["number"], state["begun"], list(state["rates"])
        self._rewards, self._waiting = list(state["rewards"]), list(state["waiting"])
        self.generator.bit_generator.state = state["generator"]

    def _over(self, step: int) -> bool:
        if self.number == len(self.stages) - 1:
            return False
        if self.steps is not None:
            return step - self._begun >= self.steps[self.number]
        seen = [reward for reward in self._rewards if reward == reward]
        before, last = seen[-2 * self.patience : -self.patience], seen[-self.patience :]
        return len(before) == self.patience and sum(last) <= sum(before)

    def _check_kept(self) -> None:
        kept, wanted = len(self.kept()), self.batch // self.stage.rollouts
        if kept < wanted:
            raise ValueError(f"rates: stage {self.number + 1} keeps {kept} prompts, wanted at least {wanted}, a step's")


def _check_rates(rates: Sequence[float]) -> None:
    for place, rate in enumerate(rates):
        if not 0 <= rate <= 1:
            raise ValueError(f"rates: got {rate} at {place}, wanted pass rates in [0, 1]")
