"""A curriculum of pass rates in TRL: a small model is sampled, its problems are staged, and it is trained on them.

    pip install 'assay-papers[trl]'
    python examples/p1_vl_trl.py

The model starts from random weights and has been shown sums up to 9 more often than larger ones. Nothing is
downloaded. For your own run, change the model, the problems and the windows (`STAGES_30B` has the paper's); with vLLM
as the engine, `GSPOLoss(SeqMIS())` also leaves out sequences that trainer and engine disagree on.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.p1_vl import Curriculum, GSPOLoss, Stage
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, finetune, replies
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

PROMPT, REPLY, SAMPLES, STEPS = 6, 4, 8, 45  # tokens of a prompt with its marks and of a reply; samples a pass rate
GOLD = {f"{a}+{b}": str(a + b) for a in range(1, 10) for b in range(1, 10)}
STAGES = (
    Stage(0, 0.7, rollouts=8, window=PROMPT + REPLY),
    Stage(0, 0.5, rollouts=8, window=PROMPT + REPLY + 1),
    Stage(0, 0.5, rollouts=16, window=PROMPT + REPLY + 2, include_zero=True),
)


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = taught(), build()

    def rates(policy: Any, places: Sequence[int]) -> list[float]:
        """The share of right replies to each of the problems at these places."""
        asked = [list(GOLD)[place] for place in places]
        right = np.zeros(len(asked))
        for choice in range(SAMPLES):
            texts = replies(policy, tokenizer, asked, max_tokens=REPLY, temperature=1.0, seed=1, choice=choice)
            right += [text == f"#{GOLD[problem]}" for problem, text in zip(asked, texts)]
        return [float(share) for share in right / SAMPLES]

    before = rates(model, range(len(GOLD)))
    for stage in STAGES:
        kept = sum(map(stage.keeps, before))
        print(f"pass rates up to {stage.upper}: {kept} of {len(GOLD)} problems, {stage.rollouts} rollouts each")

    def scheduler(policy: Any) -> Curriculum:
        return Curriculum(
            before,
            STAGES,
            batch=64,
            longest_prompt=PROMPT,
            steps=(STEPS // 3, STEPS // 3),
            estimate=lambda places: rates(policy, places),
            generator=np.random.default_rng(0),
        )

    run = run_grpo(
        model,
        tokenizer,
        [{"prompt": as_prompt(problem), "answer": f"#{answer}"} for problem, answer in GOLD.items()],
        right_answer,
        advantage=GroupNormalised(),
        loss=GSPOLoss(),
        scheduler=scheduler,
        steps=STEPS,
        seed=0,
        batch=64,
        learning_rate=1e-3,
    )
    after = rates(run.model, range(len(GOLD)))
    hard = [place for place, rate in enumerate(before) if rate <= 0.5]
    for name, share in (("before", before), ("after", after)):
        hardest = np.mean([share[place] for place in hard])
        print(f"{name:>7}: {np.mean(share):.2f} of all sums right, {hardest:.2f} of those that were hard")


def right_answer(
    prompts: list[str], completions: list[str], completion_ids: Any, answer: list[str], **_: Any
) -> list[float]:
    return [float(text == wanted) for text, wanted in zip(completions, answer)]


def taught() -> Any:
    """A model that knows small sums and is unsure of large ones."""
    rng, pairs = random.Random(0), []
    for _ in range(60):
        for problem, answer in GOLD.items():
            known = 0.95 if int(answer) < 10 else 0.4
            pairs.append((problem, f"#{answer if rng.random() < known else rng.randint(2, 18)}"))
    torch.manual_seed(0)
    model = tiny_llama(hidden=64, layers=2, heads=2, mlp=128)
    finetune(model, pairs, steps=600, seed=0, batch=32, learning_rate=3e-3)
    return model


if __name__ == "__main__":
    main()
