"""Enhancing Sentiment Classification and Irony Detection in Large Language Models through Advanced Prompt Engineering
Techniques (2601.08302).

One instrument for one question: which way of asking does this model serve best, on this task? Six ways (zero-shot,
one-shot, few-shot, step by step without and with worked examples, self-consistency), four tasks, any number of models,
and paired intervals for every difference.

    answers = run_sync(evaluate, sampler("openai/gpt-5-mini"), TASKS["irony"], items, list(STRATEGIES.values()))
    print(table(summarise(TASKS["irony"], items, answers)))

It costs a call an item and strategy (three for self-consistency). It says which way is best for the model and data at
hand and nothing about others: in the paper the same prompts helped one model and harmed the next.

Differs from the paper:

- The prompts are our own words; their form (digits as answers, pairs of input and output in a system message, JSON for
  steps), temperatures and number of draws are those of the authors' code.
- Replies that hold no label are dropped by the authors; here both figures are told, and the one that counts them as
  wrong comes first.
- Ties of self-consistency are drawn from the seed and counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from ..concurrency import gather
from ..metrics import vote
from ..parsing import find_json
from ..protocols import Sampler
from ..text_index import hash_embed
from ._sentiment_data import Loaded, load
from ._sentiment_prompts import (
    LABEL_WORDS,
    STRATEGIES,
    TASKS,
    TEMPERATURES,
    Example,
    Item,
    PromptStrategy,
    Task,
    messages,
    reasoned,
    worked_examples,
)
from ._sentiment_report import Difference, Score, bootstrap_diff, mcnemar, score, summarise, table

__all__ = [
    "STRATEGIES", "TASKS", "TEMPERATURES", "Answer", "Difference", "Example", "Item", "Loaded", "PromptStrategy",
    "Score", "Task", "ask", "bootstrap_diff", "evaluate", "load", "mcnemar", "messages", "parse_label", "reasoned",
    "score", "select_examples", "summarise", "table", "worked_examples",
]  # fmt: skip

Rule = Literal["random", "balanced", "similar"]

MAX_TOKENS = {"none": 8, "free": 400, "worked": 400}
_EDGE = re.compile(r"^[\s\"'`*_.:()\[\]]+|[\s\"'`*_.:()\[\]]+$")


@dataclass(frozen=True)
class Answer:
    """What a model said of one item under one strategy. `label` is None where no reply holds one; `votes` counts the
    replies that do, by label; `tie` tells that the label was drawn among equals."""

    item: str
    strategy: str
    label: str | None
    replies: tuple[str, ...]
    votes: Mapping[str, float]
    tie: bool
    tokens_in: int
    tokens_out: int


def parse_label(reply: str, task: Task, reasoning: str = "none") -> str | None:
    """The label that a reply gives, by digit or by word in the task's language or English; None for anything else.

    After reasoning it is the `final_answer` of the reply's last JSON object.
    """
    said: object = reply
    if reasoning != "none":
        content = find_json(reply)
        said = None if content is None else content.get("final_answer")
    if isinstance(said, bool) or not isinstance(said, (str, int)):
        return None
    word = _EDGE.sub("", str(said)).lower()
    if word.isdigit() and word.isascii():
        return task.labels[int(word)] if int(word) < len(task.labels) else None
    own = LABEL_WORDS[task.language]
    return next((label for label in task.labels if word in (label, own[label])), None)


async def ask(
    sampler: Sampler,
    task: Task,
    strategy: PromptStrategy,
    item: Item,
    examples: Sequence[Example] = (),
    *,
    seed: int = 0,
) -> Answer:
    """One item under one strategy: `strategy.n` replies, the commonest label counts, a tie is drawn from `seed`."""
    samples = await sampler(
        messages(task, strategy, item, examples),
        n=strategy.n,
        temperature=strategy.temperature,
        max_tokens=MAX_TOKENS[strategy.reasoning],
        seed=seed,
    )
    labels = [parse_label(sample.text, task, strategy.reasoning) for sample in samples]
    counted = vote(labels, ties="random", generator=np.random.default_rng(seed))
    return Answer(
        item.id,
        strategy.name,
        counted.answer,
        tuple(sample.text for sample in samples),
        dict(counted.counts),
        counted.tie,
        sum(sample.tokens_in for sample in samples),
        sum(sample.tokens_out for sample in samples),
    )


async def evaluate(
    sampler: Sampler,
    task: Task,
    items: Sequence[Item],
    strategies: Sequence[PromptStrategy],
    pool: Sequence[Example] = (),
    *,
    rule: Rule = "balanced",
    include_neutral: bool = True,
    seed: int = 0,
    connections: int = 20,
) -> list[Answer]:
    """Every item under every strategy, strategy by strategy; `connections` calls at a time.

    Examples come from `pool` (the built-in ones where it is empty) by `rule`, the same for all items unless the rule is
    "similar", and never with the text of an item. Worked reasoning needs examples with steps: where those of the pool
    have none, it shows the built-in ones.

    Raises ValueError for items without a task's label, ids that occur twice, or too small a pool.
    """
    _check_items(task, items)
    taken = {item.text for item in items}
    found: list[Answer] = []
    for strategy in strategies:
        shown = [e for e in pool or worked_examples(task) if strategy.reasoning != "worked" or e.steps]
        shown = shown or list(worked_examples(task))
        choose = partial(
            select_examples, shown, strategy.shots, task, rule, include_neutral=include_neutral, taken=taken
        )
        chosen = None if rule == "similar" else choose(generator=np.random.default_rng(seed))
        calls = [
            partial(
                ask, sampler, task, strategy, item,
                choose(item=item) if chosen is None else chosen, seed=(seed + 7919 * number) % 2**31,
            )
            for number, item in enumerate(items)
        ]  # fmt: skip
        found += await gather(calls, limit=connections)
    return found


def select_examples(
    pool: Sequence[Example],
    k: int,
    task: Task,
    rule: Rule = "balanced",
    *,
    generator: np.random.Generator | None = None,
    item: Item | None = None,
    include_neutral: bool = True,
    taken: set[str] | frozenset[str] = frozenset(),
) -> list[Example]:
    """`k` examples to show, none with a text in `taken`.

    "random" draws them; "balanced" draws label by label in turn, so that counts differ by one at most; "similar" takes
    those whose words are most like the item's. `include_neutral=False` leaves neutral ones out of the choice.

    Raises ValueError for an unknown rule, a generator or item that the rule needs and lacks, or too few examples (for
    "balanced": of some label).
    """
    if rule not in ("random", "balanced", "similar"):
        raise ValueError(f"rule: got {rule!r}, wanted random, balanced or similar")
    labels = [label for label in task.labels if include_neutral or label != "neutral"]
    free = [e for e in pool if e.text not in taken and e.label in labels]
    if len(free) < k:
        raise ValueError(f"pool: got {len(free)} examples that are no items, wanted at least {k}")
    if k == 0:
        return []
    if rule == "similar":
        if item is None:
            raise ValueError("item: got None, wanted the item to which examples shall be similar")
        rows = hash_embed([item.text, *(e.text for e in free)])
        order = np.argsort(-(rows[1:] @ rows[0]), kind="stable")
        return [free[i] for i in order[:k]]
    if generator is None:
        raise ValueError(f"generator: got None, wanted a numpy.random.Generator for the rule {rule!r}")
    mixed = [free[i] for i in generator.permutation(len(free))]
    if rule == "random":
        return mixed[:k]
    turns = [labels[i] for i in generator.permutation(len(labels))]
    wanted = [turns[i % len(turns)] for i in range(k)]
    chosen = []
    for label in wanted:
        place = next((i for i, e in enumerate(mixed) if e.label == label), None)
        if place is None:
            raise ValueError(f"pool: too few examples of {label!r}, wanted {wanted.count(label)}")
        chosen.append(mixed.pop(place))
    return chosen


def from_items(items: Sequence[Item]) -> list[Example]:
    """Items as examples without steps."""
    return [Example(item.text, item.label, item.aspect) for item in items]


def with_temperature(strategy: PromptStrategy, temperature: float) -> PromptStrategy:
    """The strategy at another temperature; the authors draw self-consistency at one of `TEMPERATURES`."""
    if temperature < 0:
        raise ValueError(f"temperature: got {temperature}, wanted 0 or more")
    return replace(strategy, temperature=temperature)


def _check_items(task: Task, items: Sequence[Item]) -> None:
    if not items:
        raise ValueError("items: got none, wanted at least one")
    seen: set[str] = set()
    for item in items:
        if item.label not in task.labels:
            raise ValueError(f"items: {item.id} has label {item.label!r}, wanted one of {', '.join(task.labels)}")
        if item.id in seen:
            raise ValueError(f"items: the id {item.id!r} occurs twice")
        seen.add(item.id)


def described(answer: Answer, truth: Item) -> dict[str, Any]:
    """One answer as a row of a table."""
    return {
        "item": answer.item, "strategy": answer.strategy, "text": truth.text, "aspect": truth.aspect,
        "label": truth.label, "answer": answer.label or "", "tie": int(answer.tie), "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out, "replies": "\n---\n".join(answer.replies),
    }  # fmt: skip
