"""Write grading rubrics for prompts, score answers by them, and filter data for fine-tuning (2601.08430)."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.rubrichub import LLMGrader


def configure(verbs: Any) -> None:
    build = verbs.add_parser("build", help="rubrics for prompts: final.jsonl and final.parquet, resumable")
    build.add_argument("file", type=Path, help='JSONL: {"prompt": "..."}, at wish "id", "reference", "responses"')
    build.add_argument("--models", required=True, metavar="A,B", help="Inspect models that answer and write criteria")
    build.add_argument("--grader", metavar="MODEL", help="chooses the pair to harden on among more than two responses")
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the stages and the result")
    build.add_argument("--max-criteria", type=int, metavar="N", help="keep the N criteria with the most points")
    build.add_argument("--penalties", action="store_true", help="allow criteria with negative points")
    build.add_argument("--clamp", action="store_true", help="cut weights out of range instead of refusing them")
    build.add_argument("--concurrency", type=int, default=8, metavar="N")
    build.set_defaults(run=run_build)
    score = verbs.add_parser("score", help="the reward of each answer, and what the rubrics tell apart")
    score.add_argument("file", type=Path, help='JSONL: {"id": "...", "response": "..."}')
    score.add_argument("--output", type=Path, metavar="FILE", help="also write the rows with reward and grades")
    score.add_argument("--json", action="store_true", help="print a JSON object an answer")
    score.set_defaults(run=run_score)
    keep = verbs.add_parser("filter", help="of each prompt's responses the best, where it is good enough (RuFT)")
    keep.add_argument("file", type=Path, help='JSONL: {"id": "...", "responses": ["...", ...]}')
    keep.add_argument("--k", type=int, default=8, help="responses looked at (default: 8)")
    keep.add_argument("--threshold", type=float, default=0.6, help="least reward that is kept (default: 0.6)")
    keep.add_argument("--out", type=Path, required=True, metavar="FILE", help="JSONL: id, prompt, response, reward")
    keep.set_defaults(run=run_filter)
    for verb in (score, keep):
        verb.add_argument("--rubrics", type=Path, required=True, metavar="FILE", help="final.parquet or final.jsonl")
        verb.add_argument("--grader", required=True, metavar="MODEL", help="Inspect model that grades")


def run_build(arguments: argparse.Namespace) -> int:
    from functools import partial

    from inspect_ai.model import get_model

    from assay.cli.rows import read_jsonl
    from assay.integrations.inspect.models import complete
    from assay.methods.concurrency import run_sync
    from assay.methods.post_training._rubric_stages import run_stages
    from assay.methods.post_training.rubrichub import LLMAuthor

    if arguments.max_criteria is not None and arguments.max_criteria < 1:
        raise UserError(f"--max-criteria: got {arguments.max_criteria}, wanted at least 1")
    rows = read_jsonl(arguments.file, ("prompt",))
    writers = [complete(get_model(name)) for name in arguments.models.split(",")]
    authors = [LLMAuthor(one, allow_penalty=arguments.penalties, clamp=arguments.clamp) for one in writers]
    grader = None if arguments.grader is None else _grader(arguments.grader)
    reports = run_sync(
        partial(
            run_stages,
            rows,
            arguments.out,
            writers=writers,
            authors=authors,
            grader=grader,
            max_criteria=arguments.max_criteria,
            workers=arguments.concurrency,
        )
    )
    lost = 0
    for stage, report in reports.items():
        lost += len(report.failed)
        print(f"{stage:<10} {report.done} done, {report.reused} from before, {len(report.failed)} failed")
        for name, error in report.failed[:5]:
            print(f"           {name}: {error}")
    print(f"rubrics of {len(rows) - lost} of {len(rows)} prompts: {arguments.out / 'final.parquet'}")
    if lost:
        print("the same command tries again what failed")
    return 1 if lost == len(rows) else 0


def run_score(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.rubrichub import rubric_reward

    rows = read_jsonl(arguments.file, ("id", "response"))
    rubrics = read_rubrics(arguments.rubrics, [str(row["id"]) for row in rows])
    found = run_sync(graded, _grader(arguments.grader), rows, rubrics)
    for row, grades in zip(rows, found):
        criteria = rubrics[str(row["id"])]["rubrics"]
        row["reward"] = None if grades is None else rubric_reward(grades, criteria)
        row["grades"] = [
            {"criterion": one["criterion"], "met": bool(grade.score), "reason": grade.reason}
            for one, grade in zip(criteria, grades or ())
        ]
    if arguments.output is not None:
        write_rows(arguments.output, rows)
    for row in rows:
        if arguments.json:
            print(json.dumps(row, ensure_ascii=False))
        else:
            mark = "  void" if row["reward"] is None else f"{row['reward']:6.3f}"
            print(f"{mark}  {row['id']}  {sum(g['met'] for g in row['grades'])} of {len(row['grades'])} criteria met")
    if not arguments.json:
        print_discrimination(rows, rubrics)
    return 0


async def graded(grader: LLMGrader, rows: Sequence[dict[str, Any]], rubrics: dict[str, dict[str, Any]]) -> list[Any]:
    """The grades of each answer; None where the grader gave no usable reply."""
    from functools import partial

    from assay.methods.concurrency import gather
    from assay.methods.parsing import ReplyError

    async def one(row: dict[str, Any]) -> Any:
        rubric = rubrics[str(row["id"])]
        try:
            return await grader(rubric["prompt"], row["response"], rubric["rubrics"])
        except ReplyError:
            return None

    return await gather([partial(one, row) for row in rows], limit=16)


def print_discrimination(rows: Sequence[dict[str, Any]], rubrics: dict[str, dict[str, Any]]) -> None:
    """What each rubric tells apart, for prompts with at least two graded answers; void answers are counted."""
    from assay.methods.post_training.rubrichub import discrimination

    by_prompt: dict[str, list[list[float]]] = {}
    for row in rows:
        if row["reward"] is not None:
            by_prompt.setdefault(str(row["id"]), []).append([float(grade["met"]) for grade in row["grades"]])
    for name, table in by_prompt.items():
        if len(table) < 2:
            continue
        found = discrimination(rubrics[name]["rubrics"], table)
        dull = sum(value == 0 for value in found.item)
        print(
            f"{name}: spread {found.spread:.3f}, {found.saturation:.0%} of answers saturated, "
            f"{dull} of {len(found.item)} criteria tell nothing"
        )
    if void := sum(row["reward"] is None for row in rows):
        print(f"{void} answers got no usable reply from the grader and have no reward")


def run_filter(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import write_rows
    from assay.methods.parsing import ReplyError
    from assay.methods.post_training.rubrichub import RuFT

    rows = read_jsonl(arguments.file, ("id", "responses"))
    for number, row in enumerate(rows, 1):
        texts = row["responses"]
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            raise UserError(f"{arguments.file}, row {number}: responses must be a list of at least one text")
    rubrics = read_rubrics(arguments.rubrics, [str(row["id"]) for row in rows])
    ruft = RuFT(_grader(arguments.grader), arguments.k, arguments.threshold)
    kept, void = [], 0
    for row in rows:
        rubric = rubrics[str(row["id"])]
        try:
            chosen = run_sync(ruft.best, rubric["prompt"], row["responses"], rubric["rubrics"])
        except ReplyError:
            void += 1
            continue
        if chosen is not None:
            kept.append(
                {"id": row["id"], "prompt": rubric["prompt"], "response": chosen.response, "reward": chosen.reward}
            )
    write_rows(arguments.out, kept)
    below = len(rows) - len(kept) - void
    print(f"kept {len(kept)} of {len(rows)}; {below} below {arguments.threshold:g}, {void} without a usable grade")
    return 0


def read_rubrics(file: Path, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rubrics by the id of their prompt, checked; UserError for a file that holds others, or lacks one."""
    from assay.methods.data.stages import read_rows
    from assay.methods.post_training.rubrichub import read_rubric

    if not file.is_file():
        raise UserError(f"{file}: no such file; `assay use rubrichub build` writes one")
    found = {}
    for row in read_rows(file):
        if not {"id", "prompt", "rubrics"} <= set(row):
            raise UserError(f"{file}: a row has {', '.join(row)}, wanted id, prompt and rubrics")
        found[str(row["id"])] = {**row, "rubrics": read_rubric(row["rubrics"])}
    missing = [name for name in wanted if name not in found]
    if missing:
        raise UserError(f"{file}: no rubric of {missing[0]!r}, and of {len(set(missing)) - 1} others")
    return found


def _grader(model: str) -> LLMGrader:
    from inspect_ai.model import get_model

    from assay.integrations.inspect.models import complete
    from assay.methods.post_training.rubrichub import LLMGrader

    return LLMGrader(complete(get_model(model)))
