"""The loop of `p1_vl` around one problem: a studio that reads the figure, one that solves, one that reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from assay.methods.parsing import ReplyError, ask_json
from assay.methods.protocols import Complete

Domain = Literal["physics", "chemistry", "biology"]

VARIED = 0.7  # temperature of those whose repeated looks must differ to be worth anything
REPAIRS = 2
REDRAWS = 2  # descriptions of a figure, the first included
CHECKS: dict[Domain, str] = {
    "physics": "units and dimensions, signs, conservation laws, limiting cases, significant figures",
    "chemistry": "balanced equations, charges and oxidation states, stoichiometry, plausible structures and conditions",
    "biology": "the mechanism at each level, controls and causes, what the data can and cannot show",
}
GENERAL_CHECKS = "each step, the arithmetic, whether the question is answered"
_FAULTS = {
    "type": "object",
    "properties": {"faults": {"type": "array", "items": {"type": "string"}}},
    "required": ["faults"],
}
_REVIEW = {
    "type": "object",
    "properties": {"pass": {"type": "boolean"}, "report": {"type": "string"}},
    "required": ["pass", "report"],
}
_DOMAIN = {
    "type": "object",
    "properties": {"domain": {"type": "string", "enum": list(get_args(Domain))}},
    "required": ["domain"],
}


@dataclass(frozen=True)
class Reviewed:
    """A solution and what became of it. `verified` says whether it passed all its reviews in a row; `figure` is the
    symbolic form of the figures, "" without any; `reports` are those that sent a solution back; `void` counts reviews
    whose model gave no usable reply."""

    solution: str
    verified: bool
    domain: Domain
    rounds: int
    figure: str = ""
    reports: tuple[str, ...] = ()
    void: int = 0


@dataclass
class Minions:
    """Solve, look at one's own solution, revise; then let reviewers pass it `passes` times in a row.

    visual             describes figures, checks the description, and writes it in symbols; reads images
    solver             writes and revises the solution
    introspector       lists the faults of a solution before anybody else sees it
    domain_verifier    reviews by what the domain asks (units, balances, mechanisms ...)
    general_verifier   reviews logic, arithmetic and whether the question is answered; also names the domain
    passes             reviews by both in a row that a solution must pass; one failure sends its report to the solver
    max_rounds         solutions that are reviewed before the loop gives up and hands out the last one

    A review without a usable reply counts as void: it is neither a pass nor a report, and the same solution is
    reviewed again in the next round.
    """

    visual: Complete
    solver: Complete
    introspector: Complete
    domain_verifier: Complete
    general_verifier: Complete
    passes: int = 5
    max_rounds: int = 8

    def __post_init__(self) -> None:
        for name in ("passes", "max_rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: got {getattr(self, name)}, wanted at least 1")

    async def __call__(self, problem: str, images: Sequence[str] = ()) -> Reviewed:
        """Raises ReplyError where the figure's check, the introspection or the choice of domain stays unusable, and
        ValueError for an empty problem."""
        if not problem.strip():
            raise ValueError("problem: got no text, wanted a problem")
        figure = await self.read_figure(problem, images) if images else ""
        domain: Domain = (await ask_json(self.general_verifier, _which_domain(problem), _DOMAIN, REPAIRS))["domain"]
        task = problem if not figure else f"{problem}\n\nThe figure in symbols:\n{figure}"
        solution = await self.introspected(task, await self.solver(_solve(task), temperature=VARIED))
        reports: list[str] = []
        void = 0
        for number in range(1, self.max_rounds + 1):
            try:
                report = await self.review(task, solution, domain)
            except ReplyError:
                void += 1
                continue
            if report is None:
                return Reviewed(solution, True, domain, number, figure, tuple(reports), void)
            reports.append(report)
            if number < self.max_rounds:
                revised = await self.solver(_revise(task, solution, report), temperature=VARIED)
                solution = await self.introspected(task, revised)
        return Reviewed(solution, False, domain, self.max_rounds, figure, tuple(reports), void)

    async def read_figure(self, problem: str, images: Sequence[str]) -> str:
        """What the figures show, described, checked against them, and put into symbols."""
        faults: list[str] = []
        description = ""
        for _ in range(REDRAWS):
            description = await self.visual(_describe(problem, description, faults), images=images)
            question = _check_description(problem, description)
            faults = (await ask_json(self.visual, question, _FAULTS, REPAIRS, images=images))["faults"]
            if not faults:
                break
        return await self.visual(_symbols(problem, description, faults), images=images)

    async def introspected(self, task: str, solution: str) -> str:
        """The solution, revised once where the introspector finds fault with it."""
        faults = (await ask_json(self.introspector, _introspect(task, solution), _FAULTS, REPAIRS))["faults"]
        if not faults:
            return solution
        return await self.solver(_revise(task, solution, "\n".join(faults)), temperature=VARIED)

    async def review(self, task: str, solution: str, domain: Domain) -> str | None:
        """None where the solution passes every look, else the report of the first failure. Raises ReplyError."""
        looks = (
            (self.domain_verifier, CHECKS[domain]),
            (self.general_verifier, "each step, the arithmetic, the answer"),
        )
        for _ in range(self.passes):
            for reviewer, what in looks:
                verdict = await ask_json(_varied(reviewer), _check(task, solution, domain, what), _REVIEW, REPAIRS)
                if not verdict["pass"]:
                    return str(verdict["report"])
        return None


def _varied(reviewer: Complete) -> Complete:
    """The reviewer at a temperature at which a second look is another one."""

    async def look(prompt: str, **asked: Any) -> str:
        return await reviewer(prompt, **{**asked, "temperature": VARIED})

    return look


def _which_domain(problem: str) -> str:
    return f"Which science is this problem of?\n\n{problem}"


def _describe(problem: str, before: str, faults: Sequence[str]) -> str:
    asked = f"Describe what the figure of this problem shows: objects, labels, axes, values, directions.\n\n{problem}"
    if not faults:
        return asked
    listed = "\n".join(f"- {fault}" for fault in faults)
    return f"{asked}\n\nAn earlier description:\n{before}\n\nIts faults:\n{listed}"


def _check_description(problem: str, description: str) -> str:
    return (
        "Compare the description with the figure. List each thing that is misread, missing or made up; an empty list "
        f"if there is none.\n\nProblem:\n{problem}\n\nDescription:\n{description}"
    )


def _symbols(problem: str, description: str, faults: Sequence[str]) -> str:
    doubts = "\n".join(["", "Doubtful:", *faults]) if faults else ""
    return (
        "Write what the figure gives as symbols with values, equations and relations, so that the problem can be "
        f"solved without it.\n\nProblem:\n{problem}\n\nDescription:\n{description}{doubts}"
    )


def _solve(task: str) -> str:
    return f"Solve the problem step by step. Put each final answer, in order, into \\boxed{{}}.\n\n{task}"


def _introspect(task: str, solution: str) -> str:
    return (
        "Go through your solution as if it were a stranger's. List each fault that changes the answer; an empty list "
        f"if there is none.\n\nProblem:\n{task}\n\nSolution:\n{solution}"
    )


def _revise(task: str, solution: str, report: str) -> str:
    return f"{_solve(task)}\n\nAn earlier solution:\n{solution}\n\nWhat was found wrong with it:\n{report}"


def _check(task: str, solution: str, domain: Domain, what: str) -> str:
    return (
        f"Review this {domain} solution: {what}. Pass it only if it would get full marks; otherwise report what is "
        f"wrong and where.\n\nProblem:\n{task}\n\nSolution:\n{solution}"
    )
