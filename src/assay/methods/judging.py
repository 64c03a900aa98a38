"""Judges of replies: the protocols, a cure for their love of the first answer, and a measure of both. No paper in it.

scores = await both_orders(judge)(query, first, second)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from assay.methods.concurrency import gather


class PairJudge(Protocol):
    """Two replies to one query, judged against each other: a score each, higher is better, on the judge's own scale."""

    async def __call__(self, query: str, a: str, b: str) -> tuple[float, float]: ...


@dataclass(frozen=True)
class Grade:
    """What a grader says of one criterion: `score` from 0 (not met) to 1 (met), and why."""

    score: float
    reason: str = ""


class Grader(Protocol):
    """One reply against a list of criteria: a grade for each, in their order."""

    async def __call__(self, prompt: str, response: str, criteria: Sequence[Mapping[str, object]]) -> list[Grade]: ...


class JudgeError(ValueError):
    """A judge's score that is not a finite number."""


def both_orders(judge: PairJudge, inconsistent: Literal["sum", "tie"] = "sum") -> PairJudge:
    """A judge that asks `judge` in both orders, so that a bonus for the first (or second) place cancels.

    "sum" adds the two scores of each reply; "tie" gives both the mean of all four where the orders disagree on
    who is better. Raises JudgeError on a score that is not finite.
    """
    if inconsistent not in ("sum", "tie"):
        raise ValueError(f"inconsistent: got {inconsistent!r}, wanted 'sum' or 'tie'")

    async def judged(query: str, a: str, b: str) -> tuple[float, float]:
        (a_first, b_second), (b_first, a_second) = await gather(
            [partial(judge, query, a, b), partial(judge, query, b, a)]
        )
        for score in (a_first, b_second, b_first, a_second):
            if not math.isfinite(score):
                raise JudgeError(f"score: got {score}, wanted a finite number")
        disagree = (a_first - b_second) * (a_second - b_first) < 0
        if inconsistent == "tie" and disagree:
            level = (a_first + b_second + b_first + a_second) / 2
            return level, level
        return a_first + a_second, b_first + b_second

    return judged


@dataclass(frozen=True)
class Audit:
    """How far a judge can be trusted, over `n` pairs asked in both orders.

    consistent   share of pairs on which both orders name the same reply as better (ties on both sides count)
    first_bias   share of all questions won by the reply in first place, less the share won by the second
    agreement    share of `wanted` that both orders together confirm; None without any
    """

    n: int
    consistent: float
    first_bias: float
    agreement: float | None


async def audit(judge: PairJudge, pairs: Sequence[tuple[str, str, str]], wanted: Sequence[int] | None = None) -> Audit:
    """Ask `judge` about each (query, a, b) in both orders. `wanted` holds +1 where a is better, -1 where b is."""
    if not pairs:
        raise ValueError("pairs: got none, wanted at least one (query, a, b)")
    if wanted is not None and len(wanted) != len(pairs):
        raise ValueError(f"wanted: got {len(wanted)}, wanted {len(pairs)}, one a pair")
    questions = [partial(judge, query, *order) for query, a, b in pairs for order in ((a, b), (b, a))]
    signs = [_sign(first - second) for first, second in await gather(questions)]
    straight, turned = signs[::2], [-sign for sign in signs[1::2]]
    together = [_sign(one + other) for one, other in zip(straight, turned)]
    return Audit(
        n=len(pairs),
        consistent=sum(one == other for one, other in zip(straight, turned)) / len(pairs),
        first_bias=sum(signs) / len(signs),
        agreement=None if wanted is None else sum(a == b for a, b in zip(together, wanted)) / len(pairs),
    )


def _sign(value: float) -> int:
    if not math.isfinite(value):
        raise JudgeError(f"score: got a difference of {value}, wanted finite scores")
    return (value > 0) - (value < 0)
