"""Measure how far responses lean on memory, and how near that is to what users wished for (2601.05107)."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import UserError

if TYPE_CHECKING:
    from assay.methods.post_training.memcontrol import MDScore, Memory


def configure(verbs: Any) -> None:
    dependence = verbs.add_parser("dependence", help="level of each response, error, and wishes against outcomes")
    dependence.add_argument("file", type=Path, help='JSONL: {"query", "memory", "response"}, at wish "preference"')
    dependence.add_argument("--judge", metavar="MODEL", help="Inspect model that rates; without it, overlap of words")
    dependence.add_argument("--output", type=Path, metavar="FILE", help="also write the rows with level and error")
    dependence.add_argument("--json", action="store_true", help="print the summary as JSON")
    dependence.set_defaults(run=run_dependence)


def run_dependence(arguments: argparse.Namespace) -> int:
    from assay.cli.rows import read_jsonl
    from assay.methods.concurrency import run_sync
    from assay.methods.data.stages import write_rows
    from assay.methods.post_training.memcontrol import alignment_error

    rows = read_jsonl(arguments.file, ("query", "memory", "response"))
    read = [_read(row, f"{arguments.file}, row {number}") for number, row in enumerate(rows, 1)]
    levels = run_sync(_rated, _scorer(arguments.judge), rows, [memory for memory, _ in read])
    rated = []
    for row, (memory, preference), level in zip(rows, read, levels):
        error = None if level is None or preference is None else alignment_error(level, preference)
        rated.append({**row, "md": level, "error": error, "empty_memory": not memory})
    if arguments.output is not None:
        write_rows(arguments.output, rated)
    summary = _summary(rated, [preference for _, preference in read])
    if arguments.json:
        print(json.dumps(summary))
    else:
        _print(summary)
    return 1 if all(level is None for level in levels) else 0


def _read(row: dict[str, Any], where: str) -> tuple[Memory, int | None]:
    """The memory of a row, and its preference where it has one."""
    from assay.methods.post_training.memcontrol import LEVELS, read_memory

    for name in ("query", "response"):
        if not isinstance(row[name], str):
            raise UserError(f"{where}: {name!r} is {row[name]!r}, wanted text")
    preference = row.get("preference")
    if preference is not None and (isinstance(preference, bool) or preference not in LEVELS):
        raise UserError(f"{where}: 'preference' is {preference!r}, wanted a whole number from 1 to 5")
    try:
        return read_memory(row["memory"]), preference
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _scorer(judge: str | None) -> MDScore:
    from assay.methods.post_training.memcontrol import LLMMDScore, OverlapMDScore

    if judge is None:
        return OverlapMDScore()
    from inspect_ai.model import get_model

    from assay.integrations.inspect.models import complete

    return LLMMDScore(complete(get_model(judge)))


async def _rated(scorer: MDScore, rows: list[dict[str, Any]], memories: list[Memory]) -> list[int | None]:
    """The level of each response; None where the judge gave no usable reply."""
    from functools import partial

    from assay.methods.concurrency import gather
    from assay.methods.parsing import ReplyError

    async def one(row: dict[str, Any], memory: Memory) -> int | None:
        try:
            return await scorer(row["query"], memory, row["response"])
        except ReplyError:
            return None

    return await gather([partial(one, row, memory) for row, memory in zip(rows, memories)], limit=16)


def _summary(rated: list[dict[str, Any]], preferences: list[int | None]) -> dict[str, Any]:
    """Counts, the histogram of levels, and where preferences are given the mean error and the table."""
    from assay.methods.post_training.memcontrol import LEVELS, confusion

    levels = [row["md"] for row in rated]
    pairs = [(md, wish) for md, wish in zip(levels, preferences) if md is not None and wish is not None]
    summary: dict[str, Any] = {
        "responses": len(rated),
        "errors": levels.count(None),
        "empty_memory": sum(row["empty_memory"] for row in rated),
        "levels": {str(level): levels.count(level) for level in LEVELS},
    }
    if pairs:
        found = confusion([md for md, _ in pairs], [wish for _, wish in pairs])
        summary |= {"alignment_error": found.error, "confusion": found.confusion.tolist()}
    return summary


def _print(summary: dict[str, Any]) -> None:
    from assay.cli.words import rows

    counted = ", ".join(f"{number} at {level}" for level, number in summary["levels"].items())
    print(f"{summary['responses']} responses: {counted}")
    if summary["errors"]:
        print(f"{summary['errors']} got no usable level from the judge")
    if summary["empty_memory"]:
        print(f"{summary['empty_memory']} have no memory, and are at 1 by definition")
    if "confusion" in summary:
        print(f"mean alignment error {summary['alignment_error']:.2f} of 4; wishes down, outcomes across:")
        table = [[str(level), *map(str, line)] for level, line in enumerate(summary["confusion"], 1)]
        print(rows([["", *"12345"], *table]))
