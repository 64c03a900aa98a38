"""TRL: `AdvantageGRPOTrainer` is `trl.GRPOTrainer` whose advantages come from an estimator of yours.

    trainer = AdvantageGRPOTrainer(model, reward, args=GRPOConfig(...), train_dataset=data,
                                   advantage=Pipeline(GroupNormalised(), HADW()))

Generation, loss, logging and checkpoints are TRL's own, at TRL's own defaults; GSPO is then
`GRPOConfig(importance_sampling_level="sequence")`, DAPO `GRPOConfig(loss_type="dapo")`. Needs trl 1.16.

`annotate` is called with each batch before the estimator, to fill what a judge or an environment knows (a cluster, a
turn's reward); `loss` is a `TokenLoss` in place of TRL's own. `run_grpo` is a short run with the settings of a trial.

Details that matter
- Where the estimator needs `turn`, the k-th run of trained tokens of a completion is turn k: tool output lies between.
- With `loss`, TRL's own KL term, loss_type and clipping do not apply; its generation, batching and logging do.
- The estimator sees every process's rows, so that groups are whole and a memory is the same everywhere.
- `scale_rewards` and `multi_objective_aggregation` are decided by the estimator: they must stay at TRL's defaults.
- An evaluation batch is weighted like any other but leaves the estimator's memory as it was.
- The memory is saved in each checkpoint (`advantage.json`) and read back when training resumes.
- The columns "advantages" of TRL's completions log are TRL's own, from before the estimator.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import Tensor
from transformers import PrinterCallback
from transformers.utils import logging as transformers_logging
from trl import GRPOConfig, GRPOTrainer
from trl import __version__ as trl_version

from assay.methods.parsing import as_text
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.losses import TokenLoss
from assay.methods.post_training.pipeline import AdvantageEstimator, RewardFunction, Scheduler, Stateful

Annotate = Callable[[RolloutBatch], RolloutBatch]

HOOKS = ("_calculate_rewards", "_generate_and_score_completions", "_get_per_token_logps_and_entropies", "_compute_loss")
ROW_COLUMNS = ("agent", "trajectory", "key", "cluster")  # dataset columns that are read into the batch
LOGPROBS = {"ref_logprobs": "ref_per_token_logps", "rollout_logprobs": "sampling_per_token_logps"}
STATE_FILE = "advantage.json"


@dataclass(frozen=True)
class _Scored:
    """What `_calculate_rewards` saw of the batch in the making; rewards are gathered, the rest is this process's."""

    inputs: list[dict[str, Any]]
    prompts: list[Any]
    completions: list[Any]
    rewards_per_func: Tensor


