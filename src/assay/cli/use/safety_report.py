"""Profile models' safety: plain requests, thirty rewritings, eighteen languages and public rules (2601.10527)."""

from __future__ import annotations

import argparse
import json
import random
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.protocols import Message, Sampler
    from assay.methods.safety._compliance import Framework
    from assay.methods.safety._safety_items import Item
    from assay.methods.safety.safety_report import Query, Result, View

VIEWS = ("benchmark", "adversarial", "multilingual", "compliance")
MODALITIES = ("text", "vl")
BLIND = ("assay/",)  # providers whose models read text only
AUDITED = 50


def configure(verbs: Any) -> None:
    report = verbs.add_parser("report", help="ask one or more models, judge the replies, write the profiles")
    report.add_argument(
        "--model", action="append", required=True, metavar="M", help="any Inspect model; several: repeat"
    )
    report.add_argument("--out", type=Path, required=True, metavar="DIR", help="report.html, report.json, replies")
    report.add_argument("--view", action="append", choices=VIEWS, help="only this view; several: repeat (default: all)")
    local = "a local copy of a public set (alert, bbq, …) or own=FILE, in place of the built-in items"
    report.add_argument("--items", action="append", metavar="NAME=FILE", default=[], help=local)
    report.add_argument("--modality", choices=MODALITIES, default="text", help="vl: items with images, too")
    report.add_argument("--attacks", metavar="A,B", help="only these rewritings")
    report.add_argument("--languages", metavar="en,sw,…", help="only these languages")
    report.add_argument("--regulation", type=Path, metavar="FILE", help="a document whose rules are tried as well")
    report.add_argument("--judge", metavar="M", help="guard model; without it, phrases in 18 languages decide")
    report.add_argument("--budget", type=int, metavar="N", help="queries a model; fewer items are rewritten")
    report.add_argument("--max-tokens", type=int, default=256)
    report.add_argument("--connections", type=int, default=20, metavar="N", help="calls at a time")
    report.add_argument("--seed", type=int, default=0)
    report.set_defaults(run=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.cli.safety_page import as_page
    from assay.methods.concurrency import run_sync
    from assay.methods.safety.safety_report import aggregate, ask_all

    models = list(dict.fromkeys(arguments.model))
    queries = planned(arguments, models)
    arguments.out.mkdir(parents=True, exist_ok=True)
    judges = made_judges(arguments)
    profiles, every = {}, {}
    for model in models:
        asked = partial(
            ask_all,
            queries,
            responder(model, arguments),
            judges[0],
            replies=arguments.out / f"replies-{file_name(model)}.jsonl",
            limit=arguments.connections,
        )
        every[model] = run_sync(asked)
        profiles[model] = aggregate(every[model])
        print(f"{model}: {one_line(profiles[model])}")
    content = {
        "schema": "assay.safety_report/1",
        "queries": len(queries),
        "judge": arguments.judge or "phrases",
        "models": {model: profile.to_json() for model, profile in profiles.items()},
    }
    if len(judges) > 1:
        content["agreement"] = agreement(every, judges[1], arguments)
    outputs = {
        "report.html": as_page(profiles, len(queries), content["judge"]),
        "report.json": json.dumps(content, indent=1),
    }
    for name, text in outputs.items():
        with replacing(arguments.out / name) as part:
            part.write_text(text + "\n", "utf-8")
    print(f"wrote {', '.join(str(arguments.out / name) for name in outputs)}")
    return 0


def planned(arguments: argparse.Namespace, models: list[str]) -> list[Query]:
    """What every model is asked. Wrong names and a budget too small are told before any call."""
    from assay.methods.safety._compliance import FRAMEWORKS
    from assay.methods.safety._safety_items import LANGUAGES
    from assay.methods.safety.safety_report import plan

    items = read_items(arguments, models)
    views: list[View] = list(dict.fromkeys(arguments.view or VIEWS))
    attacks = _words(arguments.attacks) if arguments.attacks else None
    languages = _words(arguments.languages) if arguments.languages else LANGUAGES
    own: list[Framework] = [read_regulation(arguments)] if arguments.regulation else []
    return plan(
        items,
        views,
        attacks=attacks,
        languages=languages,
        frameworks=[*FRAMEWORKS, *own],
        budget=arguments.budget,
        rng=random.Random(arguments.seed),
    )


def read_items(arguments: argparse.Namespace, models: list[str]) -> list[Item]:
    """The built-in items, or those of the files; images only for models that take them."""
    from assay.methods.safety._safety_items import built_in, load_safety_set

    items: list[Item] = []
    for word in arguments.items:
        name, equals, file = word.partition("=")
        if not equals or not Path(file).is_file():
            raise UserError(f"--items {word}: wanted NAME=FILE of a file that is there")
        items += load_safety_set(name, Path(file))
    items = items or list(built_in())
    pictured = any(item.image for item in items)
    if arguments.modality == "vl":
        if not pictured:
            raise UserError("--modality vl: no item has an image; give some with --items NAME=FILE")
        for model in models:
            if model.startswith(BLIND):
                raise UserError(f"model {model} takes no images; drop --modality vl")
    elif pictured:
        items = [item for item in items if not item.image]
        if not items:
            raise UserError("--items: every item has an image; add --modality vl")
    return items


def read_regulation(arguments: argparse.Namespace) -> Framework:
    """The rules and tests of a document, as the judge model reads it."""
    from assay.cli.rows import read_text
    from assay.integrations.inspect.models import complete
    from assay.methods.concurrency import run_sync
    from assay.methods.safety._compliance import read_framework

    text = read_text(arguments.regulation)
    if not arguments.judge:
        raise UserError("--regulation: a model must read the document; name one with --judge")
    return run_sync(partial(read_framework, arguments.regulation.stem, text, complete(arguments.judge)))


def made_judges(arguments: argparse.Namespace) -> list[Any]:
    """The judge that decides, and the phrases beside a model, to see how far they agree."""
    from assay.methods.safety._safety_judges import ModelJudge, RuleJudge

    if not arguments.judge:
        return [RuleJudge()]
    from assay.integrations.inspect.models import complete

    return [ModelJudge(complete(arguments.judge)), RuleJudge()]


def responder(model: str, arguments: argparse.Namespace) -> Any:
    """The model as a function from a conversation to its reply, greedy."""
    from assay.integrations.inspect.models import sampler

    draw: Sampler = sampler(model)

    async def respond(messages: tuple[Message, ...]) -> str:
        (sample,) = await draw(messages, max_tokens=arguments.max_tokens, temperature=0.0)
        return sample.text

    return respond


def agreement(every: dict[str, list[Result]], other: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    """Kappa of the guard model and the phrases, and a file of replies for a person to read."""
    from assay.cli.files import replacing
    from assay.methods.safety._safety_judges import Asked, audit_sample, judge_kappa

    rows, names = [], []
    for model, results in every.items():
        for result in results:
            item = result.query.item
            asked = Asked(
                item.prompt, result.reply, item.expected, item.category, item.choices, item.right, result.query.marks
            )
            rows.append((asked, result.label, other.label(asked)))
            names.append(model)
    found = judge_kappa([row[1] for row in rows], [row[2] for row in rows])
    chosen = audit_sample(rows, AUDITED, random.Random(arguments.seed))
    with replacing(arguments.out / "audit.csv") as part:
        part.write_text(_audit([(names[i], *rows[i]) for i in chosen]), "utf-8")
    return {"kappa": None if found.value != found.value else found.value, "same": found.observed, "n": found.n}


def _audit(rows: list[Any]) -> str:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "request", "reply", "expected", "guard", "phrases", "yours"))
    for model, asked, guard, phrases in rows:
        writer.writerow((model, asked.prompt, asked.reply, asked.expected, guard.verdict, phrases.verdict, ""))
    return text.getvalue()


def one_line(profile: Any) -> str:
    """The profile's main figures."""
    views = ", ".join(f"{view} {rate.safe:.1%}" for view, rate in profile.views.items())
    worst = "" if profile.worst_case != profile.worst_case else f"; worst case {profile.worst_case:.1%}"
    over = (
        "" if profile.over_refusal != profile.over_refusal else f"; refuses {profile.over_refusal:.1%} of fine requests"
    )
    return f"safe on {views}{worst}{over}; {profile.errors} errors"


def file_name(model: str) -> str:
    """A model's name as part of a file's."""
    return "".join(c if c.isalnum() or c in "-." else "_" for c in model)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
