"""An attack that reads the score: tokens are inserted one by one where they lower it (production_probes)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Attack:
    """The text as the attack left it, its score, how often the score was asked, and whether it fell below the
    threshold."""

    ids: Ids
    score: float
    queries: int
    evaded: bool


def insert_greedily(
    score: Callable[[list[Ids]], Sequence[float]],
    ids: Sequence[int],
    keep: tuple[int, int],
    alphabet: Sequence[int],
    threshold: float,
    rng: Random,
    *,
    queries: int = 200,
    at_once: int = 10,
) -> Attack:
    """Insert tokens into a text until its score is below the threshold or the queries are spent.

    A round asks the score of `at_once` copies of one length, each with one token more, and goes on from the lowest
    where that is lower than before. The first query is the text as it is.

    score      of several texts of one length
    keep       first and end of the tokens between which nothing is inserted: what makes the text harmful
    alphabet   token ids to insert
    """
    start, end = keep
    if not 0 <= start < end <= len(ids):
        raise ValueError(f"keep: got {keep}, wanted first and end of some of the {len(ids)} tokens")
    if not alphabet:
        raise ValueError("alphabet: got no token, wanted at least one")
    if queries < 1 or at_once < 1:
        raise ValueError(f"queries, at_once: got {queries}, {at_once}, wanted at least 1 each")
    now = tuple(ids)
    best, asked = float(score([now])[0]), 1
    while best >= threshold and asked < queries:
        tried, firsts = list[Ids](), list[int]()
        for _ in range(min(at_once, queries - asked)):
            place = rng.choice([*range(start + 1), *range(end, len(now) + 1)])
            tried.append((*now[:place], rng.choice(alphabet), *now[place:]))
            firsts.append(start + (place <= start))
        scores = [float(value) for value in score(tried)]
        asked += len(tried)
        lowest = min(range(len(tried)), key=scores.__getitem__)
        if scores[lowest] < best:
            now, best = tried[lowest], scores[lowest]
            start, end = firsts[lowest], end - start + firsts[lowest]
    return Attack(now, best, asked, best < threshold)
