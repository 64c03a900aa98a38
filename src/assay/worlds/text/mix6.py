"""Mix6: chains of six to eight steps, lookups of three or four hops, countdowns of three numbers."""

from __future__ import annotations

from functools import partial

from assay.worlds.text import chain, countdown, lists, lookup
from assay.worlds.text.problem import Problem, ProblemSet, Split

_CHECKS = {
    "chain": chain.check,
    "lookup": lookup.check,
    "countdown3": countdown.check,
    "countdown4": countdown.check,
    "lists": lists.check,
}


def check(problem: Problem, text: str) -> bool:
    """Whether a reply solves the problem, whichever of the text worlds it comes from."""
    if problem.kind not in _CHECKS:
        raise ValueError(f"problem.kind: got {problem.kind!r}, wanted one of {sorted(_CHECKS)}")
    return _CHECKS[problem.kind](problem, text)


def world(each: int = 40, split: Split = "test") -> ProblemSet:
    """`each` chains, lookups and countdowns per seed, in this order."""
    parts = (partial(chain.sample, steps=(6, 8)), partial(lookup.sample, hops=(3, 4)), countdown.sample)
    return ProblemSet(parts, check, each, split)
