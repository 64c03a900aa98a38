"""A small model that answers questions about feelings: its words, its lessons and its training.

The lessons are the corpus's own sentences under every way of asking, on feelings or on irony. Neutral sentences are one
in twenty, asked about and shown, so that the model leans to the poles; for half of the lessons the digits mean other
labels, so that it pays to read what they mean and which examples stand above.

Batch and rate were not tuned. New words start at random: on the reserved seed 1001, after 60 steps of 16 lessons,
digits cost 1.19 nats so, and 1.28 where all start from their mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from assay.methods.evaluation._sentiment_prompts import (
    EXAMPLES,
    LABEL_WORDS,
    MARKS,
    ONLY,
    QUESTIONS,
    STEPWISE,
    STRATEGIES,
    TASKS,
    Example,
    Item,
    Task,
    messages,
    reasoned,
)
from assay.methods.protocols import Message
from assay.worlds.sentiment import LABELS, Part, Sentence, halves, load

NEUTRAL = 0.05  # share of neutral sentences in the lessons
OTHER_DIGITS = 0.5  # share of lessons in which the digits mean other labels
STEPS, BATCH, RATE = 80, 24, 2e-3  # of a round

SHARES: dict[Part, dict[str, int]] = {"sentences": {"three_class": 3, "binary": 1}, "irony": {"irony": 1}}  # of tasks
SAID = {
    "positive": ("It praises.", "good"), "negative": ("It complains.", "bad"), "neutral": ("It only tells.", "neither"),
    "ironic": ("The event is bad, the words are glad.", "mismatch"),
    "literal": ("The event is good, the words are glad.", "match"),
}  # fmt: skip

Lesson = tuple[list[Message], str]


def lessons(part: Part, seed: int, count: int) -> Iterator[Lesson]:
    """`count` conversations on a part with the reply that is wanted, a function of the seed."""
    rng = Random(seed)
    ways = [s for s in STRATEGIES.values() if s.n == 1]
    shares = SHARES[part]
    for _ in range(count):
        task = TASKS[rng.choices(list(shares), list(shares.values()))[0]]
        if rng.random() < OTHER_DIGITS:
            task = replace(task, labels=tuple(rng.sample(task.labels, len(task.labels))))
        way = rng.choice(ways)
        asked, *shown = (drawn(part, task, rng) for _ in range(1 + way.shots))
        examples = [example(s) for s in shown]
        item = Item(asked.id, asked.text, asked.label, asked.aspect)
        digit = str(task.labels.index(asked.label))
        reply = digit if way.reasoning == "none" else reasoned(task, asked.label, [SAID[asked.label]])
        yield messages(task, way, item, examples), reply


def drawn(part: Part, task: Task, rng: Random) -> Sentence:
    """A sentence of the pool; of three feelings a neutral one in twenty."""
    pool = by_label(part)
    polar = [label for label in task.labels if label != "neutral"]
    neutral = "neutral" in task.labels and rng.random() < NEUTRAL
    return rng.choice(pool["neutral" if neutral else rng.choice(polar)])


def example(s: Sentence) -> Example:
    """A sentence as it is shown to the model, with the steps of its label."""
    return Example(s.text, s.label, s.aspect, (SAID[s.label],))


@cache
def by_label(part: Part) -> dict[str, tuple[Sentence, ...]]:
    """The pool of a part, by label."""
    pool = halves(part).pool
    return {label: tuple(s for s in pool if s.label == label) for label in LABELS[part]}


@cache
def words() -> tuple[str, ...]:
    """What becomes a token of its own: the fixed parts of prompts and replies, and every word of the corpus."""
    fixed = [
        *QUESTIONS["en"].values(), f" {ONLY['en']}", f" {STEPWISE['en']}", EXAMPLES["en"], *MARKS["en"], "Output:",
        " Answer with one digit:", *(f"= {word}" for word in LABEL_WORDS["en"].values()),
        *(json.dumps({"steps": [{"explanation": a, "output": b}], "final_answer": 0})[:-2] for a, b in SAID.values()),
    ]  # fmt: skip
    found = {w for part in SHARES for s in load(part) for w in re.findall(r"^\w+| \w+", s.text)}
    return (*fixed, *sorted(found))


def train(models: Any, part: Part, seed: int, weights: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Weights of micro after a round of lessons on a part, from `weights` on; products made in bfloat16."""
    import torch

    from assay.models import tokenizer as tok
    from assay.models.derived import lesson_row
    from assay.models.finetune import finetune_rows, scatter_words

    model, tokenizer = models.load("micro", words())
    if weights is None:
        scatter_words(model, tok.SIZE, seed)
    else:
        model.load_state_dict(dict(weights))
    rows = [lesson_row(tokenizer, *lesson) for lesson in lessons(part, seed, STEPS * BATCH)]
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):  # kept, weights would stay what they were
        finetune_rows(model, rows, steps=STEPS, seed=seed, batch=BATCH, learning_rate=RATE)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}
