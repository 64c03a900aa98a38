"""Compare models by the tail of the harm in their replies, as several judges rate it (2601.21235)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.safety._sharp_report import Score, SharpReport

COLUMNS = ("model", "prompt_id", "judge", "dimension", "subquestion", "score")
WORST = 20


def configure(verbs: Any) -> None:
    profile = verbs.add_parser("profile", help="rate replies (or read ratings) and report every model's risk profile")
    profile.add_argument(
        "replies",
        type=Path,
        nargs="?",
        metavar="REPLIES.jsonl",
        help="a line a reply: `model`, `prompt_id`, `prompt`, `reply`, and `attribute` of whom it is about, if any",
    )
    profile.add_argument(
        "--judges", metavar="M1,M2,M3", help="models that rate, of any Inspect provider; four calls a reply"
    )
    profile.add_argument("--scores", type=Path, metavar="CSV", help=f"ratings that are there: {','.join(COLUMNS)}")
    profile.add_argument(
        "--out", type=Path, default=Path("sharp.html"), metavar="HTML", help="with .json and .csv beside"
    )
    profile.add_argument("--alpha", type=float, default=0.95, help="the tail is the worst 1 - alpha of the prompts")
    profile.add_argument("--aggregate", choices=("lse", "rms", "mean"), default="lse", help="how judges are joined")
    profile.add_argument("--allow-missing", action="store_true", help="keep prompts that lack some judge's score")
    profile.add_argument("--connections", type=int, default=20, metavar="N", help="calls at a time")
    profile.set_defaults(run=run_profile)


def run_profile(arguments: argparse.Namespace) -> int:
    from assay.cli.files import replacing
    from assay.cli.rows import read_jsonl
    from assay.cli.sharp_page import as_page
    from assay.methods.safety._sharp_report import ratings, report

    if (arguments.judges is None) == (arguments.scores is None):
        raise UserError("give either --judges M1,M2,M3 with a file of replies, or --scores CSV")
    if arguments.out.suffix != ".html":
        raise UserError(f"--out {arguments.out}: wanted a name that ends in .html")
    fields = ("model", "prompt_id", "prompt", "reply")
    replies = read_jsonl(arguments.replies, fields) if arguments.replies is not None else []
    rows = read_scores(arguments.scores) if arguments.scores else judged(replies, arguments)
    given = ratings(rows)
    about = {str(row["prompt_id"]): str(row["attribute"]) for row in replies if row.get("attribute")}
    attributes = [about.get(prompt, "none named") for prompt in given.prompts] if about else None
    found = report(given, attributes, arguments.alpha, arguments.aggregate, allow_missing=arguments.allow_missing)
    texts = {(str(row["model"]), str(row["prompt_id"])): row for row in replies}
    worst = worst_replies(found, texts)
    content = {**found.content, "worst": worst}
    outputs = {
        arguments.out: as_page(found, worst),
        arguments.out.with_suffix(".json"): json.dumps(content, indent=1, allow_nan=False) + "\n",
        arguments.out.with_suffix(".csv"): as_csv(rows if arguments.judges else [], found),
    }
    for path, text in outputs.items():
        with replacing(path) as part:
            part.write_text(text, "utf-8")
    print(as_text(found))
    print(f"wrote {', '.join(map(str, outputs))}")
    return 0


def read_scores(file: Path) -> list[Score]:
    """The rows of a file of ratings; an empty score is a missing one."""
    from assay.cli.rows import numbers, read_columns

    *keys, scores = read_columns(file, COLUMNS)
    filled = [i for i, cell in enumerate(scores) if cell not in (None, "")]
    given = numbers([scores[i] for i in filled], "score")
    return [(*(str(column[i]) for column in keys), value) for i, value in zip(filled, given)]  # type: ignore[misc]


def judged(replies: list[dict[str, Any]], arguments: argparse.Namespace) -> list[Score]:
    """Every judge's severities of every reply. What a judge does not answer in form, asked twice, is left out."""
    import math
    from functools import partial
    from itertools import product

    from assay.integrations.inspect.models import complete
    from assay.methods.concurrency import gather, run_sync
    from assay.methods.safety._sharp_rubric import DIMENSIONS, ask_judge

    if not replies:
        raise UserError("--judges wants a file of replies")
    names = [name.strip() for name in arguments.judges.split(",") if name.strip()]
    if len(set(names)) < 3:
        raise UserError(f"--judges: got {len(set(names))}, wanted at least 3 different models, separated by commas")
    judges = {name: complete(name) for name in names}
    asked = list(product(replies, judges, DIMENSIONS))
    calls = [partial(ask_judge, judges[name], d, str(row["prompt"]), str(row["reply"])) for row, name, d in asked]

    async def all_of_them() -> list[dict[str, float]]:
        return await gather(calls, limit=arguments.connections)

    rows: list[Score] = []
    unanswered = 0
    for (row, name, dimension), severities in zip(asked, run_sync(all_of_them)):
        for question, value in severities.items():
            if math.isnan(value):
                unanswered += 1
            else:
                rows.append((str(row["model"]), str(row["prompt_id"]), name, dimension, question, value))
    if unanswered:
        print(f"{unanswered} severities were not given in form, also when asked again: counted as missing")
    return rows


def worst_replies(found: SharpReport, texts: dict[tuple[str, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """The replies of highest risk over all models, with what is known of their texts."""
    from assay.methods.safety._sharp_rubric import DIMENSIONS

    rows = []
    for model, profile in found.profiles.items():
        for i in profile.worst(WORST):
            row = texts.get((model, found.prompts[i]), {})
            shown = {"model": model, "prompt_id": found.prompts[i], "risk": float(profile.risk[i])}
            shown |= {d: float(x) for d, x in zip(DIMENSIONS, profile.harm[i])}
            rows.append({**shown, "reply": str(row.get("reply", ""))})
    return sorted(rows, key=lambda row: -row["risk"])[:WORST]


def as_text(found: SharpReport) -> str:
    """The models from least to most tail risk, and pairs that mean and tail order differently."""
    from assay.cli.words import rows

    content, tail = found.content, f"CVaR{100 * found.content['alpha']:g}"
    models = sorted(content["models"].items(), key=lambda item: item[1]["cvar"])
    table = [["model", "mean", tail, "95 % interval", "excess", "most of the tail"]]
    for name, one in models:
        share = max(one["shortfall_by_dimension"].items(), key=lambda item: item[1])[0]
        low_high = "[{:.3f}, {:.3f}]".format(*one["intervals"]["cvar"]) if one["intervals"] else "–"
        table.append([name, f"{one['mean']:.3f}", f"{one['cvar']:.3f}", low_high, f"{one['excess']:.3f}", share])
    lines = [rows(table), f"{content['prompts']} prompts, {content['prompts_left_out']} left out for a missing score"]
    for pair in content["comparisons"]:
        if pair["flip"]:
            lines.append(f"{pair['a']} and {pair['b']}: the mean puts one first, the tail the other")
    return "\n".join(lines)


def as_csv(rows: list[Score], found: SharpReport) -> str:
    """The ratings as they came from the judges, or else the risk of every reply."""
    import csv
    import io

    from assay.methods.safety._sharp_rubric import DIMENSIONS

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerows([COLUMNS, *rows])
    else:
        writer.writerow(("model", "prompt_id", "risk", *DIMENSIONS))
        for model, profile in found.profiles.items():
            for prompt, risk, h in zip(found.prompts, profile.risk.tolist(), profile.harm.tolist()):
                writer.writerow((model, prompt, risk, *h))
    return text.getvalue()
