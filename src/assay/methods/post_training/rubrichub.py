"""RubricHub: Coarse-to-Fine Rubric Generation (2601.08430): criteria that still tell two good answers apart.

Authors propose criteria for a question with a reference answer at hand, one of them merges what is the same, then
each looks at two good answers and adds what one of them fails: `build_rubric`. The graded criteria filter data for
fine-tuning (`RuFT`) or are the reward of an RL run (`RuRL`); `discrimination` says what a rubric can tell apart.

Details that matter
- What it costs: one call an author to propose and one to harden, one to merge, two for the answers; then one call a
  graded answer (`LLMGrader(batch=False)`: one a criterion).
- When it does not help: where the answers at hand still differ on ordinary criteria, hardening adds little; where
  both answers of the pair pass everything, or both authors are blind to what separates them, it adds nothing. Where
  few criteria are conceivable and most of them separate something, as many drawn at random do as well.
- Ours: the merging model says by number which criteria are the same, and code keeps the one with the higher weight, so
  that merging cannot drop or reword a criterion that stands alone.
- Replies are JSON objects that hold the list, asked for up to five times; fenced blocks are read. What stays unusable
  is a `ReplyError`, which a stage of a data run keeps as that row's error and tries again at the next run.
- `max_criteria` keeps the criteria with the most points (our reading). Penalties (negative points) are off unless
  asked for; a reward with penalties can fall below 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.methods.concurrency import gather, run_sync
from assay.methods.judging import Grade, Grader
from assay.methods.parsing import ReplyError, as_text, ask_json
from assay.methods.post_training import _rubric_prompts as prompts
from assay.methods.post_training._rubric_criteria import (
    Author,
    Criterion,
    export,
    merge_identical,
    points_of,
    read_criterion,
    read_rubric,
)
from assay.methods.protocols import Complete, Sampler

__all__ = [
    "Author", "Criterion", "Discrimination", "LLMAuthor", "LLMGrader", "RuFT", "RuRL", "RuleGrader",
    "build_rubric", "discrimination", "export", "merge_identical", "pair_accuracy", "pair_from_pool",
    "read_criterion", "read_rubric", "rubric_reward",
]  # fmt: skip

TEMPERATURE = 0.2
REPAIRS = 4  # asked up to five times
SATURATED = 0.95  # of the reward: from here on an answer is as good as perfect


def rubric_reward(grades: Sequence[Grade], criteria: Sequence[Mapping[str, Any]]) -> float:
    """Points of the criteria met over the sum of positive points; at most 1, below 0 only by penalties.

    >>> rubric_reward([Grade(1), Grade(0)], [{"criterion": "a", "points": 3}, {"criterion": "b", "points": 1}])
    0.75

    Raises ValueError for no criteria, other than one grade each, or no positive points.
    """
    if not criteria:
        raise ValueError("criteria: got none, wanted at least one")
    if len(grades) != len(criteria):
        raise ValueError(f"grades: got {len(grades)}, wanted {len(criteria)}, one a criterion")
    points = [points_of(criterion) for criterion in criteria]
    most = sum(point for point in points if point > 0)
    if most == 0:
        raise ValueError("criteria: none has positive points, so no answer could score")
    for grade in grades:
        if not 0 <= grade.score <= 1:
            raise ValueError(f"grades: got a score of {grade.score}, wanted a number in [0, 1]")
    return sum(point * grade.score for point, grade in zip(points, grades)) / most


async def build_rubric(
    prompt: str,
    reference: str,
    pair: tuple[str, str],
    authors: Sequence[Author],
    *,
    merge: bool = True,
    evolve: bool = True,
    max_criteria: int | None = None,
) -> list[dict[str, Any]]:
    """The rubric of one question, in its final form: proposed by every author, merged by the first, hardened on
    `pair` by every author. Raises ValueError without an author or a reference."""
    if not authors:
        raise ValueError("authors: got none, wanted at least one")
    if not reference.strip():
        raise ValueError("reference: got an empty text, wanted the answer that criteria are anchored on")
    proposed = await gather([partial(author.propose, prompt, reference) for author in authors])
    base = [criterion for one in proposed for criterion in one]
    if merge and len(authors) > 1:
        base = merge_identical(base, await authors[0].identical(prompt, base))
    added: list[Criterion] = []
    if evolve:
        hardened = await gather([partial(author.harden, prompt, base, pair) for author in authors])
        added = [criterion for one in hardened for criterion in one]
    return export(base, added, max_criteria=max_criteria)


class LLMAuthor:
    """A language model that writes criteria. `allow_penalty` lets it give negative weights, `clamp` cuts weights out
    of range instead of refusing them."""

    def __init__(self, complete: Complete, *, allow_penalty: bool = False, clamp: bool = False) -> None:
        self.allow_penalty, self.clamp = allow_penalty, clamp
        self.ask = partial(ask_json, partial(complete, temperature=TEMPERATURE), repairs=REPAIRS)

    async def propose(self, prompt: str, reference: str) -> list[Criterion]:
        """3 to 25 criteria from the principles, anchored on the reference."""
        question = prompts.propose(prompt, reference, self.allow_penalty)
        return self._read(await self.ask(question, schema=prompts.criteria_schema(3, 25)))

    async def identical(self, prompt: str, criteria: Sequence[Criterion]) -> list[list[int]]:
        """Groups of criteria, by number, that mean the same, ask for the same and reach as far."""
        question = prompts.merge(prompt, [f"{i}. {c.text}" for i, c in enumerate(criteria)])
        reply = await self.ask(question, schema=prompts.groups_schema(len(criteria)))
        return [list(group) for group in reply["groups"]]

    async def harden(self, prompt: str, criteria: Sequence[Criterion], answers: tuple[str, str]) -> list[Criterion]:
        """New, stricter, binary criteria, each of which one of the answers should fail."""
        question = prompts.harden(prompt, [c.text for c in criteria], answers, self.allow_penalty)
        return self._read(await self.ask(question, schema=prompts.criteria_schema(0, 25)))

    def _read(self, reply: Mapping[str, Any]) -> list[Criterion]:
        return [read_criterion(one, allow_penalty=self.allow_penalty, clamp=self.clamp) for one in reply["criteria"]]


class LLMGrader:
    """A language model as `Grader`: met or not, and why, for each criterion. `batch` asks about all in one call."""

    def __init__(self, complete: Complete, batch: bool = True) -> None:
        self.batch = batch
        self.ask = partial(ask_json, complete, repairs=REPAIRS)

    async def __call__(self, prompt: str, response: str, criteria: Sequence[Mapping[str, object]]) -> list[Grade]:
        texts = [str(criterion["criterion"]) for criterion in criteria]
        parts = [texts] if self.batch else [[text] for text in texts]
        calls = [
            partial(self.ask, prompts.grade(prompt, response, part), schema=prompts.grades_schema(len(part)))
            for part in parts
            if part
        ]
        replies = await gather(calls, limit=16)
        return [Grade(float(one["met"]), one["explanation"]) for reply in replies for one in reply["grades"]]


class RuleGrader:
    """A `Grader` without a model: `checks` maps the text of a criterion to a test of (prompt, response)."""

    def __init__(self, checks: Mapping[str, Callable[[str, str], bool]]) -> None:
        self.checks = checks

    async def __call__(self, prompt: str, response: str, criteria: Sequence[Mapping[str, object]]) -> list[Grade]:
        for criterion in criteria:
            if criterion["criterion"] not in self.checks:
                raise ValueError(f"criteria: got {criterion['criterion']!r}, for which there is no check")
        return [Grade(float(self.checks[str(c["criterion"])](prompt, response))) for c in criteria]


async def rewards(
    grader: Grader, prompt: str, responses: Sequence[str], criteria: Sequence[Mapping[str, Any]]
) -> list[float]:
    """The reward of each response to one prompt."""
    given = await gather([partial(grader, prompt, response, criteria) for response in responses])
    return [rubric_reward(grades, criteria) for grades in given]


async def pair_from_pool(
    prompt: str, responses: Sequence[str], grader: Grader, criteria: Sequence[Mapping[str, Any]], close: float = 0.1
) -> tuple[int, int]:
    """The two responses to harden on, by number: high and close. Of the pairs whose rewards differ by at most
    `close` the one with the highest sum; without such a pair, the two best. Raises ValueError for fewer than two."""
    if len(responses) < 2:
        raise ValueError(f"responses: got {len(responses)}, wanted at least 2")
    reward = await rewards(grader, prompt, responses, criteria)
    order = sorted(range(len(responses)), key=lambda i: -reward[i])
    for first, second in pairwise(order):  # falling sums: the first close neighbours are the best pair
        if reward[first] - reward[second] <= close:
            return first, second
    return order[0], order[1]


@dataclass(frozen=True)
class Chosen:
    """A response that RuFT keeps: its text, its reward, and the rewards of all that were looked at."""

    response: str
    reward: float
    rewards: tuple[float, ...]


class RuFT:
    """Data for fine-tuning: of `k` responses to a prompt the best, if its reward is at least `threshold`."""

    def __init__(self, grader: Grader, k: int = 8, threshold: float = 0.6) -> None:
        if k < 1:
            raise ValueError(f"k: got {k}, wanted at least 1")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold: got {threshold}, wanted a reward in [0, 1]")
        self.grader, self.k, self.threshold = grader, k, threshold

    async def sample(self, prompt: str, criteria: Sequence[Mapping[str, Any]], sampler: Sampler) -> Chosen | None:
        """Draw `k` responses and choose; None where none is good enough."""
        drawn = await sampler(prompt, n=self.k, temperature=1.0)
        return await self.best(prompt, [one.text for one in drawn], criteria)

    async def best(self, prompt: str, responses: Sequence[str], criteria: Sequence[Mapping[str, Any]]) -> Chosen | None:
        """Choose among given responses, the first `k` of them; the earlier of equals."""
        if not responses:
            raise ValueError("responses: got none, wanted at least one")
        looked_at = list(responses[: self.k])
        reward = await rewards(self.grader, prompt, looked_at, criteria)
        top = max(range(len(reward)), key=lambda i: reward[i])
        return Chosen(looked_at[top], reward[top], tuple(reward)) if reward[top] >= self.threshold else None


class RuRL:
    """The rubric reward as a reward function of TRL: `GRPOTrainer(reward_funcs=RuRL(grader), ...)`.

    The data set's column "rubrics" holds each row's criteria, {"criterion", "points"}. A row whose grader gives no
    usable reply is None: unscorable, not zero; `void` counts them.
    """

    __name__ = "rubric"  # TRL logs a reward under its name

    def __init__(self, grader: Grader, concurrency: int = 16) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency: got {concurrency}, wanted at least 1")
        self.grader, self.concurrency, self.void = grader, concurrency, 0

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        rubrics: list[list[Mapping[str, Any]]] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row. Raises ValueError without the column "rubrics", or for a row without criteria."""
        if rubrics is None:
            raise ValueError("rubrics: got no such column in the data set, wanted the criteria of each row")
        read = [read_rubric(rubric) for rubric in rubrics]
        return run_sync(self._score, [as_text(p) for p in prompts], [as_text(c) for c in completions], read)

    async def _score(
        self, prompts: list[str], completions: list[str], rubrics: list[list[dict[str, Any]]]
    ) -> list[float | None]:
        calls = [partial(self._one, *row) for row in zip(prompts, completions, rubrics, strict=True)]
        return await gather(calls, limit=self.concurrency)

    async def _one(self, prompt: str, completion: str, criteria: list[dict[str, Any]]) -> float | None:
        try:
            return rubric_reward(await self.grader(prompt, completion, criteria), criteria)
        except ReplyError:
            self.void += 1
            return None


