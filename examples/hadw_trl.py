"""GRPO with HA-DW in TRL: a small Llama learns to write a number below the one it is asked for.

    pip install 'assay-papers[trl]'
    python examples/hadw_trl.py

"under 3:" is hard for a fresh model and "under 90:" easy, so the batch is the mix on which HA-DW acts. Nothing is
downloaded: the model starts from random weights, with Assay's small tokenizer. For your own run, change the model,
the data and the reward; the line that matters is `advantage=`.
"""

from __future__ import annotations

import re
import tempfile
from itertools import cycle, islice

import torch
from datasets import Dataset
from trl import GRPOConfig

from assay.integrations.trl import AdvantageGRPOTrainer
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

BOUNDS = (3, 10, 50, 90)
STEPS = 40


def below(completions: list[str], bound: list[int], **columns: object) -> list[float]:
    """1 where the first number written is below the bound; TRL passes the dataset's columns by name."""
    first = [re.search(r"\d+", completion) for completion in completions]
    return [float(number is not None and int(number[0]) < top) for number, top in zip(first, bound)]


def main() -> None:
    torch.set_num_threads(1)
    bounds = list(islice(cycle(BOUNDS), 8 * STEPS))
    data = Dataset.from_dict({"prompt": [f"under {top}: " for top in bounds], "bound": bounds})
    hadw = HADW()
    with tempfile.TemporaryDirectory() as folder:
        trainer = AdvantageGRPOTrainer(
            model=tiny_llama(layers=2),
            reward_funcs=below,
            args=GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=64,
                num_generations=8,
                max_completion_length=4,
                learning_rate=3e-3,
                max_steps=STEPS,
                logging_steps=STEPS,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
                gradient_checkpointing=False,
            ),
            train_dataset=data,
            processing_class=build(),
            advantage=Pipeline(GroupNormalised(), hadw),
        )
        before = success(trainer)
        trainer.train()
        after = success(trainer)
    print(f"\nrunning ability after {STEPS} steps: {hadw.anchor.belief:.2f}\n\n{'prompt':>10} before  after")
    for top in BOUNDS:
        print(f"{f'under {top}:':>10} {before[top]:6.2f} {after[top]:6.2f}")


def success(trainer: AdvantageGRPOTrainer, samples: int = 128) -> dict[int, float]:
    """Share of sampled completions that are right, for each bound."""
    tokenizer, shares = trainer.processing_class, {}
    for top in BOUNDS:
        prompt = tokenizer([f"under {top}: "] * samples, return_tensors="pt")
        start = prompt["input_ids"].shape[1]
        written = trainer.model.generate(**prompt, do_sample=True, top_k=0, max_new_tokens=4)[:, start:]
        shares[top] = sum(below(tokenizer.batch_decode(written, skip_special_tokens=True), [top] * samples)) / samples
    return shares


if __name__ == "__main__":
    main()
