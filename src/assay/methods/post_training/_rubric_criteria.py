"""Criteria of RubricHub: reading them from what models wrote, merging them, and their final form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

HIGHEST = 10  # weight of what an answer must not miss


@dataclass(frozen=True)
class Criterion:
    """One thing that an answer does or does not: a short title, what is asked for, and its weight, 0 to 10 (down to
    -10 for a penalty)."""

    title: str
    description: str
    weight: int

    @property
    def text(self) -> str:
        """Title and description as a grader reads them."""
        return f"{self.title}: {self.description}" if self.title else self.description


class Author(Protocol):
    """Who writes criteria: a language model (`LLMAuthor`), or rules."""

    async def propose(self, prompt: str, reference: str) -> list[Criterion]: ...

    async def identical(self, prompt: str, criteria: Sequence[Criterion]) -> list[list[int]]: ...

    async def harden(self, prompt: str, criteria: Sequence[Criterion], answers: tuple[str, str]) -> list[Criterion]: ...


def read_criterion(given: Mapping[str, Any], *, allow_penalty: bool = False, clamp: bool = False) -> Criterion:
    """A criterion from {"title", "description", "weight"}; ValueError where one is missing or out of range.

    With `clamp` a weight outside [0, 10] ([-10, 10] with `allow_penalty`) is cut to it.
    """
    lowest = -HIGHEST if allow_penalty else 0
    description, weight = given.get("description"), given.get("weight")
    if not isinstance(description, str) or not description.strip():
        raise ValueError(f"description: got {description!r}, wanted the text of a criterion")
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight != weight:
        raise ValueError(f"weight: got {weight!r}, wanted a whole number")
    if clamp:
        weight = min(HIGHEST, max(lowest, weight))
    if weight != int(weight) or not lowest <= weight <= HIGHEST:
        raise ValueError(f"weight: got {weight:g}, wanted a whole number from {lowest} to {HIGHEST}")
    return Criterion(str(given.get("title", "")).strip(), description.strip(), int(weight))


def read_rubric(rubric: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Criteria in their final form, {"criterion", "points"}, checked; ValueError for none or for what is no such."""
    if isinstance(rubric, (str, Mapping)) or not isinstance(rubric, Iterable):
        raise ValueError(f"rubric: got {type(rubric).__name__}, wanted a list of criteria")
    read = []
    for one in rubric:
        if not isinstance(one, Mapping) or not isinstance(one.get("criterion"), str) or not one["criterion"].strip():
            raise ValueError(f"rubric: got {str(one)[:80]}, wanted {{'criterion': text, 'points': number}}")
        read.append({"criterion": one["criterion"], "points": points_of(one)})
    if not read:
        raise ValueError("rubric: got no criteria, wanted at least one")
    return read


def points_of(criterion: Mapping[str, Any]) -> float:
    """The points of a criterion in its final form."""
    points = criterion.get("points")
    if isinstance(points, bool) or not isinstance(points, (int, float)) or not math.isfinite(points):
        raise ValueError(f"points: got {points!r}, wanted a finite number")
    return points


def merge_identical(criteria: Sequence[Criterion], groups: Iterable[Sequence[int]]) -> list[Criterion]:
    """Of each group of identical criteria the one with the higher weight (the first of equals), at the place of the
    group's first; all others stay as they are. Raises ValueError for a number that is none or stands in two groups."""
    home = {}
    for group in groups:
        for i in group:
            if not 0 <= i < len(criteria):
                raise ValueError(f"groups: got {i}, wanted the number of one of {len(criteria)} criteria")
            if i in home:
                raise ValueError(f"groups: {i} is named twice, wanted each criterion in one group at most")
            home[i] = group
    groups_in_order = [home.get(i, (i,)) for i in range(len(criteria))]
    firsts = [sorted(group) for i, group in enumerate(groups_in_order) if i == min(group)]
    return [max((criteria[j] for j in group), key=lambda one: one.weight) for group in firsts]


def export(
    base: Sequence[Criterion], added: Sequence[Criterion] = (), *, max_criteria: int | None = None
) -> list[dict[str, Any]]:
    """The final form, {"criterion", "points"}: base and added ones without duplicates by normalised text (white space
    and case), the higher points kept; of more than `max_criteria` those with the most points, in their order."""
    if max_criteria is not None and max_criteria < 1:
        raise ValueError(f"max_criteria: got {max_criteria}, wanted at least 1")
    best: dict[str, Criterion] = {}
    for criterion in (*base, *added):
        name = " ".join(criterion.text.lower().split())
        if name not in best or criterion.weight > best[name].weight:
            best[name] = criterion
    kept = list(best.values())
    if max_criteria is not None and len(kept) > max_criteria:
        strongest = sorted(range(len(kept)), key=lambda i: -abs(kept[i].weight))[:max_criteria]
        kept = [kept[i] for i in sorted(strongest)]
    return [{"criterion": criterion.text, "points": criterion.weight} for criterion in kept]
