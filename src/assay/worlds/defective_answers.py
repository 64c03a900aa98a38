"""Tasks with answers whose faults are known: a right answer with 0 to 4 defects put in, and a library of checks.

Six kinds of small Python functions and two of written replies, each drawn with its own names and numbers. An answer's
quality is minus the harm of its defects, however many checks they break; checks are run, in the sandbox, on the answer
itself. Some checks catch several defects, some defects hide others, and some checks catch nothing that was put in.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from typing import Any

from assay.integrations.sandbox import run_python
from assay.methods.protocols import Ran
from assay.worlds._answer_families import CHECKING, FAMILIES, Check, Family

MOST_DEFECTS = 4
NAMES = ("solve", "compute", "made", "worked", "handled", "answer")

_RUN = """
table = []
for task in tasks:
    rows = []
    for answer in task["answers"]:
        found = {"answer": answer}
        exec(CHECKING, found)
        try:
            if task["function"]:
                exec(answer, found)
                found["f"] = found[task["function"]]
        except Exception:
            rows.append([False] * len(task["tests"]))
            continue
        row = []
        for test in task["tests"]:
            try:
                row.append(bool(eval(test, found)))
            except Exception:
                row.append(False)
        rows.append(row)
    table.append(rows)
result = table
"""


@dataclass(frozen=True)
class Answer:
    """A text, the numbers of the defects in it, and its quality: minus their harm."""

    text: str
    defects: tuple[int, ...]
    quality: int


@dataclass(frozen=True)
class Task:
    """A question, its checks, `answers` to be graded, and a `pool` of others to learn from. All differ in their
    defects; the reference has none."""

    family: int
    prompt: str
    reference: str
    function: str  # "" where the answer is prose
    checks: tuple[Check, ...]
    answers: tuple[Answer, ...]
    pool: tuple[Answer, ...]


class DefectiveAnswers:
    """`tasks` tasks with `answers` answers and a pool of `pool` each."""

    def __init__(self, tasks: int, answers: int, pool: int) -> None:
        self.tasks, self.answers, self.pool = tasks, answers, pool

    def sample(self, seed: int) -> tuple[Task, ...]:
        """The tasks of a seed, the families in turn."""
        rng = random.Random(f"defective answers {seed}")
        return tuple(self._task(number % len(FAMILIES), rng) for number in range(self.tasks))

    def check(self, task: Task, text: str) -> bool:
        """Whether an answer passes every check of its task."""
        return all(executed([task], [[text]])[0][0])

    def examples(self, sample: tuple[Task, ...]) -> list[tuple[bool, tuple[Task, str]]]:
        """Answers of which it is known whether they are right."""
        worst = [(task, min(task.answers, key=lambda one: one.quality).text) for task in sample[: len(FAMILIES)]]
        return [(True, (task, task.reference)) for task, _ in worst] + [(False, one) for one in worst]

    def _task(self, number: int, rng: random.Random) -> Task:
        family = FAMILIES[number]
        values = drawn(family, rng)
        answers = [answered(family, values, defects) for defects in self._defects(family, rng)]
        filled = [check._replace(test=Template(check.test).substitute(values)) for check in family.checks]
        return Task(
            family=number,
            prompt=Template(family.prompt).substitute(values),
            reference=Template(family.answer).substitute(values),
            function=str(values["name"]) if family.code else "",
            checks=tuple(filled),
            answers=tuple(answers[: self.answers]),
            pool=tuple(answers[self.answers :]),
        )

    def _defects(self, family: Family, rng: random.Random) -> list[tuple[int, ...]]:
        """Sets of defects, all different: a size from 0 to 4 first, then so many, no two of the same piece."""
        found: dict[tuple[int, ...], None] = {}
        while len(found) < self.answers + self.pool:
            several = tuple(sorted(rng.sample(range(len(family.defects)), rng.randint(0, MOST_DEFECTS))))
            if len({family.defects[number].right for number in several}) == len(several):
                found[several] = None
        return list(found)


def drawn(family: Family, rng: random.Random) -> dict[str, Any]:
    """The names and numbers of a task."""
    k = rng.randint(4, 7) if family.prompt.startswith("List") else rng.randint(2, 4)
    a, b, c = rng.sample(range(11, 90), 3)
    total = sum(i * i for i in range(1, k + 1))
    return {
        "name": f"{rng.choice(NAMES)}_{rng.randint(1, 99)}",
        "k": k,
        "width": rng.randint(20, 40),
        "a": a,
        "b": b,
        "c": c,
        "ab": a + b,
        "abc": a + b + c,
        "off": (total if family.prompt.startswith("List") else a + b + c) + rng.choice((-10, -1, 1, 10)),
        "squares": "\n".join(f"- {i}: {i * i}" for i in range(1, k + 1)),
        "last": f"{k}: {k * k}",
        "total": total,
    }


def answered(family: Family, values: dict[str, Any], defects: Sequence[int]) -> Answer:
    """The right answer with these defects put in."""
    text = Template(family.answer).substitute(values)
    for number in defects:
        right, wrong = (Template(piece).substitute(values) for piece in family.defects[number][:2])
        if text.count(right) != 1:
            raise ValueError(f"defect {right!r} stands {text.count(right)} times in the answer, wanted once")
        text = text.replace(right, wrong)
    return Answer(text, tuple(defects), -sum(family.defects[number].harm for number in defects))


def executed(tasks: Sequence[Task], answers: Sequence[Sequence[str]]) -> list[list[list[bool]]]:
    """Which answer of each task passes which of its checks, (tasks, answers, checks); code that does not run passes
    none. Raises RuntimeError where the sandbox fails as a whole."""
    given = [
        {"function": task.function, "tests": [check.test for check in task.checks], "answers": list(texts)}
        for task, texts in zip(tasks, answers, strict=True)
    ]
    ran: Ran = run_python(_RUN, {"tasks": given, "CHECKING": CHECKING}, timeout=60, memory_mb=512)
    if not ran.ok:
        raise RuntimeError(f"the checks could not be run: {ran.error}")
    table: list[list[list[bool]]] = ran.value
    return table


def world(tasks: int = 60, answers: int = 24, pool: int = 8) -> DefectiveAnswers:
    """`tasks` tasks, each with `answers` answers to grade and `pool` others."""
    for name, value, least in (("tasks", tasks, 1), ("answers", answers, 4), ("pool", pool, 2)):
        if value < least:
            raise ValueError(f"{name}: got {value}, wanted at least {least}")
    if answers + pool > 60:
        raise ValueError(f"answers, pool: got {answers + pool} together, wanted at most 60 different ones a task")
    return DefectiveAnswers(tasks, answers, pool)
