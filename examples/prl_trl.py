"""GRPO with future divergence (PRL) in TRL: a small Llama learns to write digits without going far from where it began.

    pip install 'assay-papers[trl]'
    python examples/prl_trl.py

`beta=1e-12` makes TRL run its reference model without giving its own KL term any weight; `FutureKL` then takes from
each token what its step and the later ones cost. Nothing is downloaded. For your own run, change the model, the data,
the reward and how responses are split: `steps=64` tokens, or `line_steps(...)`.
"""

from __future__ import annotations

import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.prl import FutureKL, log_ratios
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

PROMPTS = [{"prompt": f"{letter}: "} for letter in "abcdefgh"]
TOKENS = 8


def digits(completions: list[str], **columns: object) -> list[float]:
    """Share of the characters that are digits."""
    return [sum(character.isdigit() for character in text) / max(1, len(text)) for text in completions]


class Watched(FutureKL):
    """Keeps the last batch's mean divergence from the reference, in nats a response."""

    def __call__(self, batch: RolloutBatch, advantages: torch.Tensor) -> torch.Tensor:
        self.divergence = float(log_ratios(batch.logprobs, batch.ref_logprobs, batch.mask).sum(dim=1).mean())
        return super().__call__(batch, advantages)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'beta':>6} digits  divergence")
    for beta in (1e-6, 0.1):
        future = Watched(beta, steps=2)
        run = run_grpo(
            tiny_llama(hidden=64, layers=1, heads=2, mlp=128),
            build(),
            PROMPTS,
            digits,
            advantage=Pipeline(GroupNormalised(scale="none"), future),
            steps=40,
            seed=0,
            max_tokens=TOKENS,
            learning_rate=3e-3,
            beta=1e-12,
        )
        reward = [step["reward"] for step in run.log if "reward" in step][-1]
        print(f"{beta:>6g} {reward:6.2f} {future.divergence:11.2f}")


if __name__ == "__main__":
    main()
