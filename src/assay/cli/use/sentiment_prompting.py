"""Compare six ways of asking about sentiment, aspects or irony, for any number of models (2601.08302)."""

from __future__ import annotations

import argparse
import csv
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.evaluation.sentiment_prompting import Answer, Example, Item, PromptStrategy, Task

TASKS = ("binary", "three_class", "aspect", "irony")


def configure(verbs: Any) -> None:
    run = verbs.add_parser(
        "run", help="ask models about labelled texts in several ways, and tell what the ways differ by"
    )
    run.add_argument("--data", type=Path, required=True, metavar="FILE",
                     help="CSV, TSV, or SemEval-2014's XML; the public files' columns are known")  # fmt: skip
    run.add_argument("--task", choices=TASKS, required=True)
    run.add_argument("--model", action="append", required=True, metavar="M",
                     help="any Inspect model, or a built-in one (nano, micro); may be repeated")  # fmt: skip
    run.add_argument("--strategies", default="all", metavar="A,B|all", help="ways of asking (default: all six)")
    run.add_argument("--language", choices=("en", "de"), default="en", help="of the prompts (default: en)")
    run.add_argument("--text-column", metavar="NAME")
    run.add_argument("--label-column", metavar="NAME")
    run.add_argument("--aspect-column", metavar="NAME")
    run.add_argument("--pool", type=Path, metavar="FILE", help="labelled texts to show as examples (default: built-in)")
    run.add_argument("--examples", choices=("random", "balanced", "similar"), default="balanced",
                     help="how examples are chosen from the pool (default: balanced)")  # fmt: skip
    run.add_argument("--limit", type=int, metavar="N", help="ask about the first N texts only")
    run.add_argument("--temperature", type=float, default=1.0, metavar="T", help="of self-consistency (default: 1.0)")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--connections", type=int, default=20, metavar="N", help="calls at a time")
    run.add_argument("--out", type=Path, default=Path("sentiment"), metavar="DIR",
                     help="folder for answers.csv, report.json and report.html (default: sentiment)")  # fmt: skip
    run.set_defaults(run=run_run)


def run_run(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from assay.methods.evaluation import sentiment_prompting as method

    if arguments.limit is not None and arguments.limit < 1:
        raise UserError(f"--limit {arguments.limit}: wanted at least 1")
    task = replace(method.TASKS[arguments.task], language=arguments.language)
    strategies = chosen(arguments.strategies, arguments.temperature)
    columns = {name: getattr(arguments, name) for name in ("text_column", "label_column", "aspect_column")}
    loaded = method.load(arguments.data, task, **columns)
    pool = method.from_items(method.load(arguments.pool, task, **columns).items) if arguments.pool else []
    items = loaded.items[: arguments.limit]
    answers = {model: asked(model, task, items, strategies, pool, arguments) for model in arguments.model}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        summaries = {
            model: method.summarise(task, items, found, seed=arguments.seed) for model, found in answers.items()
        }
    write(arguments.out, summaries, answers, items, loaded.unlabelled)
    for model, summary in summaries.items():
        print(f"{model}, {task.name}, {len(items)} texts\n{method.table(summary)}\n")
    if loaded.unlabelled:
        print(f"{len(loaded.unlabelled)} rows without a label left out, the first {loaded.unlabelled[0]}")
    for warning in {str(w.message) for w in told if "common items" in str(w.message)}:
        print(f"note: {warning}")
    print(f"wrote {arguments.out}/answers.csv, report.json and report.html")
    return 0


def chosen(words: str, temperature: float) -> list[PromptStrategy]:
    """The strategies that a user names, self-consistency at the given temperature."""
    from assay.methods.evaluation.sentiment_prompting import STRATEGIES, with_temperature

    names = list(STRATEGIES) if words == "all" else words.split(",")
    for name in names:
        if name not in STRATEGIES:
            raise UserError(f"--strategies: no strategy {name!r}; there are {', '.join(STRATEGIES)}")
    return [with_temperature(STRATEGIES[n], temperature) if STRATEGIES[n].n > 1 else STRATEGIES[n] for n in names]


def asked(
    model: str,
    task: Task,
    items: tuple[Item, ...],
    strategies: list[PromptStrategy],
    pool: list[Example],
    arguments: argparse.Namespace,
) -> list[Answer]:
    """All answers of one model."""
    from functools import partial

    from assay.methods.concurrency import run_sync
    from assay.methods.evaluation.sentiment_prompting import evaluate
    from assay.models.access import sampler

    options: dict[str, Any] = {"rule": arguments.examples, "seed": arguments.seed, "connections": arguments.connections}
    return run_sync(partial(evaluate, sampler(model), task, items, strategies, pool, **options))


def write(
    out: Path,
    summaries: dict[str, dict[str, Any]],
    answers: dict[str, list[Answer]],
    items: tuple[Item, ...],
    unlabelled: tuple[str, ...],
) -> None:
    """The three files, each whole or not there."""
    from assay.cli.files import replacing
    from assay.cli.sentiment_page import as_page
    from assay.methods.evaluation.sentiment_prompting import described

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror}") from error
    by_id = {item.id: item for item in items}
    rows = [{"model": model, **described(a, by_id[a.item])} for model, found in answers.items() for a in found]
    with replacing(out / "answers.csv") as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"schema": "assay.sentiment/1", "models": summaries, "unlabelled": list(unlabelled)}
    with replacing(out / "report.json") as part:
        part.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n", "utf-8")
    with replacing(out / "report.html") as part:
        part.write_text(as_page(summaries, answers, by_id), "utf-8")
