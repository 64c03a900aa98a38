"""Controllable Memory Usage (2601.05107): how far an answer leans on remembered material, on a scale that users set.

Models lean on whatever memory is put before them, asked or not. A judge rates that dependence from 1 (none) to 5 (on
nothing else); training pays an answer for the level that its query hints at, together with its quality.

    reward = MemControlReward(LLMMDScore(complete), LLMTaskScore(complete))
    GRPOTrainer(model, reward, train_dataset=rows, ...)     # columns prompt, query, memory, preference

Details that matter
- What it costs: one call of the judge an answer for the dependence and one for the task; a reward model for the general
  quality if there is one. By overlap (`OverlapMDScore`) the dependence costs nothing.
- When it does not help: where a switch is enough. Taking the memory out gives exactly level 1 (`mask_memory`), so what
  is left to gain are the levels between. Overlap can be gamed by quoting, novelty by empty talk: keep the task's and
  the general score in the reward.
- The reward is the paper's -|MD - p| + task + general, each part as it comes; `normalise=True` standardises each
  over the batch. The advantage is centred and not divided: `GroupNormalised(scale="none")`.
- Without memory the dependence is 1 by definition, and no judge is asked.
- Training data are aligned the other way round: an answer is sampled, rated against the original query, and the query
  is rewritten to hint at the level that came out (`align_dataset`). Hints name neither scale nor number.
- Ours: the words of the rubrics and prompts, that a judge is asked up to three times, the cuts of the overlap, and the
  rules by which a timeline can be grown without a model (`RuleSource`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.methods.concurrency import gather, run_sync
from assay.methods.parsing import ReplyError, as_text
from assay.methods.post_training._memcontrol_align import (
    Aligned,
    Answer,
    LLMRewriter,
    Rewriter,
    TemplateRewriter,
    align_dataset,
)
from assay.methods.post_training._memcontrol_memory import (
    LEVELS,
    MDScore,
    Memory,
    check_level,
    mask_memory,
    read_memory,
)
from assay.methods.post_training._memcontrol_scores import LLMMDScore, LLMTaskScore, OverlapMDScore, Quality
from assay.methods.post_training._memcontrol_timeline import (
    SCENARIOS,
    Event,
    LLMSource,
    RuleSource,
    Timeline,
    grow,
    llm_coherence,
    synthesise,
)

__all__ = [
    "LEVELS", "SCENARIOS", "Aligned", "Dependence", "Event", "LLMMDScore", "LLMRewriter", "LLMSource", "LLMTaskScore",
    "MDScore", "MemControlReward", "Memory", "OverlapMDScore", "Quality", "Rewriter", "RuleSource", "TemplateRewriter",
    "Timeline", "align_dataset", "alignment_error", "anchoring_report", "confusion", "grow", "llm_coherence",
    "mask_memory", "memcontrol_reward", "read_memory", "synthesise",
]  # fmt: skip

Floats: TypeAlias = NDArray[np.float64]

HINTS: Mapping[str, str] = {
    "none": "",
    "low": "Set aside what you remember of me and start afresh.",
    "medium": "Balance what you remember of me with new thoughts.",
    "high": "Build on everything you remember of me.",
}


def alignment_error(md: int, preference: int) -> int:
    """|MD(y) - p(q)|, from 0 to 4. Raises ValueError for levels that are none."""
    return abs(check_level("md", md) - check_level("preference", preference))


def memcontrol_reward(
    md: ArrayLike, preference: ArrayLike, task: ArrayLike, general: ArrayLike = 0.0, *, normalise: bool = False
) -> Floats:
    """-|MD - p| + task + general, of shape (B,).

    md, preference   (B,) levels 1 to 5
    task             (B,) the task's rubric, 1 to 5
    general          (B,) a reward model's score, on whatever scale; 0 without one
    normalise        standardise each of the three over the batch first; what does not vary counts nothing then

    >>> memcontrol_reward([4, 2], [2, 2], [5, 3], [0.5, 0.5]).tolist()
    [3.5, 3.5]

    Raises ValueError for levels or task scores out of range, or scores that are not finite.
    """
    levels = {"md": np.asarray(md), "preference": np.asarray(preference)}
    for name, given in levels.items():
        if not np.isin(given, LEVELS).all():
            raise ValueError(f"{name}: got {given.tolist()}, wanted whole numbers from 1 to 5")
    graded, scored = np.asarray(task, dtype=np.float64), np.asarray(general, dtype=np.float64)
    if not ((graded >= 1) & (graded <= 5)).all():
        raise ValueError(f"task: got {graded.tolist()}, wanted scores from 1 to 5")
    if not np.isfinite(scored).all():
        raise ValueError(f"general: got {scored.tolist()}, wanted finite scores")
    aligned = -np.abs(levels["md"].astype(np.float64) - levels["preference"])
    parts = np.broadcast_arrays(np.atleast_1d(aligned), graded, scored)
    return sum((_standardised(part) if normalise else part for part in parts), np.zeros(parts[0].shape))


def _standardised(values: Floats) -> Floats:
    """Mean 0 and standard deviation 1 over the batch (ddof 0); all 0 where nothing varies."""
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros_like(values)


async def _nothing(query: str, memory: Memory, response: str) -> float:
    return 0.0


class MemControlReward:
    """The reward as a reward function of TRL: `GRPOTrainer(reward_funcs=MemControlReward(md, task), ...)`.

    The data set has the columns "query" (without the memory), "memory" (a text, a list, or an object of lists) and
    "preference" (1 to 5). A row whose judge gives no usable reply is None: unscorable, not zero;
    `void` counts them. With `normalise` the parts are standardised over the rows of one call.
    """

    __name__ = "memcontrol"  # TRL logs a reward under its name

    def __init__(
        self,
        md: MDScore,
        task: Quality,
        general: Quality = _nothing,
        *,
        normalise: bool = False,
        concurrency: int = 16,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency: got {concurrency}, wanted at least 1")
        self.scorers = (md, task, general)
        self.normalise, self.concurrency, self.void = normalise, concurrency, 0

    def __call__(
        self,
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        query: Sequence[str] | None = None,
        memory: Sequence[Any] | None = None,
        preference: Sequence[int] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One reward a row. Raises ValueError without one of the three columns, or for what does not fit it."""
        if query is None or memory is None or preference is None:
            raise ValueError("query, memory, preference: not all three are columns of the data set")
        wanted = [check_level("preference", level) for level in preference]
        responses, memories = [as_text(one) for one in completions], [read_memory(one) for one in memory]
        scored = run_sync(self._score, list(query), memories, responses)
        kept = [i for i, scores in enumerate(scored) if scores is not None]
        rewards: list[float | None] = [None] * len(scored)
        if kept:
            md, task, general = np.array([scored[i] for i in kept], dtype=np.float64).T
            paid = memcontrol_reward(md, [wanted[i] for i in kept], task, general, normalise=self.normalise)
            for i, reward in zip(kept, paid):
                rewards[i] = float(reward)
        return rewards

    async def _score(
        self, queries: list[str], memories: list[Memory], responses: list[str]
    ) -> list[tuple[float, ...] | None]:
        calls = [partial(self._one, *row) for row in zip(queries, memories, responses, strict=True)]
        return await gather(calls, limit=self.concurrency)

    async def _one(self, query: str, memory: Memory, response: str) -> tuple[float, ...] | None:
        try:
            return tuple([float(await scorer(query, memory, response)) for scorer in self.scorers])
        except ReplyError:
            self.void += 1
            return None


