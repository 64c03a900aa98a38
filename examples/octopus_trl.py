"""Octopus in TRL: a small model learns to correct itself from corrections that were put together.

    pip install 'assay-papers[trl]'
    python examples/octopus_trl.py

The model is shown two attempts at single-digit sums, each right half of the time. Of eight sampled replies to a sum
`spliced` makes sixteen rows, with first attempts hidden from GSPO's loss. Nothing is downloaded. For your own run
change the model, the data and how an attempt is judged; a vision-language model's images stay in its prompts.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import torch

from assay.integrations.trl import run_grpo
from assay.integrations.trl_rollouts import spliced
from assay.methods.post_training.octopus import (
    GSPO,
    CorrectionLoss,
    CorrectionReward,
    Stage,
    cold_start,
    recombine,
    split_response,
)
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, finetune, replies
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build, encode

OPEN, CLOSE, LONGEST = "<sc>", "</sc>", 32
GOLD = {f"{a}+{b}": str(a + b) for a in range(1, 7) for b in range(1, 7)}
REWARD = CorrectionReward(open=OPEN, close=CLOSE)


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = taught(), build()
    show("before", model, tokenizer)

    rows = [{"prompt": as_prompt(task), "answer": answer} for task, answer in GOLD.items()]
    answers = {row["prompt"]: row["answer"] for row in rows}
    made = partial(recombine, generator=np.random.default_rng(0), min_tokens=0, open=OPEN, close=CLOSE)
    stages: tuple[Stage, ...] = (1, 2)
    for stage in stages:
        run = run_grpo(
            model,
            tokenizer,
            rows,
            REWARD,
            advantage=GroupNormalised(),
            steps=15,
            seed=stage,
            rollouts=16,
            max_tokens=LONGEST,
            learning_rate=1e-3,
            beta=1e-12 if stage == 1 else 0.0,  # loads the reference model that the loss of stage 1 reads
            loss=CorrectionLoss(tag=len(encode(OPEN))) if stage == 1 else GSPO,
            rollout=spliced(
                made, lambda prompt, part: REWARD.right(part, answers[prompt]), 8, stage, open=OPEN, close=CLOSE
            ),
        )
        model = run.model
        show(f"stage {stage}", model, tokenizer)


def taught() -> Any:
    """A model that answers twice, each time rightly as often as not."""
    rng = random.Random(0)

    def attempt(answer: str) -> str:
        return rf"\boxed{{{answer if rng.random() < 0.5 else int(answer) + 1}}}"

    pairs = [(task, attempt(answer), attempt(answer)) for _ in range(40) for task, answer in GOLD.items()]
    taught = [(row["prompt"], row["completion"]) for row in cold_start(pairs, OPEN, CLOSE)]
    torch.manual_seed(0)
    model = tiny_llama(hidden=64, layers=2, heads=2, mlp=128)
    finetune(model, taught, steps=200, seed=0, batch=32, learning_rate=3e-3)
    return model


def show(when: str, model: Any, tokenizer: Any) -> None:
    """How many first and second attempts of one sampled reply to each sum are right."""
    texts = replies(model, tokenizer, list(GOLD), max_tokens=LONGEST, temperature=1.0, seed=1)
    attempts = [split_response(text, OPEN, CLOSE) for text in texts]
    first = sum(REWARD.right(one, gold) for (one, _), gold in zip(attempts, GOLD.values()))
    second = sum(REWARD.right(two or "", gold) for (_, two), gold in zip(attempts, GOLD.values()))
    print(f"{when:>8}: of {len(GOLD)} sums {first} are right at first and {second} at last")


if __name__ == "__main__":
    main()
