"""RubricHub over a file of prompts: reference, responses, generate, merge, evolve, export, one resumable stage each.

Each stage reads the rows of the one before and writes its own file, so that a run that is cut off goes on where it
stopped, and a row that failed is tried again by the next run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from assay.methods.concurrency import gather
from assay.methods.data.stages import Row, StageReport, read_rows, run_stage, write_rows
from assay.methods.judging import Grader
from assay.methods.post_training import _rubric_prompts as prompts
from assay.methods.post_training._rubric_criteria import Author, Criterion, export, merge_identical
from assay.methods.post_training.rubrichub import pair_from_pool
from assay.methods.protocols import Complete

Call = Callable[[Row], Awaitable[Row]]

WARM = 1.0  # temperature of the responses, which are wanted different


async def run_stages(
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    *,
    writers: Sequence[Complete],
    authors: Sequence[Author],
    grader: Grader | None = None,
    max_criteria: int | None = None,
    workers: int = 8,
) -> dict[str, StageReport]:
    """Rubrics for rows with "prompt" (and at wish "reference", "responses"), written to `folder`/final.jsonl and
    final.parquet; the report of each stage by its name.

    writers   models that answer: the first writes missing references, all (a single one twice) the responses
    authors   who writes the criteria; the first merges
    grader    chooses the pair to harden on where a row has more than two responses; without it they are the first two
    """
    if not writers or not authors:
        raise ValueError("writers, authors: got none, wanted at least one each")
    calls: dict[str, Call] = {
        "reference": partial(add_reference, writers[0]),
        "responses": partial(add_responses, writers if len(writers) > 1 else [*writers, *writers]),
        "generate": partial(generate, authors),
        "merge": partial(merge, authors[0]),
        "evolve": partial(evolve, authors, grader),
        "export": partial(finish, max_criteria),
    }
    reports, given = {}, [{**row, "id": str(row.get("id", place))} for place, row in enumerate(rows)]
    for name, call in calls.items():
        out = folder / ("final.jsonl" if name == "export" else f"{name}.jsonl")
        reports[name] = await run_stage(given, call, out, workers=workers)
        given = read_rows(out)
    write_rows(folder / "final.parquet", given)
    return reports


async def add_reference(writer: Complete, row: Row) -> Row:
    """The row with a reference answer: its own, or one that the model writes."""
    prompt = row.get("prompt")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"prompt: got {prompt!r}, wanted a text; the row has {', '.join(row)}")
    own = row.get("reference")
    return {**row, "reference": own if own else await writer(prompts.reference(prompt))}


async def add_responses(writers: Sequence[Complete], row: Row) -> Row:
    """The row with at least two responses: its own, or one of each writer."""
    if len(row.get("responses") or ()) >= 2:
        return row
    return {**row, "responses": await gather([partial(writer, row["prompt"], temperature=WARM) for writer in writers])}


async def generate(authors: Sequence[Author], row: Row) -> Row:
    """The row with every author's criteria, one after another."""
    if not str(row.get("reference") or "").strip():
        raise ValueError("reference: the row has none, wanted the answer that criteria are anchored on")
    proposed = await gather([partial(author.propose, row["prompt"], row["reference"]) for author in authors])
    return {**row, "proposed": [asdict(criterion) for one in proposed for criterion in one]}


async def merge(author: Author, row: Row) -> Row:
    """The row with identical criteria merged."""
    proposed = _criteria(row["proposed"])
    groups = await author.identical(row["prompt"], proposed) if len(proposed) > 1 else []
    return {**row, "merged": [asdict(criterion) for criterion in merge_identical(proposed, groups)]}


async def evolve(authors: Sequence[Author], grader: Grader | None, row: Row) -> Row:
    """The row with what the authors add on seeing two responses."""
    merged, responses = _criteria(row["merged"]), row["responses"]
    first, second = 0, 1
    if grader is not None and len(responses) > 2:
        first, second = await pair_from_pool(row["prompt"], responses, grader, export(merged))
    pair = responses[first], responses[second]
    added = await gather([partial(author.harden, row["prompt"], merged, pair) for author in authors])
    return {**row, "added": [asdict(criterion) for one in added for criterion in one]}


async def finish(max_criteria: int | None, row: Row) -> Row:
    """id, prompt, reference and the rubric in its final form."""
    rubrics = export(_criteria(row["merged"]), _criteria(row["added"]), max_criteria=max_criteria)
    return {"id": row["id"], "prompt": row["prompt"], "reference": row["reference"], "rubrics": rubrics}


def _criteria(given: Sequence[Mapping[str, Any]]) -> list[Criterion]:
    return [Criterion(**one) for one in given]
