"""TRL: `AdvantageGRPOTrainer` is `trl.GRPOTrainer` whose advantages come from an estimator of yours.

    trainer = AdvantageGRPOTrainer(model, reward, args=GRPOConfig(...), train_dataset=data,
                                   advantage=Pipeline(GroupNormalised(), HADW()))

Generation, loss, logging and checkpoints are TRL's own, at TRL's own defaults; GSPO is then
`GRPOConfig(importance_sampling_level="sequence")`, DAPO `GRPOConfig(loss_type="dapo")`. Needs trl 1.16.

Details that matter
- The estimator sees every process's rows, so that groups are whole and a memory is the same everywhere.
- `scale_rewards` and `multi_objective_aggregation` are decided by the estimator: they must stay at TRL's defaults.
- An evaluation batch is weighted like any other but leaves the estimator's memory as it was.
- The memory is saved in each checkpoint (`advantage.json`) and read back when training resumes.
- The columns "advantages" of TRL's completions log are TRL's own, from before the estimator.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer
from trl import __version__ as trl_version

from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import AdvantageEstimator, Stateful

HOOKS = ("_calculate_rewards", "_generate_and_score_completions", "_get_per_token_logps_and_entropies")
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
    """`trl.GRPOTrainer` with one more argument, `advantage`: an estimator from RolloutBatch to (B,) or (B, T).

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
        **own: Any,
    ) -> None:
        _check_trl()
        super().__init__(model, reward_funcs, args, **own)  # TRL's own arguments, whichever this release has
        _check_settings(self.args, advantage)
        self.advantage = advantage
        self._scored: _Scored | None = None

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        self._scored = _Scored(inputs, prompts, completions, rewards)
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        out = super()._generate_and_score_completions(inputs)
        batch = self._rollout_batch(out)
        memory = self.advantage.state_dict() if isinstance(self.advantage, Stateful) else None
        advantages = self.advantage(batch)
        if memory is not None and not self.model.training:
            self.advantage.load_state_dict(memory)

        rows, tokens = out["completion_ids"].shape
        mine = slice(self.accelerator.process_index * rows, (self.accelerator.process_index + 1) * rows)
        advantages = advantages[mine] if advantages.dim() == 1 else advantages[mine, :tokens]
        out["advantages"] = advantages.to(out["advantages"].dtype)
        return out

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
            prompts=tuple(_text(prompt) for prompt in gather_object(list(scored.prompts))),
            completions=tuple(_text(completion) for completion in gather_object(list(scored.completions))),
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


def _check_settings(args: GRPOConfig, advantage: AdvantageEstimator) -> None:
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
    if "ref_logprobs" in advantage.needs and args.beta == 0:
        raise ValueError(f"{type(advantage).__name__} needs a reference model: set GRPOConfig(beta=1e-12)")


def _text(message: Any) -> str:
    """A prompt or completion as text: conversations by their contents, one line a message."""
    return message if isinstance(message, str) else "\n".join(str(turn["content"]) for turn in message)
