"""Training data whose queries hint at the dependence that their answers have (memory control, 2601.05107)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from assay.methods.concurrency import gather
from assay.methods.parsing import ReplyError
from assay.methods.post_training._memcontrol_memory import LEVELS, MDScore, Memory, check_level
from assay.methods.post_training._memcontrol_scores import Quality
from assay.methods.protocols import Complete

Answer = Callable[[str, Memory], Awaitable[str]]  # (query, memory) to a response

SAMPLES = 4  # answers to a query, of which the best is kept
MEANING = {
    1: "wants something altogether new, as if nothing had gone before",
    2: "wants mostly new thoughts, with a trace of what went before",
    3: "wants what went before and new thoughts in equal parts",
    4: "wants to stay close to what went before, with some new thoughts",
    5: "wants to go on exactly from what went before, and nothing new",
}
_TELLTALE = re.compile(r"\b(?:level|scale|rubric|score|dependence)\b|\b[1-5]\s*(?:/|out of|of)\s*5\b", re.IGNORECASE)


class Rewriter(Protocol):
    """A query with a hint at a level of dependence, which it does not name."""

    async def __call__(self, query: str, level: int) -> str: ...


class TemplateRewriter:
    """Puts one of the level's phrases behind the query, drawn by `generator`."""

    def __init__(self, phrases: Mapping[int, Sequence[str]], generator: np.random.Generator) -> None:
        for level in LEVELS:
            if not phrases.get(level):
                raise ValueError(f"phrases: got none for level {level}, wanted at least one")
        self.phrases, self.generator = phrases, generator

    async def __call__(self, query: str, level: int) -> str:
        own = self.phrases[check_level("level", level)]
        return f"{query} {own[int(self.generator.integers(len(own)))]}"


class LLMRewriter:
    """A language model that words the hint; asked again once where its text names the scale, then a ReplyError."""

    def __init__(self, complete: Complete) -> None:
        self.complete = complete

    async def __call__(self, query: str, level: int) -> str:
        prompt = (
            f"A user asks their assistant, who remembers earlier sessions:\n{query}\n\n"
            f"Reword the request so that one senses that the user {MEANING[check_level('level', level)]}. "
            "Keep what is asked for. Let it be sensed from the wording: name no scale, no number for it, and nothing "
            "about a memory's settings. Reply with the request."
        )
        text = ""
        for _ in range(2):
            text = (await self.complete(prompt, temperature=0.7)).strip()
            if text and not _TELLTALE.search(text):
                return text
        raise ReplyError(text, "the reworded request is empty or names the scale")


@dataclass(frozen=True)
class Aligned:
    """One training row: the query hints at `preference`, which is the dependence that the response was found to have.
    `asked` is the level that was aimed at when the response was sampled, `quality` what it was kept for."""

    query: str
    memory: Memory
    response: str
    preference: int
    asked: int
    quality: float

    def to_row(self) -> dict[str, Any]:
        """For a file or a data set: the memory as an object of lists."""
        return {**self.__dict__, "memory": self.memory.to_dict()}


async def align_dataset(
    samples: Sequence[Mapping[str, Any]],
    rewriter: Rewriter,
    pool: Sequence[Answer],
    md: MDScore,
    quality: Quality,
    *,
    generator: np.random.Generator,
    each: int = SAMPLES,
    workers: int = 8,
) -> list[Aligned]:
    """One row a sample {"query", "memory" (a `Memory`)}, in their order.

    A level is drawn evenly and hinted at; `each` answers are sampled from the models of `pool` in turn, and the one of
    the best quality is kept; its dependence is rated against the query as it was, and that query is rewritten anew to
    hint at the level that came out.

    Raises ValueError for an empty pool or a sample without a query; ReplyError where a judge or the rewriter fails.
    """
    if not pool:
        raise ValueError("pool: got no models to answer, wanted at least one")
    if each < 1:
        raise ValueError(f"each: got {each}, wanted at least 1")
    asked = [LEVELS[i] for i in generator.integers(len(LEVELS), size=len(samples))]
    one = partial(_align, rewriter=rewriter, pool=pool, md=md, quality=quality, each=each)
    return await gather([partial(one, sample, level) for sample, level in zip(samples, asked)], limit=workers)


async def _align(
    sample: Mapping[str, Any],
    level: int,
    *,
    rewriter: Rewriter,
    pool: Sequence[Answer],
    md: MDScore,
    quality: Quality,
    each: int,
) -> Aligned:
    query, memory = sample.get("query"), sample.get("memory")
    if not isinstance(query, str) or not query.strip() or not isinstance(memory, Memory):
        raise ValueError(f"samples: got {str(dict(sample))[:80]}, wanted a query and a Memory")
    hinted = await rewriter(query, level)
    responses = await gather([partial(pool[i % len(pool)], hinted, memory) for i in range(each)])
    scores = await gather([partial(quality, query, memory, response) for response in responses])
    best = int(np.argmax(scores))
    realised = check_level("md", await md(query, memory, responses[best]))
    return Aligned(await rewriter(query, realised), memory, responses[best], realised, level, float(scores[best]))
