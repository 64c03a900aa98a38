"""What a grid of noisy conditions says: accuracy, drop, length, and how often a distractor was quoted (2601.07226)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from assay.methods.post_training._noise_sources import CONDITIONS, RUN, Condition, runs, words


@dataclass(frozen=True)
class Outcome:
    """One reply. `tokens` are those it wrote; `distracted`: it quotes a distractor; `entropy` is the mean over its
    tokens in nats, where log-probabilities were had."""

    id: str
    kind: str
    condition: Condition
    correct: bool
    tokens: int
    distracted: bool = False
    entropy: float | None = None


def quotes(text: str, source: str, length: int = RUN) -> bool:
    """Whether the text holds a run of `length` words of the source, or the whole of a shorter one."""
    own = words(source)
    return bool(own) and not runs(text, min(length, len(own))).isdisjoint(runs(source, length))


def noise_report(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """One line a kind and condition, in the order of `KINDS` as they come and of ND, RD, RC, HN.

    "accuracy"     share of right replies
    "drop"         (accuracy in ND - accuracy here) / accuracy in ND; None where ND is missing or has none right
    "tokens"       mean tokens of a reply
    "slope"        of correctness on tokens within the cell, per 1,000 tokens; below 0, thinking longer goes with being
                   wrong; None where all replies are equally long
    "distracted"   share of replies that quote a distractor
    "entropy"      mean of those that have one, else None

    Raises ValueError for no outcomes, an unknown condition, or one item twice in a cell.
    """
    if not outcomes:
        raise ValueError("outcomes: got none, wanted at least one")
    cells: dict[tuple[str, Condition], list[Outcome]] = {}
    for one in outcomes:
        if one.condition not in CONDITIONS:
            raise ValueError(f"condition: got {one.condition!r}, wanted one of {', '.join(CONDITIONS)}")
        cells.setdefault((one.kind, one.condition), []).append(one)
    for (kind, condition), own in cells.items():
        if len({one.id for one in own}) < len(own):
            raise ValueError(f"outcomes: an item stands twice in {kind}, {condition}; wanted each once")
    kinds = dict.fromkeys(kind for kind, _ in cells)
    return [
        _line(kind, condition, cells[kind, condition], cells.get((kind, "ND")))
        for kind in kinds
        for condition in CONDITIONS
        if (kind, condition) in cells
    ]


def _line(kind: str, condition: Condition, own: list[Outcome], clean: list[Outcome] | None) -> dict[str, Any]:
    accuracy = _mean([one.correct for one in own])
    best = _mean([one.correct for one in clean]) if clean else 0.0
    entropies = [one.entropy for one in own if one.entropy is not None]
    return {
        "kind": kind,
        "condition": condition,
        "n": len(own),
        "accuracy": accuracy,
        "drop": (best - accuracy) / best if best else None,
        "tokens": _mean([one.tokens for one in own]),
        "slope": _slope(own),
        "distracted": _mean([one.distracted for one in own]),
        "entropy": _mean(entropies) if entropies else None,
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _slope(own: list[Outcome]) -> float | None:
    tokens = np.array([one.tokens for one in own], dtype=float)
    right = np.array([one.correct for one in own], dtype=float)
    spread = tokens - tokens.mean()
    if not spread.any():
        return None
    return float(1000 * (spread @ right) / (spread @ spread))