class AdvantageGRPOTrainer(GRPOTrainer):
    """`trl.GRPOTrainer` with `advantage`, an estimator from RolloutBatch to (B,) or (B, T), and at wish `annotate`
    and `loss`.

    Integer dataset columns named agent, trajectory, key or cluster are read into the batch.
    Raises ValueError at construction where TRL's settings contradict the estimator, RuntimeError for another trl.
    """

    def __init__(
        self,
        model: Any,
        reward_funcs: Any,
        args: GRPOConfig | None = None,
        *,
        advantage: AdvantageEstimator,
        annotate: Annotate | None = None,
        loss: TokenLoss | None = None,
        **own: Any,
    ) -> None:
        _check_trl()
        super().__init__(model, reward_funcs, args, **own)  # TRL's own arguments, whichever this release has
        _check_settings(self.args, advantage, loss)
        self.advantage, self.annotate, self.token_loss = advantage, annotate, loss
        self._scored: _Scored | None = None

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._scored = _Scored(inputs, prompts, completions, rewards)
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        out = super()._generate_and_score_completions(inputs)
        batch = self._rollout_batch(out)
        if self.annotate is not None:
            batch = self.annotate(batch)
        memory = self.advantage.state_dict() if isinstance(self.advantage, Stateful) else None
        advantages = self.advantage(batch)
        if memory is not None and not self.model.training:
            self.advantage.load_state_dict(memory)

        rows, tokens = out["completion_ids"].shape
        mine = slice(self.accelerator.process_index * rows, (self.accelerator.process_index + 1) * rows)
        advantages = advantages[mine] if advantages.dim() == 1 else advantages[mine, :tokens]
        out["advantages"] = advantages.to(out["advantages"].dtype)
        return out

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        if self.token_loss is None:
            return super()._compute_loss(model, inputs)
        mask = inputs["completion_mask"] * inputs["tool_mask"] if "tool_mask" in inputs else inputs["completion_mask"]
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        seen = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        logprobs = self._get_per_token_logps_and_entropies(model, ids, seen, inputs["completion_ids"].size(1))[0]
        old = inputs.get("old_per_token_logps")
        loss, figures = self.token_loss(
            logprobs,
            logprobs.detach() if old is None else old,
            inputs["advantages"],
            mask.bool(),
            ref_logprobs=inputs.get("ref_per_token_logps"),
            rollout_logprobs=inputs.get("sampling_per_token_logps"),
        )
        mode = "train" if self.model.training else "eval"
        for name, value in figures.items():
            self._metrics[mode][name].append(self.accelerator.gather(torch.tensor(value)).nanmean().item())
        return loss / (self.current_gradient_accumulation_steps if mode == "train" else 1)

    def _rollout_batch(self, out: dict[str, Any]) -> RolloutBatch:
        """The rows of all processes, in TRL's order: the rollouts of a prompt are neighbours."""
        scored, self._scored = self._scored, None
        rewards = (scored.rewards_per_func * self.reward_weights.to(scored.rewards_per_func.device)).nansum(dim=1)
        rewards[scored.rewards_per_func.isnan().all(dim=1)] = torch.nan
        rollouts = self.num_generations if self.model.training else self.num_generations_eval

        mask = out["completion_mask"] * out["tool_mask"] if "tool_mask" in out else out["completion_mask"]
        mask = self._gathered(mask.bool())
        mask[:, 0] |= ~mask.any(dim=1)  # TRL blanks cut-off completions whole; its own mask keeps them out of the loss
        fields = {name: self._gathered(out[key]) for name, key in LOGPROBS.items() if key in out}
        if "turn" in self.advantage.needs:
            fields["turn"] = turns(mask)
        if "logprobs" in self.advantage.needs:
            fields["logprobs"] = self._gathered(self._old_logprobs(out))
        for name in ROW_COLUMNS:
            if name in scored.inputs[0]:
                ids = gather_object([row[name] for row in scored.inputs])
                fields[name] = torch.as_tensor(ids, device=rewards.device)
        return RolloutBatch(
            rewards=rewards,
            group=torch.arange(len(rewards), device=rewards.device) // rollouts,
            mask=mask,
            prompts=tuple(as_text(prompt) for prompt in gather_object(list(scored.prompts))),
            completions=tuple(as_text(completion) for completion in gather_object(list(scored.completions))),
            step=self.state.global_step,
            allow_singletons=rollouts == 1,
            **fields,
        )

    @torch.no_grad()
    def _old_logprobs(self, out: dict[str, Any]) -> Tensor:
        """log pi_old, (B, T): TRL's own where it has them, else one forward pass."""
        if "old_per_token_logps" in out:
            logprobs: Tensor = out["old_per_token_logps"]
            return logprobs
        ids = torch.cat([out["prompt_ids"], out["completion_ids"]], dim=1)
        seen = torch.cat([out["prompt_mask"], out["completion_mask"]], dim=1)
        tokens, rows = out["completion_ids"].shape[1], self.args.per_device_train_batch_size
        return self._get_per_token_logps_and_entropies(self.model, ids, seen, tokens, rows)[0]

    def _gathered(self, values: Tensor) -> Tensor:
        """(B, T) of this process to the rows of all processes, padded on the right to the longest."""
        return self.accelerator.gather(self.accelerator.pad_across_processes(values, dim=1))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if isinstance(self.advantage, Stateful) and self.args.should_save:
            folder = Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"
            (folder / STATE_FILE).write_text(json.dumps(self.advantage.state_dict()), encoding="utf-8")

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None and isinstance(self.advantage, Stateful):
            saved = Path(checkpoint) / STATE_FILE
            if saved.exists():
                self.advantage.load_state_dict(json.loads(saved.read_text(encoding="utf-8")))


def _check_trl() -> None:
    missing = [name for name in HOOKS if not hasattr(GRPOTrainer, name)]
    if missing:
        raise RuntimeError(f"trl {trl_version} has no GRPOTrainer.{missing[0]}: this adapter wants trl>=1.16,<1.17")


