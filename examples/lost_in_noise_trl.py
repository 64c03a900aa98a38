"""RARE in TRL: a small model learns to cite the one note that matters among random documents.

    pip install 'assay-papers[trl]'
    python examples/lost_in_noise_trl.py

The built-in nano model first learns the look-up without noise, then 12 steps of GRPO pay the answer and, on top, the
citation. For your own run, make the rows from your data (`make_noisy`, then `noisy_instruct`, or the command
`assay use lost-in-noise noise`) and change the model: the reward reads the columns "hint", "answer" and "context".
"""

from __future__ import annotations

from functools import partial

import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.lost_in_noise import RARE, HintMatch
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.access import Models
from assay.models.finetune import as_prompt, finetune, replies
from assay.worlds.text import cite
from assay.worlds.text.problem import Problem, parse


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = Models().load("nano")
    clean = [cite.sample(seed, "train", cited=0.5) for seed in range(600)]
    finetune(model, [(problem.prompt, problem.trace) for problem in clean], steps=80, seed=0, batch=32)

    noisy = [cite.sample(seed, "train", condition="RD") for seed in range(200)]
    rows = [
        {
            "prompt": as_prompt(problem.prompt),
            "answer": problem.answer,
            "hint": problem.meta["hint"],
            "context": problem.prompt[1:].rpartition("?")[0],
        }
        for problem in noisy
    ]
    run = run_grpo(
        model,
        tokenizer,
        rows,
        RARE(HintMatch(), outcome=lambda text, answer: float(parse(text) == answer)),
        advantage=GroupNormalised(),
        steps=12,
        seed=0,
        max_tokens=12,
    )
    draw = partial(cite.sample, split="test", condition="RD")
    print(f"{'':>8} right  cited")
    for name, one in (("before", model), ("after", run.model)):
        right, cited = measured(one, tokenizer, [draw(seed) for seed in range(48)])
        print(f"{name:>8} {right:5.2f}  {cited:5.2f}")


def measured(model: object, tokenizer: object, problems: list[Problem]) -> tuple[float, float]:
    """Shares of sampled replies that are right, and that cite the asked note."""
    texts = replies(model, tokenizer, [p.prompt for p in problems], max_tokens=12, temperature=1.0)
    right = sum(cite.check(p, text) for p, text in zip(problems, texts))
    return right / len(texts), sum(p.meta["hint"] in text for p, text in zip(problems, texts)) / len(texts)


if __name__ == "__main__":
    main()