@dataclass(frozen=True)
class Discrimination:
    """What a rubric tells apart among n answers.

    spread          standard deviation of the rewards (population)
    saturation      share of answers with a reward of at least 0.95
    pair_accuracy   share of pairs of the best quarter that the reward orders as the quality does; None without any
    item            for each criterion, the correlation of its grade with the reward by the others; 0 where either is
                    the same for all answers
    """

    spread: float
    saturation: float
    pair_accuracy: float | None
    item: tuple[float, ...]


def discrimination(
    rubric: Sequence[Mapping[str, Any]], graded: ArrayLike, quality: ArrayLike | None = None
) -> Discrimination:
    """Diagnosis of a rubric. `graded` (n, criteria) holds grades in [0, 1], `quality` (n,) a quality known otherwise.

    Raises ValueError for shapes that do not fit, grades out of range, or a rubric without positive points.
    """
    grades = np.asarray(graded, dtype=np.float64)
    if grades.ndim != 2 or grades.shape[1] != len(rubric) or grades.size == 0:
        raise ValueError(f"graded: got shape {grades.shape}, wanted (answers, {len(rubric)}), a column a criterion")
    if not ((grades >= 0) & (grades <= 1)).all():
        raise ValueError("graded: got a grade out of range, wanted numbers in [0, 1]")
    points = np.array([points_of(criterion) for criterion in rubric])
    if not (points > 0).any():
        raise ValueError("rubric: none has positive points, so no answer could score")
    reward = grades @ points / points[points > 0].sum()
    item = [_correlation(grades[:, i], grades @ points - grades[:, i] * points[i]) for i in range(len(points))]
    accuracy = None if quality is None else pair_accuracy(reward, quality)
    return Discrimination(float(reward.std()), float((reward >= SATURATED).mean()), accuracy, tuple(item))


def pair_accuracy(scores: ArrayLike, quality: ArrayLike, top: float = 0.25) -> float | None:
    """Share of pairs, among the best `top` by quality, that the scores order as the quality does; a tie of the
    scores counts one half. Answers as good as the last of the best belong to them; None where no pair differs."""
    score, good = np.asarray(scores, dtype=np.float64), np.asarray(quality, dtype=np.float64)
    if score.ndim != 1 or score.shape != good.shape or not len(score):
        raise ValueError(f"scores, quality: got shapes {score.shape} and {good.shape}, wanted (n,) both")
    if not (np.isfinite(score).all() and np.isfinite(good).all()):
        raise ValueError("scores, quality: got a value that is not finite")
    if not 0 < top <= 1:
        raise ValueError(f"top: got {top}, wanted a share in (0, 1]")
    last = np.sort(good)[::-1][math.ceil(top * len(good)) - 1]
    score, good = score[good >= last], good[good >= last]
    better = good[:, None] > good[None, :]
    if not better.any():
        return None
    ahead = score[:, None] - score[None, :]
    # Equal sums of other points differ in the last bits; what is within them is a tie.
    right = np.where(np.abs(ahead) <= 1e-9, 0.5, ahead > 0)
    return float(right[better].mean())


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
