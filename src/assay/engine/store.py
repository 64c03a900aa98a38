"""The results store: one DuckDB file, append-only, that no process keeps open.

While one process holds a DuckDB file for writing, no other can open it, not even to read. So a run appends to its
own journal (`journal.py`) and moves finished segments into the database in short transactions; readers join the
database with whatever still lies in journals. Beside `results.duckdb` lies `results.d/` with journals, the status
files of live runs, logs, the lock and the last snapshot.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.engine import journal, rows
from assay.engine.trial import UnitResult
from assay.errors import EnvironmentFailed, StoreLocked, UserError, first_line

if TYPE_CHECKING:
    import duckdb
    from duckdb import DuckDBPyConnection

WRITE_WAIT_S, READ_WAIT_S = 10.0, 2.0
CHECKPOINT_BYTES = 5 << 20
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class StoredVerdict:
    """The last verdict of a trial as it was computed."""

    trial: str
    fingerprint: str
    data_sha: str
    rule: str
    outcome: str
    reason: str
    n: int
    p: float
    contrasts: tuple[dict[str, Any], ...]
    flags: tuple[str, ...]
    computed: float
    machine_id: str


class Store:
    """A results file and what lies beside it. Nothing is created before something is written."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser()
        self.folder = self.path.with_suffix(".d")
        self.journals, self.live, self.logs = (self.folder / name for name in ("journal", "live", "logs"))
        self.notes: list[str] = []  # what a reader should know: "store busy: as of 12:04:33"

    # --- writing ---

    def prepare(self) -> None:
        """Create the folders; UserError where that is not allowed, or where the path is something else."""
        self._look()
        try:
            for folder in (self.path.parent, self.journals, self.live, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = f"cannot be written: {error.strerror}; choose another with --store"
            raise UserError(f"store {self.path} {why}") from error

    def flush(self, segment: journal.Segment) -> None:
        """Move a journal segment into the database and remove it.

        Raises StoreLocked when others held the database for ten seconds, EnvironmentFailed when it cannot be
        written; the segment stays as it is then, and a second flush of the same records changes nothing.
        """
        contents = journal.read(segment.path)
        self.add(contents.records)
        if contents.corrupt:
            segment.path.rename(segment.path.with_suffix(".corrupt"))
            self.notes.append(f"{segment.path.name} is damaged after {len(contents.records)} records: kept as .corrupt")
        segment.done()

    def replay(self) -> int:
        """Take in the journals of processes that are gone; the number of files. Where the store is busy or cannot be
        written they stay: readers read them as they are."""
        taken = 0
        with contextlib.suppress(PermissionError):
            for segment in journal.left_over(self.journals):
                try:
                    self.flush(segment)
                except StoreLocked:
                    segment.keep()
                    break
                taken += 1
        return taken

    def add(self, records: Iterable[journal.Record]) -> None:
        """Add records (`{"table": …, "row": {…}}`) in one transaction; those that are there already stay."""
        by_table: dict[str, list[Any]] = {}
        for record in records:
            by_table.setdefault(record["table"], []).append(record["row"])
        if not by_table:
            return
        with self.writing() as connection:
            for table, found in by_table.items():
                connection.execute(rows.insert(table), [json.dumps(found)])

    @contextlib.contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The database, alone and in one transaction that is committed at the end. Raises as `flush` does."""
        with self.alone(), self._disk():
            if not self.path.exists():
                self._create()
            with self.connect(read_only=False) as connection:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
                wal = self.path.with_name(self.path.name + ".wal")
                if wal.exists() and wal.stat().st_size > CHECKPOINT_BYTES:
                    connection.execute("CHECKPOINT")

    def _create(self) -> None:
        """Make the database under another name first: a kill or a full disk must not leave half a file for good."""
        fresh = self.path.with_name(self.path.name + ".new")
        try:
            for old in (fresh, fresh.with_name(fresh.name + ".wal")):
                old.unlink(missing_ok=True)
            with contextlib.closing(_duckdb().connect(str(fresh))) as connection:
                self._migrate(connection, read_only=False)
                connection.execute("CHECKPOINT")  # closing would try the same and keep a failure to itself
            fresh.replace(self.path)
        finally:
            fresh.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """EnvironmentFailed where the disk is full or broken, whichever step of DuckDB it was that noticed."""
        duckdb = _duckdb()
        try:
            yield
        except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
            raise EnvironmentFailed(f"store {self.path}: {first_line(error)}; go on with --store OTHER") from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep every other Assay process away from the file; StoreLocked after ten seconds of waiting."""
        self.prepare()
        with self._locked(fcntl.LOCK_EX, WRITE_WAIT_S):
            yield

    def snapshot(self) -> None:
        """Write every table to a Parquet file for readers that find the database busy."""
        with self._locked(fcntl.LOCK_SH, READ_WAIT_S), self._disk(), self.connect(read_only=True) as connection:
            for table in rows.TABLES:
                target = self.snapshot_of(table)
                temporary = target.with_suffix(f".{os.getpid()}.tmp")
                connection.execute(f"COPY {table} TO '{quoted(temporary)}' (FORMAT parquet)")
                temporary.replace(target)

    def snapshot_of(self, table: str) -> Path:
        """Where the last snapshot of a table lies: `snapshot.parquet` holds the units."""
        return self.folder / ("snapshot.parquet" if table == "units" else f"snapshot-{table}.parquet")

    # --- reading ---

    def units(
        self,
        *,
        trials: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        prefix: str = "",
        latest: bool = False,
    ) -> list[UnitResult]:
        """Stored units, of all runs or of some trials or keys, whether in the database or still in a journal.

        prefix: how the keys begin. latest: only the last attempt of every unit and machine.
        """
        where, values = _where(trials, keys, prefix)
        found: dict[tuple[str, int, str], UnitResult] = {}
        journalled = self._journalled("units")  # first: a segment flushed meanwhile is then in the database
        wanted = set(keys) if keys is not None else None
        for row in [*journalled, *self._rows("units", where, values)]:
            unit = rows.unit_of(row)
            known = wanted is None or unit.unit_key in wanted
            if known and (trials is None or unit.trial in trials) and unit.unit_key.startswith(prefix):
                found[unit.unit_key, unit.attempt, unit.machine_id] = unit
        ordered = sorted(found.values(), key=lambda u: (u.trial, u.seed, u.arm, u.unit_key, u.machine_id, u.attempt))
        if latest:
            return list({(u.unit_key, u.machine_id): u for u in ordered}.values())
        return ordered

    def verdicts(self) -> dict[str, StoredVerdict]:
        """The last verdict of every trial that has one."""
        last: dict[str, StoredVerdict] = {}
        for row in [*self._journalled("verdicts"), *self._rows("verdicts", "ORDER BY computed", [])]:
            found = StoredVerdict(**{**row, "contrasts": _data(row["contrasts"]), "flags": _data(row["flags"])})
            if found.trial not in last or found.computed >= last[found.trial].computed:
                last[found.trial] = found
        return last

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Every row of a table, journals included (a row may then come twice)."""
        return [*self._journalled(table), *self._rows(table, "", [])]

    def query(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of a SQL query over the database alone (call `replay` first to have the journals in it)."""
        if not self.path.exists():
            raise UserError(f"no store at {self.path}: run a trial first, or choose one with --store")
        with self._locked(fcntl.LOCK_SH, READ_WAIT_S), self.connect(read_only=True) as connection:
            return connection.execute(sql, list(values)).fetchall()

    def _rows(self, table: str, where: str, values: Sequence[object]) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        sql = rows.select(table, where)
        try:
            with self._locked(fcntl.LOCK_SH, READ_WAIT_S), self.connect(read_only=True) as connection:
                return _as_dicts(connection.execute(sql, list(values)))
        except StoreLocked:
            snapshot = self.snapshot_of(table)
            if not snapshot.exists():
                raise
            moment = time.strftime("%H:%M:%S", time.localtime(snapshot.stat().st_mtime))
            if (note := f"store busy: as of {moment}") not in self.notes:
                self.notes.append(note)
            source = f"read_parquet('{quoted(snapshot)}')"
            with contextlib.closing(_duckdb().connect()) as memory:
                return _as_dicts(memory.execute(rows.select(table, where, source), list(values)))

    def _journalled(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for path in sorted(self.journals.glob("*.jnl")):
            with contextlib.suppress(FileNotFoundError):  # flushed since the listing: then the database has it
                found += [dict(r["row"]) for r in journal.read(path).records if r["table"] == table]
        return found

    # --- opening ---

    @contextlib.contextmanager
    def _locked(self, kind: int, wait_s: float) -> Iterator[None]:
        """Hold `results.lock`, shared for reading and alone for writing."""
        self._look()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "results.lock").open("a")
        except OSError as error:
            if kind == fcntl.LOCK_SH:  # a store on a read-only disk: nobody writes to it
                yield
                return
            raise UserError(f"store {self.path} cannot be written: {error.strerror}") from error
        with file:
            deadline = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(file.fileno(), kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise StoreLocked(f"store {self.path} is in use by another process: try again") from None
                    time.sleep(0.02)
            yield

    def _look(self) -> None:
        """UserError where something that is no store lies at the path; DuckDB's files say so in bytes 8 to 12."""
        if self.path.is_dir():
            raise UserError(f"store {self.path} is a folder: name a file, such as {self.path / 'results.duckdb'}")
        if not self.path.is_file() or self.path.stat().st_size == 0:
            return
        with self.path.open("rb") as file:
            if file.read(12)[8:] != b"DUCK":
                raise UserError(f"{self.path} cannot be opened as a store: it is no DuckDB file; choose another")

    @contextlib.contextmanager
    def connect(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """The database, with the schema of this version; `alone` keeps others away, and is the caller's to hold."""
        duckdb = _duckdb()
        try:
            with contextlib.closing(self._open(read_only)) as connection:
                if self._migrate(connection, read_only):
                    yield connection
                    return
            with contextlib.closing(self._open(read_only=False)) as connection:
                self._migrate(connection, read_only=False)
            with contextlib.closing(self._open(read_only)) as connection:
                yield connection
        except (duckdb.FatalException, duckdb.InternalException, duckdb.SerializationException) as error:
            raise self._damaged(error) from error

    def _open(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        duckdb = _duckdb()
        deadline = time.monotonic() + READ_WAIT_S
        while True:
            try:
                opened: DuckDBPyConnection = duckdb.connect(str(self.path), read_only=read_only)
                return opened
            except duckdb.IOException as error:
                if "lock" in str(error) and time.monotonic() < deadline:  # a program that knows nothing of our lock
                    time.sleep(0.05)
                    continue
                kind = StoreLocked if "lock" in str(error) else UserError
                raise kind(f"store {self.path} cannot be opened: {first_line(error)}") from error
            except duckdb.Error as error:
                raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> EnvironmentFailed:
        """What to say of a file that DuckDB cannot read any more."""
        last = self.snapshot_of("units")
        rescue = f"; its last snapshot can be taken into a new store: assay store import {last} --store NEW"
        return EnvironmentFailed(
            f"store {self.path} is damaged ({first_line(error)[:120]}){rescue if last.exists() else ''}"
        )

    def _migrate(self, connection: duckdb.DuckDBPyConnection, read_only: bool) -> bool:
        """Bring the schema up to this version; False where that is due and only reading is allowed."""
        steps = sorted(_MIGRATIONS.glob("*.sql"))
        tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        version = 0
        if "schema_version" in tables:
            ((version,),) = connection.execute("SELECT max(version) FROM schema_version").fetchall()
        elif tables:
            raise UserError(f"{self.path} is a database of something else: choose another path with --store")
        if version > len(steps):
            raise UserError(f"{self.path}: this store was written by a newer assay (schema {version})")
        if version == len(steps) or read_only:
            return bool(version == len(steps))
        connection.execute("BEGIN")
        if not version:
            connection.execute("CREATE TABLE schema_version (version INTEGER, applied TIMESTAMPTZ)")
        for number, step in enumerate(steps[version:], start=version + 1):
            connection.execute(step.read_text("utf-8"))
            connection.execute("INSERT INTO schema_version SELECT ?, now()", [number])
        connection.execute("COMMIT")
        return True


def _duckdb() -> Any:
    import duckdb

    return duckdb


def _where(trials: Sequence[str] | None, keys: Sequence[str] | None, prefix: str) -> tuple[str, list[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if prefix:
        conditions.append("starts_with(unit_key, ?)")
        values.append(prefix)
    for column, wanted in (("trial", trials), ("unit_key", keys)):
        if wanted is not None:
            conditions.append(f"{column} IN (SELECT unnest(?::VARCHAR[]))")
            values.append(list(wanted))
    return ("WHERE " + " AND ".join(conditions) if conditions else ""), values


def _as_dicts(found: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in found.description or []]
    return [dict(zip(names, row)) for row in found.fetchall()]


def _data(value: Any) -> tuple[Any, ...]:
    return tuple(json.loads(value) if isinstance(value, str) else value)


def quoted(path: Path) -> str:
    """The path inside a SQL text of single quotes."""
    return str(path).replace("'", "''")
