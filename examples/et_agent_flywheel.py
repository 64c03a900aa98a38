"""ET-Agent's flywheel around an agent of yours: its own trajectories, mended and trimmed, as a file to fine-tune on.

    pip install 'assay-papers[lm]'
    python examples/et_agent_flywheel.py corpus.jsonl

The agent adds numbers with a calculator and is careless: it may leave out the last number, or do a sum twice. The
critic is a rule here; in your stack both are models, and the tools whatever your agent calls.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

from assay.methods.concurrency import run_sync
from assay.methods.post_training.et_agent import Flywheel, Step, Trajectory

RNG = random.Random(0)


def numbers(question: str) -> list[int]:
    return [int(number) for number in question.split(" + ")]


def sums(question: str) -> list[str]:
    """The calls that are needed: each adds the next number to the sum so far."""
    own = numbers(question)
    return [f"{sum(own[:i])} + {own[i]}" for i in range(1, len(own))]


async def agent(question: str, steps: tuple[Step, ...]) -> Trajectory:
    """Goes on from the steps so far; forgets the last number one time in three, repeats a sum as often."""
    wanted = sums(question)
    if not steps and RNG.random() < 1 / 3:
        wanted = wanted[:-1]
    for action in wanted:
        if action in [step.action for step in steps]:
            continue
        for _ in range(2 if RNG.random() < 1 / 3 else 1):
            steps += (Step(action, await calculator(question, steps, action)),)
    return Trajectory(question, steps, steps[-1].result if steps else "")


async def calculator(question: str, steps: tuple[Step, ...], action: str) -> str:
    return str(sum(numbers(action)))


class Rule:
    """Knows which sums are needed."""

    async def mend(self, trajectory: Trajectory) -> tuple[int, str | None] | None:
        done = [step.action for step in trajectory.steps]
        left_out = next((action for action in sums(trajectory.question) if action not in done), None)
        return None if left_out is None else (len(done), left_out)

    async def rewrite(self, trajectory: Trajectory) -> tuple[int, str | None] | None:
        twice = await self.redundant(trajectory)
        return (twice[0], None) if twice else None

    async def redundant(self, trajectory: Trajectory) -> Sequence[int]:
        done = [step.action for step in trajectory.steps]
        return [i for i, action in enumerate(done) if action in done[:i]]


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "corpus.jsonl")
    questions = [" + ".join(str(RNG.randrange(100)) for _ in range(RNG.randint(2, 5))) for _ in range(50)]
    own = [run_sync(agent, question, ()) for question in questions]

    def right(question: str, answer: str) -> bool:
        return answer == str(sum(numbers(question)))

    kept = run_sync(Flywheel(agent, Rule(), calculator, right, rounds=3).write, own, out)
    print(f"the agent alone: {sum(right(one.question, one.answer) for one in own)} of {len(own)} end right")
    print(f"{kept} conversations that end right, mended and trimmed ones among them, written to {out}")


if __name__ == "__main__":
    main()
