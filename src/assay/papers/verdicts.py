"""How a claim came out where it was tried. The reading half asks; whoever has a results store answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

# How a paper or claim stands for a reader; `untried` where no trial with a verdict names it.
Standing = Literal["holds", "fails", "inconclusive", "untried"]


@dataclass(frozen=True, slots=True)
class Interval:
    """One contrast of a verdict with its 95 % interval: `estimate` above zero clears what `name` states."""

    name: str
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class VerdictView:
    """What a page shows of one trial: the claim as it was tried, how it came out, on what it rests.

    outcome    "holds", "fails", "inconclusive", or "reported" for a trial without a bar
    claim      the sentence that was tried; headline: the paper's own figure; both in our words
    pictures   the halves of the estimation plot (paired seeds, mean differences) as SVG with classes and no styles
    """

    trial: str
    paper: str
    outcome: str
    claim: str
    headline: str
    reason: str
    metric: str
    better: str
    intervals: tuple[Interval, ...]
    seeds: int
    machine: str
    versions: str
    measured: datetime
    command: str
    flags: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A trial's outcome differed from the one before (`before` is None for its first)."""

    trial: str
    paper: str
    outcome: str
    before: str | None
    reason: str
    moment: datetime


class VerdictSource(Protocol):
    """Reads verdicts; the command line implements it from the results store."""

    def latest(self, claim_id: str) -> VerdictView | None:
        """The last verdict of the trials that a claim names: the least favourable where there are several."""
        ...

    def of_paper(self, paper_id: str) -> Sequence[VerdictView]:
        """The last verdict of every tried trial of a paper, by name."""
        ...

    def changes(self) -> Sequence[VerdictChange]:
        """Every change of an outcome, oldest first."""
        ...


class NoVerdicts:
    """Nothing was tried, or nobody asked."""

    def latest(self, claim_id: str) -> VerdictView | None:
        return None

    def of_paper(self, paper_id: str) -> Sequence[VerdictView]:
        return ()

    def changes(self) -> Sequence[VerdictChange]:
        return ()
