"""What happens to results besides being measured: written to files and read from them, joined, looked over."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from assay.engine import registry, rows
from assay.engine.aa import is_aa
from assay.engine.store import Store, quoted
from assay.engine.trial import Status
from assay.errors import UserError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMATS = ("parquet", "csv", "json")
_KEY = re.compile(r"[0-9a-f]{64}")
_CSV = "FORMAT csv, HEADER, FORCE_QUOTE *, NULL '\\N'"  # texts may be empty, and a missing one is not that


def export(store: Store, table: str, path: Path, form: str) -> None:
    """Write a table to a file of one of `FORMATS`, as `take_in` reads it."""
    how = _CSV if form == "csv" else f"FORMAT {form}"
    store.query(f"COPY {table} TO '{quoted(path)}' ({how})")


def take_in(store: Store, path: Path) -> dict[str, int]:
    """Add the rows of an exported file, or of every exported file of a folder; the number of new rows by table.

    Rows that are there already stay as they are. Raises UserError, before anything is added, for a file that is no
    export, that a newer assay wrote, whose units have odd keys, or which says other values of a known unit.
    """
    files = sorted(p for p in path.iterdir() if p.suffix[1:] in FORMATS) if path.is_dir() else [path]
    if not files or not all(p.is_file() for p in files):
        raise UserError(f"nothing to import at {path}: wanted a .parquet, .csv or .json file of `assay store export`")
    new = dict.fromkeys(rows.TABLES, 0)
    with store.writing() as connection:
        for file in files:
            if file.suffix == ".json" and not file.stat().st_size:
                continue  # a table without rows
            table = _load(connection, file)
            if table == "units":
                _verify_units(connection, file)
            names = ", ".join(rows.TABLES[table])
            before = count(connection, table)
            connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM incoming ON CONFLICT DO NOTHING")
            new[table] += count(connection, table) - before
    return new


def _load(connection: DuckDBPyConnection, path: Path) -> str:
    """Read a file into the temporary table `incoming`; the name of the table whose columns it has."""
    import duckdb

    form = path.suffix[1:].lower()
    if form not in FORMATS:
        raise UserError(f"cannot import {path}: wanted a name that ends in .parquet, .csv or .json")
    plain = {
        "parquet": "read_parquet('{0}')",
        "csv": "read_csv('{0}', header = true, all_varchar = true, nullstr = '\\N', quote = '\"', delim = ',')",
        "json": "read_json('{0}', sample_size = -1)",
    }[form].format(quoted(path))
    try:
        found = {name for name, *_ in connection.execute(f"DESCRIBE SELECT * FROM {plain}").fetchall()}
        table = _table_of(found, path)
        kinds = dict(connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? AND NOT internal", [table]
        ).fetchall())  # fmt: skip
        source = plain
        if form == "json":  # types that are read off the data would round, or turn texts that look like times
            columns = ", ".join(f"{name}: '{kinds[name]}'" for name in rows.TABLES[table])
            source = f"read_json('{quoted(path)}', columns = {{{columns}}})"
        chosen = ", ".join(f"CAST({name} AS {kinds[name]}) AS {name}" for name in rows.TABLES[table])
        connection.execute(f"CREATE OR REPLACE TEMP TABLE incoming AS SELECT {chosen} FROM {source}")
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.IOException, duckdb.BinderException) as e:
        raise UserError(f"cannot read {path}: {str(e).splitlines()[0]}") from e
    return table


def _table_of(found: set[str], path: Path) -> str:
    for table, columns in rows.TABLES.items():
        if found == set(columns):
            return table
    for table, columns in rows.TABLES.items():
        if found > set(columns):
            unknown = ", ".join(sorted(found - set(columns)))
            raise UserError(f"{path} was written by a newer assay: {table} has the unknown columns {unknown}")
    raise UserError(f"{path} is no table of a results store: wanted what `assay store export` writes")


def _verify_units(connection: DuckDBPyConnection, path: Path) -> None:
    statuses = ", ".join(f"'{s}'" for s in get_args(Status))
    odd = connection.execute(
        "SELECT unit_key, count(*) OVER () FROM incoming WHERE NOT coalesce(regexp_full_match(unit_key, ?), false) "
        f"OR coalesce(trial, '') = '' OR coalesce(arm, '') = '' OR seed IS NULL OR seed < 0 OR machine_id IS NULL "
        f"OR status NOT IN ({statuses}) OR (status = 'ok' AND (value IS NULL OR NOT isfinite(value))) LIMIT 1",
        [_KEY.pattern],
    ).fetchone()
    if odd is not None:
        raise UserError(f"{path}: {odd[1]} units have an odd key, status or value, the first {odd[0]!r}; took in none")
    twisted = connection.execute(
        "SELECT unit_key, count(*) OVER () FROM incoming JOIN units USING (unit_key, attempt, machine_id) "
        "WHERE (incoming.trial, incoming.arm, incoming.seed, incoming.status, incoming.value) IS DISTINCT FROM "
        "(units.trial, units.arm, units.seed, units.status, units.value) LIMIT 1"
    ).fetchone()
    if twisted is not None:
        raise UserError(f"{path}: {twisted[1]} units differ from the stored ones, first {twisted[0]!r}; took in none")


def merge(store: Store, other: Path) -> dict[str, int]:
    """Take in every row of another store that this one lacks; the number of new rows by table.

    Raises UserError where `other` is no store. Both may be of different machines: pairs are never joined over two.
    """
    source = Store(other)
    if not source.path.exists():
        raise UserError(f"no store at {source.path} to merge from")
    before = _counts(store)
    store.add({"table": table, "row": _plain(row, table)} for table in rows.TABLES for row in source.rows(table))
    after = _counts(store)
    return {table: after[table] - before.get(table, 0) for table in rows.TABLES}


def check(store: Store) -> list[str]:
    """What looks wrong in a store, a line each; an empty list for a sound one. Takes in left-over journals first."""
    store.replay()
    found = list(store.notes)
    found += [f"{path.name}: a damaged journal, kept aside" for path in sorted(store.journals.glob("*.corrupt"))]
    units = store.units()
    known = {entry.name for entry in registry.list_trials()}
    for name in sorted({u.trial for u in units if not is_aa(u.trial)} - known):
        found.append(f"{name}: {sum(u.trial == name for u in units)} units of a trial that is not installed")
    if odd := [u.unit_key for u in units if not _KEY.fullmatch(u.unit_key)]:
        found.append(f"{len(odd)} units whose key is no sha256: {odd[0]!r}")
    machines: dict[tuple[str, str, bool, int], set[str]] = {}
    arms: dict[tuple[str, str, bool, int, str, str], set[str]] = {}
    for u in units:
        if u.status == "ok":
            machines.setdefault((u.trial, u.fingerprint, u.quick, u.seed), set()).add(u.machine_id)
            arms.setdefault((u.trial, u.fingerprint, u.quick, u.seed, u.arm, u.machine_id), set()).add(u.unit_key)
    for (name, _, _, seed), ids in sorted(machines.items()):
        if len(ids) > 1:
            found.append(f"{name}, seed {seed}: units of {len(ids)} machines; pairs are made on each alone")
    for (name, _, _, seed, arm, _), keys in sorted(arms.items()):
        if len(keys) > 1:
            found.append(f"{name}, seed {seed}, {arm}: {len(keys)} units of different options or models")
    return found


def _counts(store: Store) -> dict[str, int]:
    if not store.path.exists():
        return {}
    return {table: int(store.query(f"SELECT count(*) FROM {table}")[0][0]) for table in rows.TABLES}


def count(connection: DuckDBPyConnection, table: str) -> int:
    """Rows of a table."""
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])


def _plain(row: dict[str, Any], table: str) -> dict[str, Any]:
    """A row as a journal holds it: JSON columns as data, not as text."""
    texts: Sequence[str] = [name for name, kind in rows.TABLES[table].items() if kind == "JSON"]
    return {**row, **{name: json.loads(row[name]) for name in texts if isinstance(row[name], str)}}
