"""Does a rubric merged from two authors and hardened on two answers order good answers better? (2601.08430)

World   60 tasks (small Python functions, worked replies), 24 answers each with 0 to 4 known defects and a library of
        13 to 16 checks a task. An answer's quality is minus the harm of its defects; a rubric sees only checks.
Authors two rule-made stand-ins for language models. Each knows about half of a task's checks (two in five are known to
        one only, two to the other, one to both) and gives them their points, more or less one. Asked for a rubric, it
        thinks of 9 in 10 ordinary checks that it knows and of 3 in 10 fine ones; shown two answers, it finds every
        check that it knows and that one of them fails.
Metric  share of pairs among a task's best quarter of answers that the rubric's reward orders as the quality does (a
        tie is one half), mean over the tasks.
Arms    baseline: the first author's rubric. method: both authors' rubrics merged, then hardened on two high, close
        answers of a pool of eight others. placebo: the baseline's rubric and as many further checks of the library,
        drawn at random, as the method has more than it.

Shown: merging alone, hardening alone, hardening on two answers drawn from the pool, and the whole library. With
`--model` an arm of its own lets that model write and grade, on three tasks.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from assay.engine.trial import Bar, Cost, Fixture, Measures, Metric, Mirror, Models, Trial
from assay.methods.concurrency import gather, run_sync
from assay.methods.judging import Grader
from assay.methods.post_training.rubrichub import (
    SATURATED,
    Author,
    Criterion,
    LLMAuthor,
    LLMGrader,
    RuleGrader,
    build_rubric,
    pair_accuracy,
    pair_from_pool,
    rewards,
)
from assay.worlds._answer_families import Check
from assay.worlds.defective_answers import Task, executed

THINKS_OF = {False: 0.9, True: 0.3}  # of ordinary and of fine checks, without seeing answers
KNOWN_TO = ((0,), (0,), (1,), (1,), (0, 1))  # one of these for each check
FEWEST = 3  # criteria that an author always finds; ordinary checks come first in a library
MODEL_TASKS = 3

Tasks = tuple[Task, ...]
Table = list[list[list[bool]]]  # task, answer (those to grade, then the pool), check
Rubric = list[dict[str, Any]]


class RuleAuthor:
    """Knows some of a task's checks, and which of them an answer fails."""

    def __init__(self, known: Sequence[Check], grader: RuleGrader, rng: random.Random) -> None:
        self.grader = grader
        self.known = [Criterion("", c.asks, min(10, max(1, c.points + rng.randint(-1, 1)))) for c in known]
        thought_of = [one for one, check in zip(self.known, known) if rng.random() < THINKS_OF[check.fine]]
        self.thought_of = thought_of if len(thought_of) >= FEWEST else self.known[:FEWEST]

    async def propose(self, prompt: str, reference: str) -> list[Criterion]:
        return self.thought_of

    async def identical(self, prompt: str, criteria: Sequence[Criterion]) -> list[list[int]]:
        by_text: dict[str, list[int]] = {}
        for i, criterion in enumerate(criteria):
            by_text.setdefault(criterion.text, []).append(i)
        return [group for group in by_text.values() if len(group) > 1]

    async def harden(self, prompt: str, criteria: Sequence[Criterion], answers: tuple[str, str]) -> list[Criterion]:
        there = {criterion.text for criterion in criteria}
        checks = self.grader.checks
        new = [one for one in self.known if one.text not in there]
        return [one for one in new if not all(checks[one.text](prompt, answer) for answer in answers)]


class Bench:
    """One task of a seed: its authors, its grader, and what random draws they need."""

    def __init__(self, task: Task, passed: list[list[bool]], seed: int, number: int) -> None:
        self.task, self.rng = task, random.Random(f"authors {seed} {number}")
        row = {answer.text: row for answer, row in zip((*task.answers, *task.pool), passed)}
        rules = RuleGrader({check.asks: partial(_passes, row, i) for i, check in enumerate(task.checks)})
        self.grader: Grader = rules
        known: tuple[list[Check], list[Check]] = ([], [])
        for check in task.checks:
            for author in self.rng.choice(KNOWN_TO):
                known[author].append(check)
        self.authors: list[Author] = [RuleAuthor(checks, rules, self.rng) for checks in known]

    async def rubric(self, authors: int, *, evolve: bool, random_pair: bool = False) -> Rubric:
        """By the first one or two authors; hardened on the chosen or on a random pair of the pool."""
        chosen, prompt, pool = self.authors[:authors], self.task.prompt, [answer.text for answer in self.task.pool]
        base = await build_rubric(prompt, self.task.reference, (pool[0], pool[1]), chosen, evolve=False)
        if not evolve:
            return base
        first, second = await pair_from_pool(prompt, pool, self.grader, base)
        if random_pair:
            first, second = self.rng.sample(range(len(pool)), 2)
        return await build_rubric(prompt, self.task.reference, (pool[first], pool[second]), chosen)

    async def padded(self) -> Rubric:
        """The first author's rubric and random checks, as many in all as the method's."""
        base, wanted = await self.rubric(1, evolve=False), await self.rubric(2, evolve=True)
        there = {criterion["criterion"] for criterion in base}
        others = [check for check in self.task.checks if check.asks not in there]
        drawn = self.rng.sample(others, max(0, len(wanted) - len(base)))
        return base + [{"criterion": check.asks, "points": check.points} for check in drawn]

    async def library(self) -> Rubric:
        return [{"criterion": check.asks, "points": check.points} for check in self.task.checks]


