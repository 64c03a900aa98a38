"""Two papers in one GRPO run: HA-DW (2601.08521) and Uniqueness-Aware RL (2601.08763), composed, in TRL.

    pip install 'assay-papers[trl,plot]'
    python examples/trl_two_papers.py [--steps 30] [--out two_papers.png]

A small Llama learns to write a number below the one it is asked for: "under 3:" is hard, "under 90:" easy, and there
are many right answers. HA-DW weighs prompts by difficulty, Uniqueness weighs rare answers, and `Pipeline` puts one
after the other. The picture sets the run beside plain GRPO: the share of right answers, and how many different right
answers a group of eight holds. Nothing is downloaded; for your own run, change the model, the data and the reward.
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path
from typing import Any

import torch

from assay.integrations.trl import run_grpo
from assay.methods.post_training.batch import RolloutBatch
from assay.methods.post_training.hadw import HADW
from assay.methods.post_training.pipeline import GroupNormalised, Pipeline
from assay.methods.post_training.uniqueness import SignatureJudge, Uniqueness, clustered
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

BOUNDS = (3, 10, 50, 90)


def number(text: str) -> int | None:
    """The first number written: it is also the strategy of a rollout."""
    found = re.search(r"\d+", text)
    return int(found[0]) if found else None


def below(completions: list[str], bound: list[int], **columns: Any) -> list[float]:
    """1 where the first number written is below the bound."""
    written = [number(text) for text in completions]
    return [float(one is not None and one < top) for one, top in zip(written, bound)]


class Watched(Pipeline):
    """A pipeline that notes how many different right answers the groups of each step hold."""

    def __init__(self, *members: Any) -> None:
        super().__init__(*members)
        self.variety: list[float] = []

    def __call__(self, batch: RolloutBatch) -> torch.Tensor:
        assert batch.cluster is not None
        right = [len(set(batch.cluster[rows][batch.rewards[rows] > 0].tolist())) for rows in batch.groups()]
        self.variety.append(sum(right) / len(right))
        return super().__call__(batch)


def train(estimator: Watched, steps: int) -> tuple[list[float], list[float]]:
    """Share of right answers, and of different right ones a group, step by step."""
    run = run_grpo(
        tiny_llama(layers=2),
        build(),
        [{"prompt": f"under {top}: ", "bound": top} for top in BOUNDS * 25],
        below,
        advantage=estimator,
        annotate=partial(clustered, judge=SignatureJudge(number)),
        steps=steps,
        seed=0,
        max_tokens=4,
        learning_rate=3e-3,
    )
    return [step["reward"] for step in run.log if "reward" in step], estimator.variety


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("two_papers.png"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    plain = train(Watched(GroupNormalised()), given.steps)
    both = train(Watched(GroupNormalised(), HADW(), Uniqueness(normalise=True)), given.steps)
    plot(plain, both, given.out)
    for name, (right, variety) in (("GRPO", plain), ("HA-DW and Uniqueness", both)):
        print(
            f"{name:>21}: {mean(right[-5:]):.2f} right at the end, {mean(variety):.2f} different right answers a group"
        )
    print(f"picture in {given.out}")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def plot(plain: tuple[list[float], ...], both: tuple[list[float], ...], out: Path) -> None:
    """Both runs: share right above, variety below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(6.4, 5.2), layout="constrained")
    for axis, one, other in zip(axes, plain, both):
        axis.plot(one, color="#7f7f7f", linestyle="--", label="GRPO")
        axis.plot(other, color="#0072b2", label="GRPO with HA-DW and Uniqueness")
        axis.grid(alpha=0.3)
    axes[0].set(ylabel="share right", ylim=(0, 1.02), title="Two papers in one run")
    axes[1].set(xlabel="step", ylabel="different right\nanswers in a group")
    axes[0].legend(loc="lower right")
    figure.savefig(out, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
