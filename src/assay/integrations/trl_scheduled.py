"""TRL: GRPO whose prompts, group sizes and completion lengths a `Scheduler` chooses, step by step.

    trainer = ScheduledGRPOTrainer(model, reward, args=GRPOConfig(max_steps=500, ...), train_dataset=data,
                                   advantage=GroupNormalised(), scheduler=Curriculum(...))

The scheduler numbers prompts by their place in `train_dataset`. TRL's generation batch keeps its size: a plan asks for
as many prompts as fill it at the plan's group size.

Details that matter
- The data loader reads one batch ahead, so that a plan is made while the step before it is still to be trained.
- `max_steps` must be set: the sampler never ends. Resuming from a checkpoint makes the plans anew from the first step
  on, which gives the same ones where the scheduler looks at nothing but the step.
- The scheduler observes every training batch of all processes, with its rewards as the estimator sees them; evaluation
  keeps TRL's own group size, and the length that was planned last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from torch.utils.data import Sampler
from trl import GRPOConfig

from assay.integrations.trl import AdvantageGRPOTrainer
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import RolloutPlan, Scheduler


class ScheduledGRPOTrainer(AdvantageGRPOTrainer):
    """`AdvantageGRPOTrainer` with `scheduler`. Raises ValueError for settings under which plans cannot be kept."""

    def __init__(
        self, model: Any, reward_funcs: Any, args: GRPOConfig | None = None, *, scheduler: Scheduler, **own: Any
    ) -> None:
        super().__init__(model, reward_funcs, args, **own)  # its arguments and TRL's
        if self.args.max_steps <= 0:
            raise ValueError(f"args.max_steps: got {self.args.max_steps}, wanted the number of steps to plan for")
        self.scheduler = scheduler
        self._plans: deque[RolloutPlan] = deque()

    def _get_train_sampler(self, dataset: Any = None) -> Sampler[int]:
        rows = self.args.generation_batch_size
        return _Planned(self.scheduler, self._plans, rows, self.num_iterations * self.args.steps_per_generation)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        if self.model.training:
            plan = self._plans.popleft()
            self.num_generations = plan.rollouts
            self._limit(plan.max_tokens)
        return super()._generate_and_score_completions(inputs)

    def _rollout_batch(self, out: dict[str, Any]) -> RolloutBatch:
        batch = super()._rollout_batch(out)
        if self.model.training:
            self.scheduler.observe(batch)
        return batch

    def _limit(self, max_tokens: int) -> None:
        self.max_completion_length = max_tokens
        if self.use_vllm:
            self.vllm_generation.max_completion_length = max_tokens
        else:
            self.generation_kwargs["max_new_tokens"] = max_tokens
            self.generation_config.max_new_tokens = max_tokens


class _Planned(Sampler[int]):
    """Places in the data set, plan after plan without end: each prompt `rollouts` times, the whole `repeats` times, as
    TRL's own sampler does. Plans go to `plans` in the order in which they will be sampled."""

    def __init__(self, scheduler: Scheduler, plans: deque[RolloutPlan], rows: int, repeats: int) -> None:
        self.scheduler, self.plans, self.rows, self.repeats = scheduler, plans, rows, repeats

    def __iter__(self) -> Iterator[int]:
        step = 0
        while True:
            plan = self.scheduler.plan(step)
            places = [place for place in plan.prompts for _ in range(plan.rollouts)]
            if len(places) != self.rows:
                got = f"{len(plan.prompts)} prompts of {plan.rollouts} rollouts"
                raise ValueError(f"plan: step {step} asks for {got}, wanted {self.rows}, TRL's generation batch")
            self.plans.append(plan)
            for _ in range(self.repeats):
                yield from places
            step += 1