def one_author(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.rubric(1, evolve=False))


def coarse_to_fine(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.rubric(2, evolve=True))


def padded(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.padded())


def merged_only(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.rubric(2, evolve=False))


def hardened_only(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.rubric(1, evolve=True))


def random_pair(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.rubric(2, evolve=True, random_pair=True))


def whole_library(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    return measure(benches(world, seed, passed), lambda bench: bench.library())


def language_model(world: Tasks, models: Models, seed: int, passed: Table) -> Measures:
    """The model of `--model` proposes, hardens and grades; without one, nothing to measure."""
    if not models.outside:
        raise ValueError("this arm needs --model")
    from assay.integrations.inspect.models import complete

    model = complete(models.outside)
    few = [Bench(task, passed[i], seed, i) for i, task in enumerate(world[:MODEL_TASKS])]
    for bench in few:
        bench.grader = LLMGrader(model)
        bench.authors = [LLMAuthor(model)]
    return measure(few, lambda bench: bench.rubric(1, evolve=True))


def benches(world: Tasks, seed: int, passed: Table) -> list[Bench]:
    return [Bench(task, passed[i], seed, i) for i, task in enumerate(world)]


def measure(work: Sequence[Bench], write: Callable[[Bench], Awaitable[Rubric]]) -> Measures:
    """Each task's rubric, written and put to its answers."""
    scored = run_sync(partial(gather, [partial(_score, bench, write) for bench in work], limit=4))
    pairs = [accuracy for accuracy, _, _ in scored if accuracy is not None]
    size = sum(size for _, size, _ in scored)
    extra = {
        "criteria": size / len(scored),
        "saturated": sum(saturated for _, _, saturated in scored) / len(scored),
        "tasks": float(len(pairs)),
    }
    calls = sum(size * len(bench.task.answers) for bench, (_, size, _) in zip(work, scored))
    return Measures(sum(pairs) / len(pairs), Cost(model_calls=calls), extra)


async def _score(bench: Bench, write: Callable[[Bench], Awaitable[Rubric]]) -> tuple[float | None, int, float]:
    """Pair accuracy among the best answers, criteria, and the share of answers that saturate the reward."""
    rubric, answers = await write(bench), bench.task.answers
    reward = await rewards(bench.grader, bench.task.prompt, [answer.text for answer in answers], rubric)
    accuracy = pair_accuracy(reward, [answer.quality for answer in answers])
    return accuracy, len(rubric), sum(one >= SATURATED for one in reward) / len(reward)


def prepare(world: Tasks, models: Models, seed: int) -> Table:
    """The fixture: every answer put to every check of its task, in the sandbox."""
    return executed(world, [[answer.text for answer in (*task.answers, *task.pool)] for task in world])


def _passes(row: dict[str, list[bool]], check: int, prompt: str, response: str) -> bool:
    return row[response][check]


trial = Trial(
    paper="2601.08430",
    claim="Merging two authors' criteria and hardening them on two good answers orders the best answers better.",
    headline="Qwen3-14B trained on such rubrics reaches 69.3 on HealthBench, GPT-5 67.2; ArenaHard V2 5.2 to 74.4",
    metric=Metric("pair accuracy among the best quarter", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", relative=0.15),
    arms={
        "baseline": one_author,
        "placebo": padded,
        "method": coarse_to_fine,
        "merged_only": merged_only,
        "hardened_only": hardened_only,
        "random_pair": random_pair,
        "whole_library": whole_library,
        "language_model": language_model,
    },
    model_arms=("language_model",),
    oracle="whole_library",
    world="defective_answers",
    quick_args={"tasks": 16},
    seeds=10,
    fixture=Fixture(prepare),
    mirrors=(Mirror("HealthBench of the trained model over GPT-5's", 69.3 / 67.2, ("method", "baseline")),),
    extras=("lm",),
    tags=("stand-in",),
)
