"""A team of two small language models trained together: one writes a digit, one says whether to try again.

    pip install 'assay-papers[lm]'
    python examples/dr_mas_team.py

Each has weights of its own; with `shared=True` both speak with one model, and with two names in `models` they are of
different sizes. Nothing is downloaded: the models start from random weights. For your own team, make `TextAgent`s of
your models and leave `see` and `approves` out: agents are then asked in words and answer in tags.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from assay.methods.post_training.dr_mas import AgentModelMap, DrMAS, MultiAgentTrainer, SolverVerifier, Step, TextAgent
from assay.models.nano import tiny_llama
from assay.models.tokenizer import build

STEPS = 40


def see(agent: str, question: str, steps: Sequence[Step]) -> str:
    return f"{question}: " if agent == "solver" else f"{question}: {steps[-1].action} ok? "


def approves(reply: object) -> bool:
    return str(reply)[:1] in ("y", "Y")


def reward(question: str, steps: Sequence[Step]) -> float:
    """A digit in the end; every turn costs a little, so that a good draft should be approved."""
    answer = next(str(step.action) for step in reversed(steps) if step.agent == "solver")
    return float(answer[:1].isdigit()) - 0.05 * len(steps)


def speaker() -> TextAgent:
    return TextAgent(tiny_llama(hidden=64, layers=1, heads=2, mlp=128), build(), max_tokens=1)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    trainer = MultiAgentTrainer(
        models={"small": speaker},
        placement=AgentModelMap({"solver": "small", "verifier": "small"}, learning_rate=3e-3),
        orchestra=SolverVerifier(max_loops=2, see=see, approves=approves),
        reward=reward,
        advantage=DrMAS(),
        rollouts=16,
    )
    questions = ["red", "blue", "green", "black"]
    for step in range(STEPS + 1):
        done = trainer.step(questions)
        if step % 10 == 0:
            norms = ", ".join(f"{agent} {norm:.2f}" for agent, norm in done.gradient_norms.items())
            print(f"step {step:2}: mean reward {done.reward:+.3f}, gradient norms: {norms}")


if __name__ == "__main__":
    main()
