"""The start that all arms of a seed share in the trials that train nano by GRPO, and what they train it on.

A fixture builds it (`start`), an arm takes a fresh copy (`load`). Prompts in `rows` are what TRL is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from assay.engine.trial import Models
from assay.models.finetune import as_prompt, finetune, replies
from assay.worlds.text import sums
from assay.worlds.text.problem import Problem, Split, digest, parse

Draw = Callable[[int, Split], Problem]
Start = dict[str, Tensor]


def problems(draw: Draw, seed: int, count: int, stream: str) -> list[Problem]:
    """`count` different training problems; `stream` names what they are for, so that no two uses meet by seed."""
    found: dict[str, Problem] = {}
    i = 0
    while len(found) < count:
        problem = draw(digest(seed, stream, i), "train")
        found.setdefault(problem.prompt, problem)
        i += 1
    return list(found.values())


def sums_like(world: Sequence[Problem]) -> Draw:
    """Sums of two numbers with two digits as the world's are: without a carry if none of these carries."""
    return partial(sums.sample, carry=None if any(problem.meta["carry"] for problem in world) else False)


def start(models: Models, pairs: Sequence[tuple[str, str]], *, steps: int, seed: int, rate: float = 1e-3) -> Start:
    """Nano's weights after `steps` of supervised training on (prompt, reply) pairs, 32 a step."""
    model, _ = models.load("nano")
    finetune(model, pairs, steps=steps, seed=seed, batch=32, learning_rate=rate)
    return {name: value.clone() for name, value in model.state_dict().items()}


def load(models: Models, begun: Start) -> tuple[Any, Any]:
    """A model at the start, and its tokenizer."""
    model, tokenizer = models.load("nano")
    model.load_state_dict(begun)
    return model, tokenizer


def rows(drawn: Sequence[Problem]) -> list[dict[str, Any]]:
    """The data set for TRL: the prompt as nano reads it, and the answer."""
    return [{"prompt": as_prompt(problem.prompt), "answer": problem.answer} for problem in drawn]


def answered(
    prompts: list[str], completions: list[str], completion_ids: Any, answer: list[str], **_: Any
) -> list[float]:
    """The reward: 1 where the reply ends in the right answer."""
    return [float(parse(text) == wanted) for text, wanted in zip(completions, answer)]


def share_right(model: Any, tokenizer: Any, drawn: Sequence[Problem], max_tokens: int) -> float:
    """Share of the problems that the model answers rightly when it decodes greedily."""
    texts = replies(model, tokenizer, [problem.prompt for problem in drawn], max_tokens=max_tokens)
    right = torch.tensor([parse(text) == problem.answer for text, problem in zip(texts, drawn)])
    return float(right.double().mean())
