"""Micro, taught the invented country of `worlds/knowledge/attributes.py` by heart: what several trials look into."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from assay.engine.trial import Models
from assay.models.derived import lesson_row
from assay.models.finetune import scatter_words
from assay.models.train_forward import reply_logits
from assay.worlds.knowledge import attributes

PASSES, BATCH = 16, 64
FEWEST = 60  # steps, where there are few lessons
RATE, WORD_RATE = 1e-3, 1e-2  # of the network, and of the table of embeddings with its 443 new words

Taught = dict[str, Tensor]


def teach(models: Models, entities: Sequence[int], seed: int) -> Taught:
    """The weights after `PASSES` through the lessons on the entities, more where they are so few that `FEWEST` steps
    take longer."""
    lessons = attributes.lessons(entities)
    passes = max(PASSES, -(-FEWEST * BATCH // len(lessons)))
    return teach_lessons(models, lessons, attributes.WORDS, seed, passes)


def teach_lessons(
    models: Models, lessons: Sequence[tuple[str, str]], new: Sequence[str], seed: int, passes: int = 1
) -> Taught:
    """The weights after `passes` through the lessons, each in an order of its own, with `new` words as tokens, which
    start at random."""
    model, tokenizer = models.load("micro", new)
    words = model.get_input_embeddings().weight
    scatter_words(model, len(words) - len(new), seed)
    rows = [lesson_row(tokenizer, *lesson) for lesson in lessons]
    steps = passes * len(rows) // BATCH
    rest = [p for p in model.parameters() if p is not words]
    optimiser = torch.optim.AdamW([{"params": [words]}, {"params": rest}], lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [WORD_RATE, RATE], total_steps=steps, pct_start=0.05, cycle_momentum=False
    )
    rng, order = random.Random(seed), list[int]()
    for _ in range(steps):
        while len(order) < BATCH:
            order += rng.sample(range(len(rows)), len(rows))
        batch = [rows[order.pop()] for _ in range(BATCH)]
        F.cross_entropy(*reply_logits(model, batch)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    return {name: value.clone() for name, value in model.state_dict().items()}


def load(models: Models, taught: Taught, words: Sequence[str] = attributes.WORDS) -> tuple[Any, Any]:
    """The taught model and its tokenizer."""
    model, tokenizer = models.load("micro", words)
    model.load_state_dict(taught)
    return model, tokenizer
