"""Run plotting code that a model wrote, in a sandbox, and score answer, code and picture (2601.04582)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.rl_text2vis import Expected, Scored


def configure(verbs: Any) -> None:
    score = verbs.add_parser("score", help="answer, code and picture scores of each reply, with the pictures")
    score.add_argument("file", type=Path, help='JSONL: {"question", "response", "answer"}, at wish "expected"')
    score.add_argument("--table", type=Path, required=True, metavar="CSV", help="the table; the code sees it as `df`")
    score.add_argument("--judge", metavar="MODEL", help="Inspect vision model; without one the figure's artists judge")
    score.add_argument("--intent", metavar="MODEL", help="Inspect model that reads the code (default: the judge's)")
    score.add_argument("--pictures", type=Path, metavar="DIR", help="write each reply's figure there as N.png")
    score.add_argument("--timeout", type=float, default=10, metavar="S", help="seconds a code may take (default: 10)")
    score.add_argument("--json", action="store_true", help="print a JSON object a reply")
    score.set_defaults(run=run_score)


def run_score(arguments: argparse.Namespace) -> int:
    from functools import partial

    from assay.cli.rows import read_jsonl
    from assay.integrations.sandbox import Session
    from assay.methods.concurrency import run_sync
    from assay.methods.parsing import ReplyError
    from assay.methods.post_training.rl_text2vis import Plotter, score_reply

    rows = read_jsonl(arguments.file, ("question", "response", "answer"))
    expected = [read_expected(row.get("expected"), f"{arguments.file}, row {i}") for i, row in enumerate(rows, 1)]
    table, (judge, intent) = read_table(arguments.table), judges(arguments.judge, arguments.intent)
    wants_png = arguments.pictures is not None or arguments.judge is not None
    if arguments.pictures is not None:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    found: list[Scored | None] = []
    with Plotter(Session, timeout=arguments.timeout, dpi=100) as plotter:
        draw = partial(plotter, table=table, png=wants_png)
        for number, (row, wanted) in enumerate(zip(rows, expected), 1):
            texts = [str(row[name]) for name in ("question", "response", "answer")]
            try:
                one = run_sync(score_reply, *texts, draw, judge, intent, wanted)
            except ReplyError:
                found.append(None)
            else:
                found.append(one)
                if arguments.pictures is not None and one.result is not None and one.result.png:
                    save(arguments.pictures / f"{number}.png", one.result.png)
            shown = described(number, found[-1])
            print(json.dumps(shown, ensure_ascii=False) if arguments.json else as_text(shown))
    if not arguments.json:
        print_summary(found, arguments)
    return 0


def judges(judge: str | None, intent: str | None) -> tuple[Any, Any]:
    """The judge of pictures and the judge of intent; without models the figure's artists, and code that draws."""
    from assay.methods.post_training.rl_text2vis import ArtistJudge, LLMIntentJudge, VLMJudge

    if judge is None and intent is None:
        return ArtistJudge(), draws_something
    from inspect_ai.model import get_model

    from assay.integrations.inspect.models import complete

    picture = ArtistJudge() if judge is None else VLMJudge(complete(get_model(judge)))
    return picture, LLMIntentJudge(complete(get_model(intent or judge)))


async def draws_something(question: str, code: str) -> bool:
    """Whether the code calls for a plot at all: what can be said of intent without a model."""
    return any(f".{call}(" in code for call in ("bar", "barh", "plot", "scatter", "pie", "hist", "boxplot", "imshow"))


def read_table(file: Path) -> dict[str, list[Any]]:
    """A CSV file as columns: numbers where all cells of a column are, else texts."""
    import csv

    from assay.cli.rows import read_columns

    if not file.is_file():
        raise UserError(f"{file}: no such file")
    with file.open(newline="", encoding="utf-8-sig") as stream:
        header = next(csv.reader(stream), [])
    if not header or len(set(header)) != len(header):
        raise UserError(f"{file}: the first line must name the columns, each once")
    return dict(zip(header, map(_typed, read_columns(file, header))))


def _typed(cells: list[str]) -> list[Any]:
    for kind in (int, float):
        try:
            return [kind(cell) for cell in cells]
        except ValueError:
            continue
    return cells


def read_expected(given: Any, where: str) -> Expected | None:
    """What a figure should show, from {"x": [...], "y": [...], "kinds": [...], "ordered": false}."""
    from assay.methods.post_training.rl_text2vis import Expected

    if given is None:
        return None
    if not isinstance(given, dict) or not {"x", "y", "kinds"} <= set(given):
        raise UserError(f'{where}: expected must be {{"x": [...], "y": [...], "kinds": [...], "ordered": false}}')
    x, y, kinds = (given[name] for name in ("x", "y", "kinds"))
    numbers = isinstance(y, list) and all(isinstance(value, (int, float)) for value in y)
    if not numbers or not isinstance(x, list) or len(x) != len(y) or not x or not isinstance(kinds, list):
        raise UserError(f"{where}: expected wants as many names in x as numbers in y, and a list of kinds of chart")
    return Expected(tuple(x), tuple(y), frozenset(kinds), bool(given.get("ordered", False)))


def described(number: int, scored: Scored | None) -> dict[str, Any]:
    """What is printed of one reply; None where a judge gave no usable reply."""
    if scored is None:
        return {"row": number, "total": None, "error": "the judge gave no usable reply"}
    shown = {"row": number, **{name: getattr(scored, name) for name in ("total", "answer", "code", "visual")}}
    if not scored.formatted:
        return {**shown, "error": 'no object with "answer" and "code"'}
    if scored.result is not None and scored.result.error:
        return {**shown, "error": scored.result.error}
    if scored.marks is not None:
        marks = scored.marks
        shown |= {"readability": marks.readability, "correctness": marks.correctness, "reasons": list(marks.reasons)}
    return shown


def as_text(shown: dict[str, Any]) -> str:
    if shown["total"] is None:
        return f"{shown['row']:>4}  void   {shown['error']}"
    parts = "  ".join(f"{name} {shown[name]:.2f}" for name in ("answer", "code", "visual"))
    told = shown.get("error") or "; ".join(shown["reasons"])
    return f"{shown['row']:>4}  {shown['total']:.3f}  {parts}  {told}".rstrip()


def print_summary(found: list[Scored | None], arguments: argparse.Namespace) -> None:
    scored = [one for one in found if one is not None]
    ran = sum(one.result is not None and one.result.ok for one in scored)
    mean = f"{sum(one.total for one in scored) / len(scored):.3f}" if scored else "none"
    print(f"{len(found)} replies: {ran} drew a figure; mean reward {mean}")
    if len(scored) < len(found):
        print(f"{len(found) - len(scored)} have no reward: the judge gave no usable reply")
    if arguments.judge is None and arguments.intent is None:
        print("without a model, correctness is known only of rows with `expected`, and code fits where it plots at all")


def save(path: Path, png: bytes) -> None:
    from assay.cli.files import replacing

    with replacing(path) as part:
        part.write_bytes(png)
