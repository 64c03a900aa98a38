"""The text worlds as an Inspect task: `inspect eval assay/text -T world=lookup --model assay/nano`."""

from __future__ import annotations

import importlib
from typing import Literal

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate

from assay.worlds.text.mix6 import check
from assay.worlds.text.problem import Problem, ProblemSet

WORLDS = ("chain", "lookup", "countdown", "lists", "mix6")
Style = Literal["terse", "english"]


@task
def text(world: str = "mix6", each: int = 40, seed: int = 0, style: Style = "terse") -> Task:
    """`each` test problems of every part of a text world. `style="english"` asks in plain words, for models other
    than the built-in ones."""
    return Task(dataset=inspect_dataset(world, each, seed, style), solver=generate(), scorer=text_check())


def inspect_dataset(world: str, each: int = 40, seed: int = 0, style: Style = "terse") -> MemoryDataset:
    """Test problems as Inspect samples, with all that the check needs in their metadata."""
    if world not in WORLDS:
        raise ValueError(f"world: got {world!r}, wanted one of {', '.join(WORLDS)}")
    if style not in ("terse", "english"):
        raise ValueError(f"style: got {style!r}, wanted 'terse' or 'english'")
    problems: ProblemSet = importlib.import_module(f"assay.worlds.text.{world}").world(each=each)
    return MemoryDataset(
        [
            Sample(
                id=f"{world}-{i}",
                input=problem.prompt if style == "terse" else problem.meta["english"],
                target=problem.answer,
                metadata={"prompt": problem.prompt, "kind": problem.kind, "meta": problem.meta},
            )
            for i, problem in enumerate(problems.sample(seed))
        ],
        name=f"text_{world}",
    )


@scorer(metrics=[accuracy(), stderr()])
def text_check() -> Scorer:
    """Whether the reply solves the problem by its world's own check."""

    async def score(state: TaskState, target: Target) -> Score:
        asked = state.metadata
        problem = Problem(asked["prompt"], "", target.text, asked["kind"], asked["meta"])
        solved = check(problem, state.output.completion)
        return Score(value=CORRECT if solved else INCORRECT, answer=state.output.completion)

    return score
