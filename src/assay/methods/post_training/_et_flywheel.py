"""ET-Agent's flywheel (2601.06860): an agent's own trajectories, mended and trimmed, as a corpus to fine-tune on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from assay.methods.concurrency import gather
from assay.methods.data.stages import write_rows


@dataclass(frozen=True)
class Step:
    """What the agent did (its thought and call, or whatever stands for them) and what the tool gave back."""

    action: str
    result: str = ""


@dataclass(frozen=True)
class Trajectory:
    """Steps with tools, then the closing text that holds the answer."""

    question: str
    steps: tuple[Step, ...]
    answer: str


Generate = Callable[[str, tuple[Step, ...]], Awaitable[Trajectory]]  # goes on from the steps to an answer
Execute = Callable[[str, tuple[Step, ...], str], Awaitable[str]]  # question, steps so far, action: the tool's result
Accept = Callable[[str, str], bool]  # question and answer: whether it ends right


class Critic(Protocol):
    """Judges a trajectory, step by step. Each method returns None where it has nothing to say."""

    async def mend(self, trajectory: Trajectory) -> tuple[int, str | None] | None:
        """The number of the first wrong step of a wrong trajectory (len(steps): its answer) and the action to do in
        its place; an action of None cuts there and leaves what follows to the agent."""

    async def rewrite(self, trajectory: Trajectory) -> tuple[int, str | None] | None:
        """One redundant step of a right trajectory and what to do in its place (step level)."""

    async def redundant(self, trajectory: Trajectory) -> Sequence[int] | None:
        """All steps of a right trajectory that could be left out (whole level)."""


class Flywheel:
    """Rounds of mending wrong trajectories and trimming right ones; what ends right is kept.

    generate   the agent, from a question and the steps so far to a whole trajectory
    critic     a `Critic`
    tools      runs an action after the steps so far
    accept     whether an answer is right: F1 above 0.8 with the gold answer, or a judge of equivalence
    rounds     how often; each round works on what the last one made
    limit      trajectories worked on at once

    A wrong trajectory is cut before its first wrong step, the critic's action put there and executed, and the agent
    goes on. A right one is tried at both levels: one redundant step rewritten and gone on from, and all redundant
    steps dropped, with the rest executed anew in their order. Nothing that ends wrong is ever kept.
    """

    def __init__(
        self, generate: Generate, critic: Critic, tools: Execute, accept: Accept, rounds: int = 3, limit: int = 16
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds: got {rounds}, wanted at least 1")
        if limit < 1:
            raise ValueError(f"limit: got {limit}, wanted at least 1")
        self.generate, self.critic, self.tools, self.accept = generate, critic, tools, accept
        self.rounds, self.limit = rounds, limit

    async def run(self, trajectories: Iterable[Trajectory]) -> list[Trajectory]:
        """The corpus: right trajectories, those given and those made of them, each once, in order of their making."""
        fresh = list(dict.fromkeys(trajectories))
        corpus = {one: None for one in fresh if self._right(one)}
        for _ in range(self.rounds):
            made = await gather([partial(self._worked, one) for one in fresh], limit=self.limit)
            fresh = [one for one in dict.fromkeys(one for several in made for one in several) if one not in corpus]
            corpus.update({one: None for one in fresh if self._right(one)})
        return list(corpus)

    async def write(self, trajectories: Iterable[Trajectory], out: Path) -> int:
        """Run, and write the corpus as rows of messages for supervised fine-tuning (.jsonl or .parquet); their
        number."""
        corpus = await self.run(trajectories)
        write_rows(out, [{"messages": as_messages(one)} for one in corpus])
        return len(corpus)

    def _right(self, trajectory: Trajectory) -> bool:
        return self.accept(trajectory.question, trajectory.answer)

    async def _worked(self, trajectory: Trajectory) -> list[Trajectory]:
        if not self._right(trajectory):
            return await self._from(trajectory, await self.critic.mend(trajectory))
        made = await self._from(trajectory, await self.critic.rewrite(trajectory))
        dropped = await self.critic.redundant(trajectory)
        return made + (await self._without(trajectory, dropped) if dropped else [])

    async def _from(self, trajectory: Trajectory, change: tuple[int, str | None] | None) -> list[Trajectory]:
        """The trajectory with one action changed, and what the agent does from there on."""
        if change is None:
            return []
        place, action = change
        if not 0 <= place <= len(trajectory.steps):
            raise ValueError(f"critic: named step {place} of {len(trajectory.steps)}")
        steps = trajectory.steps[:place]
        if action is not None:
            steps += (Step(action, await self.tools(trajectory.question, steps, action)),)
        return [await self.generate(trajectory.question, steps)]

    async def _without(self, trajectory: Trajectory, dropped: Sequence[int]) -> list[Trajectory]:
        """The trajectory without those steps, results as the tools give them now, closed by the agent."""
        steps: tuple[Step, ...] = ()
        for number, step in enumerate(trajectory.steps):
            if number not in dropped:
                steps += (replace(step, result=await self.tools(trajectory.question, steps, step.action)),)
        return [await self.generate(trajectory.question, steps)]


def as_messages(trajectory: Trajectory) -> list[dict[str, Any]]:
    """A trajectory as a conversation: actions and the answer are the assistant's, results the tools'."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": trajectory.question}]
    for step in trajectory.steps:
        messages += [{"role": "assistant", "content": step.action}, {"role": "tool", "content": step.result}]
    return [*messages, {"role": "assistant", "content": trajectory.answer}]