@dataclass(frozen=True)
class Dependence:
    """What was asked and what came: mean alignment error, mean level, and how often each level was given to each wish
    (5 x 5, rows are preferences 1 to 5, columns realised levels)."""

    error: float
    level: float
    confusion: NDArray[np.int64]


def confusion(md: Sequence[int], preference: Sequence[int]) -> Dependence:
    """The table of wishes and outcomes. Raises ValueError for none, other lengths, or levels that are none."""
    if not md or len(md) != len(preference):
        raise ValueError(f"md, preference: got {len(md)} and {len(preference)}, wanted as many of each, and some")
    table = np.zeros((len(LEVELS), len(LEVELS)), dtype=np.int64)
    for wanted, got in zip(preference, md):
        table[check_level("preference", wanted) - 1, check_level("md", got) - 1] += 1
    error = float(np.mean([alignment_error(got, wanted) for got, wanted in zip(md, preference)]))
    return Dependence(error, float(np.mean(md)), table)


async def anchoring_report(
    answer: Answer,
    md: MDScore,
    samples: Sequence[Mapping[str, Any]],
    hints: Mapping[str, str] = HINTS,
    *,
    workers: int = 8,
) -> dict[str, dict[int, int]]:
    """How far a model leans on memory whatever it is told: for each hint, how many answers came out at each level.

    answer    (query, memory) to a response; the hint stands behind the query
    samples   {"query", "memory" (a `Memory`)}; the dependence is rated against the query without the hint

    A model that is not anchored moves with the hints; an anchored one stays at 4 and 5.
    """
    if not samples:
        raise ValueError("samples: got none, wanted at least one query")

    async def one(sample: Mapping[str, Any], hint: str) -> int:
        query, memory = sample["query"], sample["memory"]
        response = await answer(f"{query} {hint}".strip(), memory)
        return check_level("md", await md(query, memory, response))

    report = {}
    for name, hint in hints.items():
        levels = await gather([partial(one, sample, hint) for sample in samples], limit=workers)
        report[name] = {level: levels.count(level) for level in LEVELS}
    return report
