"""Rows that a command reads: CSV, Parquet or JSONL, with one line for whatever is wrong in the file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.errors import UserError

Row = dict[str, Any]


def read_jsonl(file: Path, wanted: Sequence[str] = ()) -> list[Row]:
    """The objects of a JSONL file, one a line, blank lines left out. UserError names the line, and the field that
    is missing there."""
    rows: list[Row] = []
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{file}, line {number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict):
            raise UserError(f"{file}, line {number}: got {type(row).__name__}, wanted a JSON object")
        for name in wanted:
            if name not in row:
                raise UserError(f"{file}, line {number}: no field {name!r}; it has {', '.join(row) or 'none'}")
        rows.append(row)
    if not rows:
        raise UserError(f"{file}: no rows, wanted one JSON object a line")
    return rows


def read_columns(file: Path, names: Sequence[str]) -> list[list[Any]]:
    """The named columns of a CSV or Parquet file, each as a list; UserError names the columns there are."""
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    if file.suffix == ".parquet":
        return _read_parquet(file, names)
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        header = next(rows, [])
        places = [_place(name, header, file) for name in names]
        columns: list[list[Any]] = [[] for _ in names]
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise UserError(f"{file}, line {rows.line_num}: {len(row)} cells, the header has {len(header)}")
            for column, place in zip(columns, places):
                column.append(row[place])
    if not columns[0]:
        raise UserError(f"{file}: no rows below the header")
    return columns


def _read_parquet(file: Path, names: Sequence[str]) -> list[list[Any]]:
    import duckdb

    try:
        table = duckdb.read_parquet(str(file))
    except duckdb.Error as error:
        raise UserError(f"{file}: not a Parquet file ({str(error).splitlines()[0]})") from error
    for name in names:
        _place(name, table.columns, file)
    rows = table.project(", ".join('"' + name.replace('"', '""') + '"' for name in names)).fetchall()
    if not rows:
        raise UserError(f"{file}: no rows")
    return [list(column) for column in zip(*rows)]


def _place(name: str, header: Sequence[str], file: Path) -> int:
    if name not in header:
        raise UserError(f"{file}: no column {name!r}; it has {', '.join(header) or 'none'}")
    return list(header).index(name)


def numbers(cells: Sequence[Any], column: str, empty: float | None = None) -> list[float]:
    """Cells as finite numbers; an empty cell is `empty`, or an error where that is None."""
    found = []
    for row, cell in enumerate(cells, start=1):
        if empty is not None and (cell is None or cell == "" or cell != cell):
            found.append(empty)
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"column {column!r}, row {row}: got {cell!r}, wanted a number")
        found.append(number)
    return found


def read_yaml(file: Path) -> Any:
    """What a YAML file holds; UserError where it is none."""
    import yaml

    try:
        return yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not YAML ({str(error).splitlines()[0]})") from error


def read_text(file: Path) -> str:
    """A text file as UTF-8, with or without a mark at its beginning; UserError where it is neither there nor that."""
    if not file.is_file():
        raise UserError(f"{file}: no such file")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start})") from error
