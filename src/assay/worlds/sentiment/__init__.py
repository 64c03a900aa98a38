"""Sentences with feelings, written by hand and frozen by a hash of their bytes.

sentences   600, a third each negative, positive and neutral: 120 templates with five fillings. 15 of the neutral
            templates speak of good and bad at once, or of neither. Most positive templates have a negative twin of the
            same number ("... turned out wonderful", "... turned out horrible").
irony       150 pairs: a glad frame around something bad (ironic), and the same frame around its good twin (literal).
            30 frames with five pairs each, of 30 pairs of events.
aspects     60 sentences on two things each, with a label for either: 12 templates with five fillings

`split.json` names the templates to fit on (two thirds) and those to be judged: no sentence of a judged template is ever
fitted on, but words, and the events of irony, stand on both sides. Twins are on the same side: a model that had seen
one of them would know the frame, and take its label for the other's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from assay.worlds import _frozen

ROOT = Path(__file__).parent
SHA256 = "6276c1fe963ccaa82021ac6858da8db4ce2b24bfc97879527d0214825c3d55c0"

Part = Literal["sentences", "irony", "aspects"]
LABELS: dict[Part, tuple[str, ...]] = {
    "sentences": ("negative", "positive", "neutral"),
    "irony": ("literal", "ironic"),
    "aspects": ("negative", "positive", "neutral"),
}


@dataclass(frozen=True)
class Sentence:
    """One labelled text; `aspect` is what the label is about, "" for the whole; `pair` joins an irony with its twin."""

    id: str
    template: str
    text: str
    label: str
    aspect: str = ""
    pair: str = ""


@dataclass(frozen=True)
class Judged:
    """Sentences to draw examples from, and those to be judged; no template is in both."""

    pool: tuple[Sentence, ...]
    test: tuple[Sentence, ...]


@cache
def load(part: Part) -> tuple[Sentence, ...]:
    """All sentences of a part, in order."""
    if part not in LABELS:
        raise ValueError(f"part: got {part!r}, wanted one of {', '.join(LABELS)}")
    lines = (ROOT / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Sentence(**json.loads(line)) for line in lines)


@cache
def halves(part: Part) -> Judged:
    """A part by the frozen split of its templates."""
    split: dict[str, Any] = json.loads((ROOT / "split.json").read_text(encoding="utf-8"))
    train = set(split[part]["train"])
    return Judged(
        tuple(s for s in load(part) if s.template in train),
        tuple(s for s in load(part) if s.template not in train),
    )


def content_hash() -> str:
    """sha256 over the names and bytes of the four data files; equals `SHA256`."""
    return _frozen.content_hash(ROOT, sorted(path.name for path in (*ROOT.glob("*.jsonl"), ROOT / "split.json")))


@dataclass(frozen=True)
class Sentiment:
    """A part of the corpus as a world: every seed judges the same sentences; what a seed draws is the examples."""

    part: Part = "sentences"

    def sample(self, seed: int) -> Judged:
        """The pool and the judged sentences."""
        return halves(self.part)

    def digest(self, sample: Judged) -> str:
        """Names the part and the bytes it stands for."""
        return f"{SHA256}:{self.part}"

    def check(self, sample: Judged, answers: dict[str, str | None]) -> float:
        """Share of the judged sentences answered rightly (id -> label; None is no answer and counts as wrong).

        Raises ValueError unless there is exactly one answer for each.
        """
        truth = {s.id: s.label for s in sample.test}
        if answers.keys() != truth.keys():
            raise ValueError(f"answers: got {len(answers)}, wanted {len(truth)}, one a judged sentence")
        return sum(answers[name] == label for name, label in truth.items()) / len(truth)


def world(part: Part = "sentences") -> Sentiment:
    """One part as a world: `world("irony")`."""
    return Sentiment(part)
