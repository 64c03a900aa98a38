"""Training rows: a short recall phase, then the mixture of the four text worlds.

Recall comes first because without it a model of this size does not learn to match a key within the tokens it
gets here (no induction head): rows of n random pairs, n growing from 2 to 9, six queries a row, and the loss on
the values alone. Row i of step t depends on (seed, t, i) only, so a resumed training sees the same rows.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.models import tokenizer as tok
from assay.models.recipe import Recipe, total_steps
from assay.worlds.text import chain, countdown, lists, lookup
from assay.worlds.text.problem import Problem, digest

RECALL_PAIRS = (2, 9)
QUERIES = 6


@dataclass(frozen=True)
class Row:
    """Token ids of one example and, for each, whether the model is asked to predict it."""

    ids: list[int]
    asked: list[bool]


def rows_of_step(recipe: Recipe, step: int, seed: int) -> list[Row]:
    """The rows of one step; a function of its arguments alone."""
    seeds = [digest(seed, step, i) for i in range(recipe.rows)]
    if step < recipe.recall_steps:
        pairs = recall_pairs(step, recipe.recall_steps)
        return [recall_row(s, pairs) for s in seeds]
    mixed = step - recipe.recall_steps
    shares = recipe.early if mixed < recipe.early_steps else recipe.late
    return [problem_row(s, shares, short=mixed < recipe.short_steps) for s in seeds]


def data_hash(recipe: Recipe, seed: int) -> str:
    """SHA-256 over every token and mask of a whole training."""
    found = hashlib.sha256()
    for step in range(total_steps(recipe)):
        for row in rows_of_step(recipe, step, seed):
            found.update(bytes(row.ids) + bytes(row.asked) + b"\n")
    return found.hexdigest()


def recall_pairs(step: int, steps: int) -> int:
    """How many pairs a row holds at a step of a recall phase of `steps`."""
    fewest, most = RECALL_PAIRS
    return fewest + (most - fewest + 1) * step // steps


def recall_row(seed: int, pairs: int) -> Row:
    """`L4627 2849?` and then six lines `4627`, of which only the values are asked."""
    rng = random.Random(digest("recall", seed))
    keys = rng.sample(range(10, 100), pairs)
    values = [rng.randint(10, 99) for _ in keys]
    facts = " ".join(f"{k}{v}" for k, v in zip(keys, values))
    ids = [tok.BOS, tok.USER, *tok.encode(f"L{facts}?"), tok.BOT]
    asked = [False] * len(ids)
    for _ in range(QUERIES):
        i = rng.randrange(pairs)
        ids += tok.encode(f"{keys[i]}{values[i]}\n")
        asked += [False, True, False]
    return Row(ids, asked)


def worked_row(problem: Problem) -> Row:
    """The problem's prompt and its worked reply."""
    return pair_row(problem.prompt, problem.trace)


def pair_row(prompt: str, reply: str) -> Row:
    """`<bos><user>prompt<bot>reply<eos>`, the reply and its end asked."""
    head = [tok.BOS, tok.USER, *tok.encode(prompt), tok.BOT]
    asked = [*tok.encode(reply), tok.EOS]
    return asked_row(head, asked)


def asked_row(head: Sequence[int], asked: Sequence[int]) -> Row:
    """Ids to be read, and then those that are asked."""
    return Row([*head, *asked], [False] * len(head) + [True] * len(asked))


def problem_row(seed: int, shares: Mapping[str, float], short: bool) -> Row:
    """One training problem of the mixture; `short` draws lengths from the lower half of each range."""
    kind = random.Random(digest("kind", seed)).choices(list(shares), list(shares.values()))[0]
    if kind == "chain":
        return worked_row(chain.sample(seed, "train", steps=(2, 4) if short else chain.STEPS))
    if kind == "lookup":
        pairs, hops = ((4, 6), (1, 2)) if short else (lookup.PAIRS, lookup.HOPS)
        return worked_row(lookup.sample(seed, "train", pairs=pairs, hops=hops))
    if kind == "lists":
        letters, operations = ((4, 5), (1, 2)) if short else (lists.LETTERS, lists.OPERATIONS)
        return worked_row(lists.sample(seed, "train", letters=letters, operations=operations))
    if kind in ("countdown3", "countdown4"):
        return worked_row(countdown.sample(seed, "train", numbers=int(kind[-1])))
    raise ValueError(f"shares: got {kind!r}, wanted chain, lookup, countdown3, countdown4 or lists")
