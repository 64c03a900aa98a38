"""A stand-in for a model that sees screens: it acts on what it is told by the likeness of letters, and errs at times.

It reads what it is given (a line of a plan, advice to avoid something) and the tree, and nothing else; its skill, the
noise of its choices and the rate at which it hits a neighbour instead, is the same for every arm of a trial.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assay.methods.screens import FILLED, PRESSED, Click, Done, GuiAction, GuiObs, Key, Node, Scroll, Type, tree_hash

DIMENSIONS = 4096  # hashed letter triples
TAKEN_BEFORE, AVOIDED = 0.3, 0.5  # what having done it here, and being advised against it, take off a score
DONE_BELOW = 0.12
_QUOTED = re.compile(r'"([^"]*)"')


@dataclass(frozen=True)
class Choice:
    """What the policy does: the action, in words, the node, and how alike it is to what was asked (a cosine)."""

    action: GuiAction
    verb: str
    node: Node | None = None
    text: str = ""
    likeness: float = 0.0

    @property
    def said(self) -> str:
        """The choice as a line of a plan would say it."""
        return _said(self.verb, self.node, self.text)


class LexicalGuiPolicy:
    """Chooses the action whose words are most like a query.

    noise    scale of the Gumbel noise on scores
    slip     probability that a click lands on the neighbouring element of the same role

    Raises ValueError for negative noise or a slip outside [0, 1].
    """

    def __init__(self, seed: int, *, noise: float = 0.08, slip: float = 0.08) -> None:
        if noise < 0 or not 0 <= slip <= 1:
            raise ValueError(f"noise, slip: got {noise}, {slip}, wanted noise >= 0 and slip in [0, 1]")
        self._rng = np.random.default_rng(seed)
        self._noise, self._slip = noise, slip
        self._taken: dict[tuple[str, str], int] = {}

    def choose(self, seen: GuiObs, query: str, avoid: Sequence[str] = ()) -> Choice:
        """The best action for the query on this screen; `Done` where nothing is like it."""
        slots = tuple(dict.fromkeys(_QUOTED.findall(query)))
        options = [c for c in _options(seen, slots) if c[0] != "type" or c[2] in slots]
        said = [_said(verb, node, text) for verb, node, text in options]
        vectors = _vectors((query, *avoid, *said))
        likeness = vectors[1 + len(avoid) :] @ vectors[0]
        score = likeness.copy()
        for row in vectors[1 : 1 + len(avoid)]:
            score -= AVOIDED * (vectors[1 + len(avoid) :] @ row)
        here = tree_hash(seen.tree)
        score -= TAKEN_BEFORE * np.array([self._taken.get((here, words), 0) for words in said])
        best = int(np.argmax(score + self._rng.gumbel(0.0, self._noise, len(said)) if self._noise else score))
        slips = self._rng.random() < self._slip
        if score[best] < DONE_BELOW:
            return Choice(Done(), "done", likeness=float(likeness[best]))
        verb, node, text = options[best]
        hit = self._neighbour(seen, node) if slips and node is not None and verb == "press" else node
        return Choice(_action(verb, hit, text), verb, hit, text, float(likeness[best]))

    def remember(self, seen: GuiObs, choice: Choice) -> None:
        """The choice was carried out on this screen: doing it here again counts less."""
        place = tree_hash(seen.tree), choice.said
        self._taken[place] = self._taken.get(place, 0) + 1

    def _neighbour(self, seen: GuiObs, node: Node) -> Node:
        same = [n for n in seen.tree if n.usable and n.role == node.role]
        place = next(i for i, n in enumerate(same) if n.id == node.id)
        return same[place + 1] if place + 1 < len(same) else same[place - 1]


def alike(a: str, b: str) -> float:
    """Cosine of two texts' letter triples, in [0, 1]."""
    return float(_vector(a) @ _vector(b))


def _options(seen: GuiObs, slots: Sequence[str]) -> list[tuple[str, Node | None, str]]:
    found: list[tuple[str, Node | None, str]] = [("press", n, "") for n in seen.tree if n.usable and n.role in PRESSED]
    for node in seen.tree:
        if node.usable and node.role in FILLED:
            found += [("type", node, slot) for slot in slots if not node.options or slot in node.options]
    return [*found, ("scroll", None, "down"), ("scroll", None, "up"), ("key", None, "Enter")]


def _said(verb: str, node: Node | None, text: str) -> str:
    if node is None:
        return f"{verb} {text}"
    if verb == "type":
        return f'{"Choose" if node.options else "Type"} "{text}" into {node.name}'
    return f"{'Open the page' if node.role == 'link' else 'Press'} {node.name}"


def _action(verb: str, node: Node | None, text: str) -> GuiAction:
    if node is not None:
        return Click(*node.centre) if verb == "press" else Type(text, *node.centre, clear=not node.options)
    return Key(text) if verb == "key" else Scroll(320, 240, 200 if text == "down" else -200)


@cache
def _vectoriser() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(analyzer="char_wb", ngram_range=(3, 3), n_features=DIMENSIONS, alternate_sign=False)


@cache
def _vector(text: str) -> NDArray[np.float64]:
    row: NDArray[np.float64] = _vectoriser().transform([text[:400]]).toarray()[0]
    return row


def _vectors(texts: tuple[str, ...]) -> NDArray[np.float64]:
    return np.stack([_vector(text) for text in texts])
