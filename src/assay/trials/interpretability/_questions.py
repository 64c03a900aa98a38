"""Swapping states between questions on the invented country: what a model answers when part of a state is another's.

The site is the last token of a question, where a small model gathers what it is asked and of whom. The concept is one
relation. *Cause*: of questions on it, the share that are answered as the source's question would be. *Isolate*: of
questions on the entity's other relations, the share whose answer stays, though the swap came from the same source.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assay.methods.activations import Intervention, capture, intervene
from assay.models.derived import lesson_row
from assay.worlds.knowledge import attributes
from assay.worlds.knowledge.facts import Fact

Swap = Callable[[Tensor, Tensor], Tensor]  # (base (B, D), source (B, D)) -> (B, D)


class Questions:
    """The questions of some entities that the model answers rightly: their tokens, states at the site, answers."""

    def __init__(self, model: Any, tokenizer: Any, layer: int, entities: Sequence[int]) -> None:
        self.model, self.layer = model, layer
        facts = [fact for s in entities for fact, _ in attributes.facts_of(s)]
        rows = torch.tensor([lesson_row(tokenizer, attributes.question(*f), attributes.answer(*f)).ids for f in facts])
        ids, answers = rows[:, :-2], rows[:, -2]
        with torch.no_grad():
            known = torch.cat([model(part, logits_to_keep=1).logits[:, -1].argmax(-1) for part in ids.split(256)])
        right = known == answers
        self.share_right = float(right.double().mean())
        self.ids, self.answers = ids[right], answers[right]
        self.facts = [fact for fact, knows in zip(facts, right.tolist()) if knows]
        self.states = capture(model, self.ids, [layer], positions="last", batch_size=256)[layer][:, 0]
        self.place = {fact: i for i, fact in enumerate(self.facts)}

    def of(self, relation: int) -> tuple[Tensor, Tensor]:
        """States (B, D) and answers (B,) of a relation's questions."""
        rows = torch.tensor([i for i, fact in enumerate(self.facts) if fact[1] == relation])
        return self.states[rows], self.answers[rows]

    def exam(self, relation: int, pairs: int, rng: random.Random) -> Exam:
        """`pairs` questions on the relation and as many on others, each with a source of another answer."""
        asked: list[tuple[int, int]] = []
        own = [fact for fact in self.facts if fact[1] == relation]
        others = {s: [f for f in self.facts if f[0] == s and f[1] != relation] for s, _ in own}
        for want_other in (False, True):
            rows = [fact for fact in own if others[fact[0]]] if want_other else own
            for fact in rng.choices(rows, k=pairs):
                sources = [f for f in own if self.answers[self.place[f]] != self.answers[self.place[fact]]]
                base = rng.choice(others[fact[0]]) if want_other else fact
                asked.append((self.place[base], self.place[rng.choice(sources)]))
        base, source = torch.tensor(asked).T
        return Exam(self, pairs, base, source)


@dataclass(frozen=True)
class Exam:
    """Pairs of a base and a source question by number; the first `pairs` ask for cause, the others for isolation."""

    questions: Questions
    pairs: int
    base: Tensor
    source: Tensor

    @torch.no_grad()
    def scores(self, swap: Swap) -> tuple[float, float]:
        """Cause and isolate of a swap."""
        q = self.questions
        new = swap(q.states[self.base], q.states[self.source])

        def put(h: Tensor, mask: Tensor) -> Tensor:
            return torch.cat([h[:, :-1], new.unsqueeze(1).to(h.dtype)], dim=1)

        with intervene(q.model, [Intervention(q.layer, put)]):
            said = q.model(q.ids[self.base], logits_to_keep=1).logits[:, -1].argmax(-1)
        follows = said[: self.pairs] == q.answers[self.source[: self.pairs]]
        stays = said[self.pairs :] == q.answers[self.base[self.pairs :]]
        return float(follows.double().mean()), float(stays.double().mean())


def turns(entity: int, rng: random.Random) -> list[tuple[str, str]]:
    """All questions of an entity with their answers, in random order."""
    own = [fact for fact, _ in attributes.facts_of(entity)]
    return [(attributes.question(*f), attributes.answer(*f)) for f in rng.sample(own, len(own))]


def conversation(tokenizer: Any, turns_: Sequence[tuple[str, str]]) -> list[int]:
    """The token ids of questions and answers one after another."""
    rows = [lesson_row(tokenizer, *turn).ids for turn in turns_]
    return [i for n, row in enumerate(rows) for i in (row if n == 0 else row[1:])]


__all__ = ["Exam", "Fact", "Questions", "Swap", "conversation", "turns"]
