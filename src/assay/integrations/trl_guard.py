"""TRL: a guard of ToolSafe trained on labelled steps, first by imitation, then by GRPO with `MultiTaskReward`.

    guard = train_guard(model, tokenizer, records, brief=True, sft_steps=200, grpo_steps=100)
    guard.model.save_pretrained("guard")

Meant for small models on one machine. The paper's guard is a 7 B instruct model trained by verl's GRPO on 8 GPUs, for
which `assay.integrations.verl.score_function(MultiTaskReward())` is the reward.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assay.integrations.trl import run_grpo
from assay.methods.post_training.pipeline import GroupNormalised
from assay.methods.safety.toolsafe import MultiTaskReward, StepRecord, plain_words, training_rows

HELD_OUT = 0.1  # share of the steps, at least one and at most 64, that measure the stages
WRITTEN = 48  # tokens kept free for the guard's analysis, beyond the longest verdict of the data


@dataclass(frozen=True)
class Stage:
    """A guard's greedy replies to the held-out steps: mean reward, and the share that can be read."""

    name: str
    reward: float
    readable: float


@dataclass(frozen=True)
class TrainedGuard:
    """The model in evaluation mode, and how it did on the held-out steps before, between and after the two stages."""

    model: Any
    stages: tuple[Stage, ...]
    trained_on: int
    held_out: int


def train_guard(
    model: Any,
    tokenizer: Any,
    records: Sequence[StepRecord],
    *,
    brief: bool = False,
    sft_steps: int = 200,
    grpo_steps: int = 100,
    sft_learning_rate: float = 1e-3,
    grpo_learning_rate: float = 1e-4,
    batch: int = 16,
    rollouts: int = 8,
    seed: int = 0,
) -> TrainedGuard:
    """Train a causal model with a chat template to judge steps; `model` itself is trained by the first stage.

    batch      steps an update of the first stage, and completions an update of the second, `rollouts` a step
    Steps that are held out by `seed` are trained on by neither stage.

    Raises ValueError for too few or unlabelled steps, a step that does not fit the model's window, a tokenizer without
    a chat template, steps below 1.
    """
    if sft_steps < 1 or grpo_steps < 1:
        raise ValueError(f"sft_steps, grpo_steps: got {sft_steps}, {grpo_steps}, wanted at least 1 each")
    if not tokenizer.chat_template:
        raise ValueError("tokenizer: got none with a chat template, wanted one: the guard is asked in a user's turn")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows = [_row(tokenizer, row) for row in training_rows(records, brief=brief)]
    random.Random(seed).shuffle(rows)
    held = min(64, max(1, round(HELD_OUT * len(rows))))
    held_out, used = rows[:held], rows[held:]
    if len(used) < batch // rollouts:
        raise ValueError(f"records: got {len(rows)}, wanted at least {batch // rollouts + held}, {held} to hold out")
    longest = max(len(tokenizer(row["completion"])["input_ids"]) for row in rows)
    _check_window(model, tokenizer, rows, longest + WRITTEN)

    def measured(name: str, trained: Any) -> Stage:
        rewards = _rewards(trained, tokenizer, held_out, longest + WRITTEN)
        return Stage(name, sum(rewards) / held, sum(reward >= 0 for reward in rewards) / held)

    stages = [measured("as it came", model)]
    _imitate(model, tokenizer, used, steps=sft_steps, learning_rate=sft_learning_rate, batch=batch, seed=seed)
    stages.append(measured("after imitation", model))
    run = run_grpo(
        model, tokenizer, used, MultiTaskReward(), advantage=GroupNormalised(), steps=grpo_steps, seed=seed,
        rollouts=rollouts, batch=batch, max_tokens=longest + WRITTEN, learning_rate=grpo_learning_rate,
    )  # fmt: skip
    stages.append(measured("after GRPO", run.model))
    return TrainedGuard(run.model, tuple(stages), len(used), held)


def _row(tokenizer: Any, row: dict[str, Any]) -> dict[str, Any]:
    chat = [{"role": "user", "content": plain_words(row["prompt"], tokenizer.all_special_tokens)}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    begin = tokenizer.bos_token
    if begin and _adds_begin(tokenizer):
        prompt = prompt.removeprefix(begin)
    return {**row, "prompt": prompt}


def _adds_begin(tokenizer: Any) -> bool:
    return bool(tokenizer("x")["input_ids"][:1] == [tokenizer.bos_token_id])


def _check_window(model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], reply: int) -> None:
    window = getattr(model.config, "max_position_embeddings", None)
    longest = max(len(tokenizer(row["prompt"])["input_ids"]) for row in rows)
    if window is not None and longest + reply > window:
        raise ValueError(
            f"records: the longest question has {longest} tokens and its reply up to {reply}, but the model's window "
            f"is {window}: ask in brief, or shorten the history"
        )


def _imitate(
    model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], *, steps: int, learning_rate: float, batch: int,
    seed: int,
) -> None:  # fmt: skip
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()
    pairs = [{"prompt": row["prompt"], "completion": f"{row['completion']}{tokenizer.eos_token}"} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=min(batch, len(pairs)),
            learning_rate=learning_rate,
            max_length=None,
            seed=seed % 2**31,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        )
        data = Dataset.from_list(pairs)
        trainer = SFTTrainer(model, config, train_dataset=data, processing_class=tokenizer)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    model.eval()


def _rewards(model: Any, tokenizer: Any, rows: Sequence[dict[str, Any]], max_tokens: int) -> list[float]:
    """The reward of the model's greedy reply to each row."""
    import torch

    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    texts: list[str] = []
    for at in range(0, len(rows), 16):
        asked = tokenizer([row["prompt"] for row in rows[at : at + 16]], return_tensors="pt", padding=True)
        asked.pop("token_type_ids", None)
        with torch.no_grad():
            written = model.generate(
                **asked, max_new_tokens=max_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
            )
        ids = written[:, asked["input_ids"].shape[1] :]
        texts += tokenizer.batch_decode(ids, skip_special_tokens=True)
    tokenizer.padding_side = side
    columns = {name: [row[name] for row in rows] for name in ("malicious_request", "attacked", "score")}
    return [float(reward or 0) for reward in MultiTaskReward()([], texts, **columns)]
