"""Looking over a store, and joining two: what happens to results besides being measured."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.engine import registry, rows
from assay.engine.store import Store
from assay.errors import UserError

_KEY = re.compile(r"[0-9a-f]{64}")


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
    for name in sorted({u.trial for u in units} - known):
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


def _plain(row: dict[str, Any], table: str) -> dict[str, Any]:
    """A row as a journal holds it: JSON columns as data, not as text."""
    texts: Sequence[str] = [name for name, kind in rows.TABLES[table].items() if kind == "JSON"]
    return {**row, **{name: json.loads(row[name]) for name in texts if isinstance(row[name], str)}}
