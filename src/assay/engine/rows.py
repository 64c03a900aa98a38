"""Between the engine's records and the rows of the store: one place that knows both spellings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assay.engine.machine import Environment, Machine
from assay.engine.trial import Cost, UnitResult, Verdict

# Column types as DuckDB's from_json spells them. Times travel as seconds since the epoch.
UNIT = {
    **dict.fromkeys(("unit_key", "run_id", "trial", "paper", "fingerprint", "arm", "world", "world_digest"), "VARCHAR"),
    **dict.fromkeys(("status", "error", "machine_id", "env_id"), "VARCHAR"),
    **dict.fromkeys(("attempt", "trial_version", "seed", "threads"), "INTEGER"),
    **dict.fromkeys(("model_calls", "tokens_in", "tokens_out", "env_steps"), "BIGINT"),
    **dict.fromkeys(("value", "seconds", "cost_seconds", "flops", "peak_rss_mb", "started"), "DOUBLE"),
    **dict.fromkeys(("models", "extra", "notes"), "JSON"),
    "quick": "BOOLEAN",
    "curve": ["DOUBLE"],
}
MACHINE = {
    **dict.fromkeys(("machine_id", "cpu", "gpu", "os", "python"), "VARCHAR"),
    "cores": "INTEGER",
    "ram_mb": "INTEGER",
}
ENV = {"env_id": "VARCHAR", "packages": "JSON", "assay_version": "VARCHAR"}
RUN = {
    "run_id": "VARCHAR",
    "started": "DOUBLE",
    "ended": "DOUBLE",
    "command": "VARCHAR",
    "options": "JSON",
    "user_note": "VARCHAR",
}
VERDICT = {
    **dict.fromkeys(("trial", "fingerprint", "data_sha", "rule", "outcome", "reason", "machine_id"), "VARCHAR"),
    "n": "INTEGER",
    "p": "DOUBLE",
    "contrasts": "JSON",
    "flags": "JSON",
    "computed": "DOUBLE",
}
TABLES: Mapping[str, Mapping[str, Any]] = {
    "machines": MACHINE,
    "envs": ENV,
    "runs": RUN,
    "units": UNIT,
    "verdicts": VERDICT,
}
TIMES = {"started", "ended", "computed"}
_COST = ("model_calls", "tokens_in", "tokens_out", "flops", "env_steps")


def unit_row(unit: UnitResult) -> dict[str, Any]:
    """A unit as a row of `units`."""
    row = asdict(unit)
    cost = row.pop("cost")
    return {**row, "cost_seconds": cost["seconds"], **{k: cost[k] for k in _COST}, "curve": list(unit.curve)}


def unit_of(row: Mapping[str, Any]) -> UnitResult:
    """A row of `units` as a unit; JSON columns may be text (from the database) or data (from a journal)."""
    plain = dict(row)
    cost = Cost(seconds=plain.pop("cost_seconds"), **{k: plain.pop(k) for k in _COST})
    for name in ("models", "extra", "notes"):
        plain[name] = json.loads(plain[name]) if isinstance(plain[name], str) else plain[name] or {}
    plain["curve"] = tuple(plain["curve"] or ())
    return UnitResult(cost=cost, **plain)


def machine_row(machine: Machine, python: str) -> dict[str, Any]:
    return {
        "machine_id": machine.id,
        "cpu": machine.cpu,
        "cores": machine.cores,
        "ram_mb": machine.ram_gb * 1024,
        "gpu": machine.gpu,
        "os": machine.os,
        "python": python,
    }


def env_row(env: Environment) -> dict[str, Any]:
    packages = {"python": env.python, **dict(env.packages)}
    return {"env_id": env.id, "packages": packages, "assay_version": env.assay_version}


def verdict_row(
    trial: str, verdict: Verdict, *, fingerprint: str, data_sha: str, computed: float, machine_id: str
) -> dict[str, Any]:
    return {
        "trial": trial,
        "fingerprint": fingerprint,
        "data_sha": data_sha,
        "rule": verdict.rule,
        "outcome": verdict.outcome,
        "reason": verdict.reason,
        "n": verdict.n,
        "p": verdict.p,
        "contrasts": [asdict(c) for c in verdict.contrasts],
        "flags": list(verdict.flags),
        "computed": computed,
        "machine_id": machine_id,
    }


def insert(table: str) -> str:
    """SQL that adds a JSON array of rows (its one parameter) to the table; rows that are there already stay."""
    columns = TABLES[table]
    chosen = ", ".join(f"to_timestamp({c}) AS {c}" if c in TIMES else c for c in columns)
    shape = json.dumps([columns])
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} "
        f"FROM (SELECT unnest(from_json(?, '{shape}'), recursive := true)) ON CONFLICT DO NOTHING"
    )


def select(table: str, where: str = "", source: str = "") -> str:
    """SQL that reads rows as dictionaries of plain values would be written."""
    columns: Sequence[str] = list(TABLES[table])
    chosen = ", ".join(f"epoch({c}) AS {c}" if c in TIMES else c for c in columns)
    return f"SELECT {chosen} FROM {source or table} {where}"
