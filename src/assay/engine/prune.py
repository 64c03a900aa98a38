"""Making a store smaller: a new file with what is young enough takes the place of the old one.

Nothing is changed or removed inside a database; the rule that rows are only ever added holds for both files.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass

from assay.engine import rows
from assay.engine.store import Store, quoted
from assay.engine.transfer import count
from assay.errors import EnvironmentFailed, UserError

_AGE = re.compile(r"(\d+)\s*(d|w|y)")
_DAYS = {"d": 1, "w": 7, "y": 365}

# What stays: units begun after the moment `?`, the verdicts computed since or on trials that still have units, and
# the runs, machines and environments that the units name. The last verdict of a trial goes with its units.
_YOUNG = {
    "units": "started >= to_timestamp(?)",
    "verdicts": "computed >= to_timestamp(?) OR trial IN (SELECT trial FROM units)",
    "runs": "started >= to_timestamp(?) OR run_id IN (SELECT run_id FROM units)",
    "machines": "? > 0 AND machine_id IN (SELECT machine_id FROM units UNION SELECT machine_id FROM verdicts)",
    "envs": "? > 0 AND env_id IN (SELECT env_id FROM units)",
}
# Runs of which nothing is left; those still going on are in neither file.
_GONE = (
    "(SELECT run_id FROM old.units UNION SELECT run_id FROM old.runs) "
    "EXCEPT (SELECT run_id FROM units UNION SELECT run_id FROM runs)"
)


@dataclass(frozen=True)
class Pruned:
    """Rows by table and bytes, before and after; `logs` is the number of runs whose logs went."""

    before: dict[str, int]
    after: dict[str, int]
    bytes_before: int
    bytes_after: int
    logs: int


def parse_age(text: str) -> int:
    """Days in `90d`, `12w` or `1y`; UserError otherwise."""
    found = _AGE.fullmatch(text.strip())
    if not found or not int(found[1]):
        raise UserError(f"bad age {text!r}: wanted days, weeks or years such as 90d, 12w or 1y")
    return int(found[1]) * _DAYS[found[2]]


def prune(store: Store, before: float) -> Pruned:
    """Leave out what was measured before this moment (seconds since the epoch). Other processes wait meanwhile;
    journals are taken in first. Raises StoreLocked while somebody else uses the store, EnvironmentFailed where
    there is no room for the new file; the old one is untouched then."""
    import duckdb

    store.replay()
    part = store.path.with_name(f".{store.path.name}.{os.getpid()}.part")
    with store.alone():
        with store.connect(read_only=False) as connection:  # empties the write-ahead log into the file
            connection.execute("CHECKPOINT")
        size = store.path.stat().st_size
        try:
            with Store(part).connect(read_only=False) as connection:
                connection.execute(f"ATTACH '{quoted(store.path)}' AS old (READ_ONLY)")
                for table, young in _YOUNG.items():
                    names = ", ".join(rows.TABLES[table])
                    connection.execute(
                        f"INSERT INTO {table} ({names}) SELECT {names} FROM old.{table} WHERE {young}", [before]
                    )
                rows_before = {table: count(connection, f"old.{table}") for table in _YOUNG}
                rows_after = {table: count(connection, table) for table in _YOUNG}
                gone = [run for (run,) in connection.execute(_GONE).fetchall()]
            part.replace(store.path)
        except (OSError, duckdb.IOException) as error:
            raise EnvironmentFailed(f"store {store.path} cannot be written anew: {error}") from error
        finally:
            part.unlink(missing_ok=True)
    store.snapshot()
    logs = [path for run in gone if (path := store.logs / run).is_dir()]
    for path in logs:
        shutil.rmtree(path)
    return Pruned(rows_before, rows_after, size, store.path.stat().st_size, len(logs))
