"""Judge first, solve second in TRL: a small model judges its own sums before it is trained to solve them.

    pip install 'assay-papers[trl]'
    python examples/judge_rlvr_trl.py

The model starts from random weights and is shown sums of single digits, a third of them wrong, some with a line that
is taken back. Nothing is downloaded. For your own run change the model, the problems and `sample`; `train` may be any
run of GRPO, DAPO or verl that takes a model, rows, a reward and steps, and returns the trained model.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.judge_rlvr import JudgeRLVR, backtracking_rate, build_judge_set
from assay.methods.post_training.pipeline import GroupNormalised
from assay.models.finetune import as_prompt, finetune, replies
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

LONGEST, DOUBT = 12, ("no",)
GOLD = {f"{a}+{b}": str(a + b) for a in range(1, 7) for b in range(1, 7)}


def main() -> None:
    torch.set_num_threads(1)
    model, tokenizer = taught(), build()
    show("before", model, tokenizer)

    def sample(problem: str, n: int) -> list[str]:
        return [
            replies(model, tokenizer, [problem], max_tokens=LONGEST, temperature=1.0, seed=0, choice=choice)[0]
            for choice in range(n)
        ]

    judged = build_judge_set(GOLD, sample, is_right, generator=np.random.default_rng(0), prompt=to_judge)
    print(f"{len(judged.rows)} solutions of {judged.kept} problems to judge, half of them right")

    def train(model: Any, rows: Any, reward: Any, steps: int) -> Any:
        run = run_grpo(
            model, tokenizer, rows, reward, advantage=GroupNormalised(), steps=steps, seed=0, max_tokens=LONGEST,
            learning_rate=1e-3,
        )  # fmt: skip
        return run.model

    problems = [{"prompt": as_prompt(problem), "problem": problem} for problem in GOLD]
    run = JudgeRLVR(20, 30, train, DOUBT)(model, judged.rows, problems, solved)
    print(f"judging rose from {run.judging[0]['accuracy']:.2f} to {run.judging[-1]['accuracy']:.2f}")
    show("after", run.model, tokenizer)


def is_right(problem: str, solution: str) -> bool:
    return solution.split("#")[-1] == GOLD[problem] and "#" in solution


def to_judge(problem: str, solution: str) -> str:
    return as_prompt(f"J{problem}\n{solution}")


def solved(
    prompts: list[str], completions: list[str], completion_ids: Any, problem: list[str], **_: Any
) -> list[float]:
    """1 for the right answer; no word about length."""
    return [float(is_right(asked, text)) for asked, text in zip(problem, completions)]


def taught() -> Any:
    """A model that answers sums, not always rightly, and has seen a few verdicts."""
    rng, pairs = random.Random(0), []
    for _ in range(60):
        for problem, answer in GOLD.items():
            written = answer if rng.random() < 0.7 else str(int(answer) + 1)
            doubt = f"{int(answer) + 1} no\n" if rng.random() < 0.3 else ""
            pairs.append((problem, f"{doubt}#{written}"))
            pairs.append((f"J{problem}\n#{written}", f"#{int(written == answer)}"))
    torch.manual_seed(0)
    model = tiny_llama(hidden=64, layers=2, heads=2, mlp=128)
    finetune(model, pairs, steps=300, seed=0, batch=32, learning_rate=3e-3)
    return model


def show(when: str, model: Any, tokenizer: Any) -> None:
    """Accuracy, length and doubts of one sampled reply to each problem."""
    texts = replies(model, tokenizer, list(GOLD), max_tokens=LONGEST, temperature=1.0, seed=1)
    right = sum(is_right(problem, text) for problem, text in zip(GOLD, texts))
    doubts = np.mean([backtracking_rate(text, DOUBT) for text in texts])
    length = np.mean([len(text) for text in texts])
    print(f"{when:>7}: {right} of {len(GOLD)} right, {length:.1f} characters, {doubts:.0f} doubts in 1,000 words")


if __name__ == "__main__":
    main()
