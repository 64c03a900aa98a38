"""GRPO with uniqueness weights in TRL: a small Llama is paid for beginning with a digit, whichever it is.

    pip install 'assay-papers[trl]'
    python examples/uniqueness_trl.py

Which digit it writes is its strategy, and a right answer by a digit that few rollouts of the group use counts more.
Nothing is downloaded: the model starts from random weights. For your own run, change the model, the data, the reward
and the judge: `LLMStrategyJudge(complete("openai/..."))` asks a model which solutions share an idea.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import Any

import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.uniqueness import SignatureJudge, Uniqueness, clustered
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

PROMPTS = [{"prompt": f"{topic}: "} for topic in ("red", "blue", "green", "black")]


def begins_with_a_digit(completions: list[str], **columns: object) -> list[float]:
    return [float(text[:1].isdigit()) for text in completions]


def first_character(text: str) -> str:
    return text[:1]


def main() -> None:
    torch.set_num_threads(1)
    start = tiny_llama(hidden=64, layers=1, heads=2, mlp=128)
    run = run_grpo(
        start,
        build(),
        PROMPTS,
        begins_with_a_digit,
        advantage=Pipeline(GroupNormalised(), Uniqueness(normalise=True)),
        annotate=partial(clustered, judge=SignatureJudge(first_character)),
        steps=40,
        seed=0,
        rollouts=16,
        max_tokens=2,
        learning_rate=3e-3,
    )
    print(f"{'':>8} begins with a digit  digits in use")
    for name, model in (("before", start), ("after", run.model)):
        share, kinds = measured(model)
        print(f"{name:>8} {share:19.2f}  {kinds:13.1f}")


def measured(model: Any, samples: int = 256) -> tuple[float, float]:
    """Share of sampled completions that begin with a digit, and how many digits are in use (exp of their entropy)."""
    tokenizer = build()
    prompt = tokenizer([PROMPTS[0]["prompt"]] * samples, return_tensors="pt")
    written = model.generate(**prompt, do_sample=True, top_k=0, max_new_tokens=2)[:, prompt["input_ids"].shape[1] :]
    digits = Counter(text[0] for text in tokenizer.batch_decode(written) if text[:1].isdigit())
    total = sum(digits.values())
    entropy = -sum(n / total * math.log(n / total) for n in digits.values())
    return total / samples, math.exp(entropy) if total else 0.0


if __name__ == "__main__":
    main()