def turns(mask: Tensor) -> Tensor:
    """(B, T) bool to (B, T) long: k on the k-th run of True in a row, counted from 0, and -1 on False."""
    begins = mask.clone()
    begins[:, 1:] &= ~mask[:, :-1]
    return (begins.cumsum(dim=1) - 1).masked_fill(~mask, -1)


def _check_settings(args: GRPOConfig, advantage: AdvantageEstimator, loss: TokenLoss | None) -> None:
    if args.scale_rewards != "group":
        raise ValueError(
            f"args.scale_rewards: got {args.scale_rewards!r}; the estimator scales here: "
            "leave it out and pass GroupNormalised(scale='none') for unscaled advantages"
        )
    if args.multi_objective_aggregation != "sum_then_normalize":
        raise ValueError(
            f"args.multi_objective_aggregation: got {args.multi_objective_aggregation!r}, wanted 'sum_then_normalize': "
            "the estimator is given the weighted sum of the rewards"
        )
    for reader in (advantage, loss):
        if reader is not None and "ref_logprobs" in reader.needs and args.beta == 0:
            raise ValueError(f"{type(reader).__name__} needs a reference model: set GRPOConfig(beta=1e-12)")


@dataclass(frozen=True)
class GRPORun:
    """What a run left: the trained model, and one dict a step of TRL's own log (reward, completions/mean_length …)."""

    model: Any
    log: list[dict[str, float]]


def run_grpo(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Mapping[str, Any]],
    reward: RewardFunction,
    *,
    advantage: AdvantageEstimator,
    steps: int,
    seed: int,
    rollouts: int = 8,
    batch: int = 64,
    max_tokens: int = 48,
    learning_rate: float = 3e-4,
    temperature: float = 1.0,
    beta: float = 0.0,
    sequence_level: bool = False,
    clip: tuple[float, float] = (0.2, 0.2),
    annotate: Annotate | None = None,
    loss: TokenLoss | None = None,
    rollout: Callable[..., dict[str, Any]] | None = None,
    scheduler: Callable[[Any], Scheduler] | None = None,
) -> GRPORun:
    """Train a copy of `model` by GRPO on the CPU: `steps` updates of `batch` completions, `rollouts` a prompt.

    rows       the data set: "prompt" and whatever columns the reward and the estimator read
    beta       weight of TRL's KL to the model as it came; 0 loads no reference
    clip       the two sides of the ratio's clip; `sequence_level` makes it GSPO's
    rollout    TRL's `rollout_func`, to sample in another way
    scheduler  from the model in training to what chooses prompts, rollouts and max_tokens of each step in their place

    Nothing is written but a temporary folder; the data is shuffled by `seed`, which also seeds the sampling.
    """
    if batch % rollouts:
        raise ValueError(f"batch: got {batch}, wanted a multiple of rollouts={rollouts}")
    if len(rows) < batch // rollouts:  # TRL drops a batch that it cannot fill, and would train no step at all
        raise ValueError(f"rows: got {len(rows)}, wanted at least the {batch // rollouts} prompts of one batch")
    transformers_logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        args = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=batch,
            num_generations=rollouts,
            max_completion_length=max_tokens,
            max_steps=steps,
            learning_rate=learning_rate,
            lr_scheduler_type="constant",
            temperature=temperature,
            beta=beta,
            importance_sampling_level="sequence" if sequence_level else "token",
            epsilon=clip[0],
            epsilon_high=clip[1],
            seed=seed % 2**31,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            gradient_checkpointing=False,
            bf16=False,
        )
        started = copy.deepcopy(model)
        if beta > 0:  # TRL reads its reference model from the path that the trained one came from
            started.save_pretrained(folder)
            started = type(model).from_pretrained(folder)
        kind: Callable[..., AdvantageGRPOTrainer] = AdvantageGRPOTrainer
        if scheduler is not None:
            from assay.integrations.trl_scheduled import ScheduledGRPOTrainer  # which is built on this module

            kind = partial(ScheduledGRPOTrainer, scheduler=scheduler(started))
        trainer = kind(
            started,
            reward,
            args,
            advantage=advantage,
            annotate=annotate,
            loss=loss,
            train_dataset=Dataset.from_list([dict(row) for row in rows]),
            processing_class=tokenizer,
            rollout_func=rollout,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return GRPORun(trainer.model.eval(), list(trainer.state.log_history))
