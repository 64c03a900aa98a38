"""Who says how far an answer leans on the memory, and how good it is (memory control, 2601.05107)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from assay.methods.parsing import ask_json
from assay.methods.post_training._memcontrol_memory import Memory
from assay.methods.protocols import Complete

REPAIRS = 2  # a judge is asked up to three times
CUTS = (0.1, 0.3, 0.55, 0.8)  # shares of remembered units from which levels 2 to 5 begin
_WORD = re.compile(r"[^\W_]+")
_COMMON_WORDS = """
the and that this with for from have has had are was were will would can could should you your our their they she his
her its not but one all any out about into over more most some such than then them these those what when which who how
why also only very just been being there here
"""
_COMMON = frozenset(_COMMON_WORDS.split())

DEPENDENCE = """How far does the response lean on the memory?
1  on nothing of it: the response could have been written without it
2  on little: the matter is new, with a trace of something remembered
3  on about half: remembered and new matter carry the same weight
4  on much: remembered matter carries the response, with some new
5  on nothing else: all of substance in it was remembered
Matter that the request itself names is not remembered matter. Judge the reliance, not the quality."""

TASK = """How well does the response do what is asked?
1  it misses the task
2  it does a small part of it, or with grave faults
3  it does the most important part
4  it does the task with small faults
5  it does the task fully, in order, and is of use as it stands
Do not mind how much of it was remembered and how much is new."""


class Quality(Protocol):
    """How good a response is: the task's rubric (1 to 5), or a reward model on its own scale."""

    async def __call__(self, query: str, memory: Memory, response: str) -> float: ...


class LLMMDScore:
    """A judge with the five-level rubric. Raises ReplyError where it gives no whole number from 1 to 5."""

    def __init__(self, complete: Complete) -> None:
        self.complete = complete

    async def __call__(self, query: str, memory: Memory, response: str) -> int:
        return await _rated(self.complete, DEPENDENCE, query, memory, response) if memory else 1


class LLMTaskScore:
    """A judge of the task alone, 1 to 5. Raises ReplyError where it gives no whole number from 1 to 5."""

    def __init__(self, complete: Complete) -> None:
        self.complete = complete

    async def __call__(self, query: str, memory: Memory, response: str) -> float:
        return await _rated(self.complete, TASK, query, memory, response)


async def _rated(complete: Complete, rubric: str, query: str, memory: Memory, response: str) -> int:
    schema = {
        "type": "object",
        "properties": {"reason": {"type": "string"}, "level": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["level"],
    }
    prompt = (
        f"===== memory\n{memory.shown()}\n===== request\n{query}\n===== response\n{response}\n=====\n\n{rubric}\n\n"
        'Reply with one JSON object: {"reason": "one sentence", "level": 1 to 5}.'
    )
    return int((await ask_json(complete, prompt, schema, REPAIRS))["level"])


def content_words(text: str) -> list[str]:
    """Words that carry matter: lower case, three letters or more (or digits), no common ones."""
    words = [word.lower() for word in _WORD.findall(text)]
    return [word for word in words if (len(word) > 2 or word.isdigit()) and word not in _COMMON]


class OverlapMDScore:
    """The share of a response's units that stand in the memory and not in the query, cut into five levels.

    units   what a text is made of; by default its content words, one count each time they are written
    cuts    shares from which levels 2, 3, 4 and 5 begin

    It knows no meaning: a paraphrase counts as new, a shared common noun as remembered.
    """

    def __init__(
        self, units: Callable[[str], Sequence[str]] = content_words, cuts: tuple[float, float, float, float] = CUTS
    ) -> None:
        if len(cuts) != len(CUTS) or not 0 < cuts[0] < cuts[1] < cuts[2] < cuts[3] <= 1:
            raise ValueError(f"cuts: got {cuts}, wanted four shares in (0, 1], each above the one before")
        self.units, self.cuts = units, cuts

    def share(self, query: str, memory: Memory, response: str) -> float:
        """The share itself, in [0, 1]; 0 for a response without units."""
        written = self.units(response)
        remembered = {unit for text in memory.texts for unit in self.units(text)} - set(self.units(query))
        return sum(unit in remembered for unit in written) / len(written) if written else 0.0

    async def __call__(self, query: str, memory: Memory, response: str) -> int:
        share = self.share(query, memory, response)
        return 1 + sum(share >= cut - 1e-9 for cut in self.cuts)
