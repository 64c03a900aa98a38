"""What agent and guard of ToolSafe's trial have in common: a Llama of 0.2 M parameters that reads marks for names.

People and values of the office are replaced, in each episode, by numbered marks in the order in which they appear
(`ada` by `<p1>`, `40` by `<price1>`), and marks that are written are read back: to copy a word out of fifty is learned
only long after all else, and is not what the trial asks about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from assay.models.nano import tiny_llama
from assay.trials.safety._responders import learned_tokenizer, read_tokenizer
from assay.worlds.desks._office_words import PEOPLE, VALUES

MOST_MARKS = 5  # of a kind; what comes later shares the last one
_KIND = {word: kind for kind, words in (("p", PEOPLE), *VALUES.items()) for word in words}
_WORD = re.compile(r" ?\b(" + "|".join(_KIND) + r")\b")
_MARK = re.compile(r"<[a-z]+\d>")
MARKS = tuple(f"<{kind}{i}>" for kind in ("p", *VALUES) for i in range(1, MOST_MARKS + 1))


class Marks:
    """The marks of one episode; it remembers what stands for what."""

    def __init__(self) -> None:
        self._of: dict[str, str] = {}
        self._words: dict[str, str] = {}
        self._used = Counter[str]()

    def put(self, text: str) -> str:
        """The text with marks for names and values, without the spaces before them; a forged mark or tag is none."""
        return _WORD.sub(lambda found: self._mark(found[1]), text.replace("<", "("))

    def lift(self, text: str) -> str:
        """The text with the words that its marks stand for; a mark of nothing stays."""
        return _MARK.sub(lambda found: f" {self._words.get(found[0], found[0])}", text)

    def _mark(self, word: str) -> str:
        if word not in self._of:
            kind = _KIND[word]
            self._used[kind] = min(self._used[kind] + 1, MOST_MARKS)
            self._of[word] = f"<{kind}{self._used[kind]}>"
            self._words[self._of[word]] = word
        return self._of[word]


@dataclass(frozen=True)
class SmallModel:
    """Weights, and the tokenizer as JSON."""

    weights: Mapping[str, Tensor]
    tokenizer: str

    def load(self) -> tuple[Any, Any]:
        tokenizer = read_tokenizer(self.tokenizer)
        model = fresh_model(len(tokenizer), 0)
        model.load_state_dict(dict(self.weights))
        return model, tokenizer


def fresh_model(vocabulary: int, seed: int) -> Any:
    return tiny_llama(hidden=64, layers=2, heads=4, mlp=168, vocabulary=vocabulary, context=512, seed=seed)


def office_tokenizer(texts: Sequence[str], more: Sequence[str] = ()) -> Any:
    """A vocabulary learned from texts with marks, in which each mark, and each of `more`, is one token."""
    tokenizer = learned_tokenizer([_MARK.sub(" ", text) for text in texts])
    tokenizer.add_tokens([*MARKS, *more])
    return tokenizer
