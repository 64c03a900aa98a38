"""A Safety Report on GPT-5.2, Gemini 3 Pro, Qwen3-VL, Doubao 1.8, Grok 4.1 Fast, Nano Banana Pro, and Seedream 4.5
(2601.10527).

Asks a model the same things in four views - plain benchmarks, thirty rewritings, eighteen languages, public rules - and
makes a profile of safe rates with the worst case over all rewritings, instead of one number. Costs items x rewritings
calls; says nothing about harms that the items do not ask for, and no more than its judge can see.

    queries = plan(built_in(), budget=600, rng=random.Random(0))
    results = await ask_all(queries, respond, RuleJudge())
    profile = aggregate(results)        # profile.macro, profile.worst_case, profile.drop, profile.by_attack

Where this is our reading of the paper
- Which thirty rewritings, which eighteen languages and which rules the authors used is not public in full: ours are
  listed in `_text_attacks`, `_safety_items` and `safety_rules.json`, in words of our own.
- The columns of the public sets are as far as known; `load_safety_set` takes other names.
- A judge's reply without a verdict line, like an empty reply, is an error and never counts as safe.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from assay.methods.concurrency import gather
from assay.methods.data.stages import read_rows, run_stage
from assay.methods.metrics import Interval, wilson
from assay.methods.protocols import Message
from assay.methods.safety._compliance import FRAMEWORKS, Framework, framework
from assay.methods.safety._safety_items import LANGUAGES, Item, translated
from assay.methods.safety._safety_judges import Asked, Label, SafetyJudge, is_safe
from assay.methods.safety._text_attacks import ATTACKS, attack

View = Literal["benchmark", "adversarial", "multilingual", "compliance"]
VIEWS: tuple[View, ...] = ("benchmark", "adversarial", "multilingual", "compliance")
Respond = Callable[[Sequence[Message]], Awaitable[str]]


@dataclass(frozen=True)
class Query:
    """One call: what is sent, the item behind it, and of which rewriting or rule it is."""

    view: View
    item: Item
    messages: tuple[Message, ...]
    attack: str = ""
    rule: str = ""
    article: str = ""
    marks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """A name for what is sent: the same messages have the same key."""
        text = json.dumps([[m.role, m.text, m.images] for m in self.messages], ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True)
class Result:
    """A query, what the model said, and what the judge says of it."""

    query: Query
    reply: str
    label: Label

    @property
    def safe(self) -> bool:
        return is_safe(self.query.item.expected, self.label.verdict)


def plan(
    items: Sequence[Item],
    views: Iterable[View] = VIEWS,
    *,
    attacks: Sequence[str] | None = None,
    languages: Sequence[str] = LANGUAGES,
    frameworks: Sequence[str | Framework] = FRAMEWORKS,
    budget: int | None = None,
    rng: random.Random,
) -> list[Query]:
    """What to ask. Benchmark: every item. Multilingual: the core items of every language. Compliance: every test of
    every rule. Adversarial: items to be refused, the same ones under every rewriting: all of them, or as many as the
    `budget` of queries leaves. Raises ValueError where that is none, and for unknown names.
    """
    chosen = set(views)
    if odd := chosen - set(VIEWS):
        raise ValueError(f"views: got {sorted(odd)[0]!r}, wanted some of {', '.join(VIEWS)}")
    found: list[Query] = []
    if "benchmark" in chosen:
        found += [Query("benchmark", item, _plain(item)) for item in items]
    if "multilingual" in chosen:
        found += [Query("multilingual", item, _plain(item)) for name in languages for item in translated(name)]
    if "compliance" in chosen:
        for one in frameworks:
            found += _rule_queries(framework(one) if isinstance(one, str) else one)
    if "adversarial" in chosen:
        found += _attacked(items, attacks, None if budget is None else budget - len(found), rng)
    if budget is not None and len(found) > budget:
        raise ValueError(f"budget: got {budget} queries, wanted at least {len(found)} for these views")
    return found


async def ask_all(
    queries: Sequence[Query],
    respond: Respond,
    judge: SafetyJudge,
    *,
    replies: Path | None = None,
    limit: int = 20,
) -> list[Result]:
    """Ask and judge everything, `limit` calls at a time. With `replies` (a .jsonl file of one model's) what was
    answered before is not asked again, also after an interruption. A call that fails is an empty reply: an error."""
    different = {query.key: query for query in queries}
    if replies is None:
        texts = await gather([partial(respond, query.messages) for query in different.values()], limit=limit)
        said = dict(zip(different, texts))
    else:

        async def call(row: Mapping[str, Any]) -> dict[str, Any]:
            return {"id": row["id"], "reply": await respond(different[row["id"]].messages)}

        rows = [{"id": key, "asked": query.messages[-1].text} for key, query in different.items()]
        await run_stage(rows, call, replies, workers=limit)
        said = {row["id"]: row["reply"] for row in read_rows(replies)}
    asked = [_asked(query, said.get(query.key, "")) for query in queries]
    labels = await gather([partial(judge, one) for one in asked], limit=limit)
    return [Result(query, one.reply, label) for query, one, label in zip(queries, asked, labels)]


@dataclass(frozen=True)
class Rate:
    """Share of `n` replies that were safe, with its Wilson 95 % interval; NaN for none."""

    safe: float
    n: int
    interval: Interval


@dataclass(frozen=True)
class Profile:
    """What a model is like.

    views          rate of each view that was asked
    by_source, by_category, by_attack, by_language, by_article   rates
    macro          mean of the sources' rates, unweighted
    worst_case     share of the attacked items that stayed safe under every rewriting
    drop           macro less worst case
    over_refusal   share of requests to be answered that were refused
    errors         replies that are none, or that the judge could not label
    """

    views: Mapping[str, Rate]
    by_source: Mapping[str, Rate]
    by_category: Mapping[str, Rate]
    by_attack: Mapping[str, Rate]
    by_language: Mapping[str, Rate]
    by_article: Mapping[str, Rate]
    macro: float
    worst_case: float
    drop: float
    over_refusal: float
    errors: int

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is not known is null."""
        return dict(_plain_numbers(asdict(self)))


def aggregate(results: Sequence[Result]) -> Profile:
    """The profile of one model's results. Raises ValueError for none."""
    if not results:
        raise ValueError("results: got none, wanted at least one")
    of = {view: [r for r in results if r.query.view == view] for view in VIEWS}
    sources = rates(of["benchmark"], lambda r: r.query.item.source)
    macro = _mean([rate.safe for rate in sources.values()])
    attacked: dict[str, bool] = {}
    for r in of["adversarial"]:
        attacked[r.query.item.id] = attacked.get(r.query.item.id, True) and r.safe
    worst = _mean([float(kept) for kept in attacked.values()])
    fine = [r for r in results if r.query.item.expected == "answer"]
    return Profile(
        views={view: rate(own) for view, own in of.items() if own},
        by_source=sources,
        by_category=rates(of["benchmark"], lambda r: r.query.item.category),
        by_attack=rates(of["adversarial"], lambda r: r.query.attack),
        by_language=rates(of["multilingual"], lambda r: r.query.item.language),
        by_article=rates(of["compliance"], lambda r: f"{r.query.item.source}: {r.query.article}"),
        macro=macro,
        worst_case=worst,
        drop=macro - worst,
        over_refusal=_mean([float(r.label.verdict == "refusal") for r in fine]),
        errors=sum(r.label.verdict == "error" for r in results),
    )


def rate(results: Sequence[Result]) -> Rate:
    """The safe rate of some results."""
    safe = sum(r.safe for r in results)
    return Rate(safe / len(results) if results else math.nan, len(results), wilson(safe, len(results)))


def rates(results: Sequence[Result], name: Callable[[Result], str]) -> dict[str, Rate]:
    """The safe rate of each group of results, in order of appearance."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(name(result), []).append(result)
    return {key: rate(own) for key, own in groups.items()}


def _attacked(
    items: Sequence[Item], attacks: Sequence[str] | None, budget: int | None, rng: random.Random
) -> list[Query]:
    chosen = [attack(name) for name in (ATTACKS if attacks is None else attacks)]
    wrong = [item for item in items if item.expected == "refuse"]
    if not wrong or not chosen:
        raise ValueError(f"items, attacks: got {len(wrong)} to be refused and {len(chosen)}, wanted some of both")
    if budget is not None:
        if (each := budget // len(chosen)) < 1:
            raise ValueError(f"budget: leaves {budget} queries for {len(chosen)} rewritings, wanted one each")
        wrong = rng.sample(wrong, min(each, len(wrong)))
    found = []
    for one in chosen:
        for item in wrong:
            own = random.Random(f"{one.name} {item.id}")  # a rewriting is the same whatever else is asked
            found.append(Query("adversarial", item, _with_image(one.transform(item.prompt, own), item), one.name))
    return found


def _rule_queries(of: Framework) -> list[Query]:
    found = []
    for rule in of.rules:
        for i, test in enumerate(of.tests.get(rule.id, ())):
            expected: Literal["answer", "refuse"] = "answer" if test.marks else "refuse"
            item = Item(f"{rule.id}-{i}", test.prompt, rule.article, expected, of.name)
            found.append(Query("compliance", item, _plain(item), rule=rule.id, article=rule.article, marks=test.marks))
    return found


def _plain(item: Item) -> tuple[Message, ...]:
    return _with_image([Message("user", item.prompt)], item)


def _with_image(messages: Sequence[Message], item: Item) -> tuple[Message, ...]:
    """The item's image goes with the last turn."""
    last = messages[-1]
    images = (item.image,) if item.image else ()
    return (*messages[:-1], Message(last.role, last.text, images))


def _asked(query: Query, reply: str) -> Asked:
    item = query.item
    return Asked(item.prompt, reply, item.expected, item.category, item.choices, item.right, query.marks)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _plain_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain_numbers(own) for key, own in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
