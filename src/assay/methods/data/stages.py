"""A resumable stage of a data run: rows in, one async call a row, rows out. No paper in it.

    report = run_sync(partial(run_stage, rows, write_reference, Path("references.jsonl"), workers=8))

Every finished row is on disk before the next is counted, in a journal beside the output; a stage that is killed
goes on where it stopped, and a row that failed is tried again by the next run. The output itself is written once,
whole, in the order of the input.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from assay.methods.concurrency import gather

Row = dict[str, Any]
SUFFIXES = (".jsonl", ".parquet")


@dataclass(frozen=True)
class StageReport:
    """Rows of a stage: `done` in this run, `reused` from an earlier one, `failed` as (key, error) in input order."""

    done: int
    reused: int
    failed: tuple[tuple[str, str], ...]
    out: Path


async def run_stage(
    rows: Iterable[Mapping[str, Any]],
    call: Callable[[Row], Awaitable[Row]],
    out: Path,
    *,
    key: str = "id",
    workers: int = 1,
    resume: bool = True,
) -> StageReport:
    """Call `call` on each row, `workers` at a time, and write what it gives to `out` (.jsonl or .parquet).

    A row's name is `row[key]`, or its place in the input where it has none. A row whose content changed since
    the journal was written is done again. An exception of `call` is kept as that row's error: the row is left
    out of `out`. Raises ValueError for two rows of one name or an unknown suffix.
    """
    if out.suffix not in SUFFIXES:
        raise ValueError(f"out: got {out.name}, wanted a name that ends in {' or '.join(SUFFIXES)}")
    if workers < 1:
        raise ValueError(f"workers: got {workers}, wanted at least 1")
    named = _named(rows, key)
    journal = out.with_name(f".{out.name}.journal")
    kept = _read(journal) if resume else {}
    results = {name: kept[name]["row"] for name, row in named.items() if _is_kept(kept.get(name), row)}
    reused, failed = len(results), {}

    out.parent.mkdir(parents=True, exist_ok=True)
    with journal.open("a" if resume else "w", encoding="utf-8") as file:

        async def one(name: str, row: Row) -> None:
            try:
                results[name] = await call(dict(row))
            except Exception as error:  # noqa: BLE001 - one row's failure must not end the stage; it is reported
                failed[name] = f"{type(error).__name__}: {error}"
                return
            _append(file, {"name": name, "input": _digest(row), "row": results[name]})

        await gather([partial(one, n, row) for n, row in named.items() if n not in results], limit=workers)
    write_rows(out, [results[name] for name in named if name in results])
    errors = tuple((name, failed[name]) for name in named if name in failed)
    return StageReport(len(results) - reused, reused, errors, out)


def read_rows(path: Path) -> list[Row]:
    """The rows of a .jsonl or .parquet file. Raises ValueError naming the line that is no JSON object."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        rows: list[Row] = pyarrow.parquet.read_table(path).to_pylist()
        return rows
    rows = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path} line {number}: not JSON ({error.msg})") from None
            if not isinstance(row, dict):
                raise ValueError(f"{path} line {number}: got {type(row).__name__}, wanted a JSON object")
            rows.append(row)
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows whole or not at all: to a temporary name beside `path`, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), temporary)
        else:
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _named(rows: Iterable[Mapping[str, Any]], key: str) -> dict[str, Row]:
    named: dict[str, Row] = {}
    for place, row in enumerate(rows):
        name = str(row.get(key, place))
        if name in named:
            raise ValueError(f"{key}: two rows are called {name!r}, wanted a name of its own for each")
        named[name] = dict(row)
    return named


def _is_kept(entry: Row | None, row: Row) -> bool:
    return entry is not None and entry["input"] == _digest(row)


def _digest(row: Row) -> str:
    return hashlib.blake2b(json.dumps(row, sort_keys=True, default=str).encode(), digest_size=12).hexdigest()


def _append(file: IO[str], entry: Row) -> None:
    file.write(json.dumps(entry, ensure_ascii=False) + "\n")
    file.flush()
    os.fsync(file.fileno())


def _read(journal: Path) -> dict[str, Row]:
    """The last entry of each name. A line cut short by a kill is left out: its row is done again."""
    entries: dict[str, Row] = {}
    if not journal.exists():
        return entries
    data = journal.read_text(encoding="utf-8", errors="replace")
    if data and not data.endswith("\n"):
        data = data[: data.rfind("\n") + 1]
        journal.write_text(data, encoding="utf-8")  # else the next line would be glued to the torn one
    for line in data.split("\n")[:-1]:
        entry = json.loads(line)
        entries[entry["name"]] = entry
    return entries
