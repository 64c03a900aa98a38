"""What happens to every paper: one SQLite file, one row a paper, date and language, each change one transaction.

A paper goes from `listed` over `fetched` and `written` to `rendered`, or to `failed`. Whatever moment a process dies
at, the next one finds each paper at the last stage that it reached.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

from assay.errors import AssayError, UserError
from assay.papers.feed.model import Listed
from assay.papers.sqlite import write_ahead

Stage = Literal["listed", "fetched", "written", "rendered", "failed"]
BUSY_SECONDS = 30

_SCHEMA = """
CREATE TABLE papers (
    date TEXT NOT NULL, id TEXT NOT NULL, lang TEXT NOT NULL, position INTEGER NOT NULL, title TEXT NOT NULL,
    row TEXT NOT NULL, gone INTEGER NOT NULL DEFAULT 0, stage TEXT NOT NULL DEFAULT 'listed',
    attempts INTEGER NOT NULL DEFAULT 0, run INTEGER, reason TEXT, detail TEXT, read_from TEXT, warnings TEXT,
    doc_sha TEXT, prompt_sha TEXT, model TEXT, tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0, started_at TEXT, finished_at TEXT,
    entry TEXT, PRIMARY KEY (date, lang, id));
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, date TEXT NOT NULL, lang TEXT NOT NULL, command TEXT NOT NULL, started_at TEXT NOT NULL,
    ended_at TEXT);
CREATE TABLE replies (
    id TEXT NOT NULL, lang TEXT NOT NULL, attempt INTEGER NOT NULL, number INTEGER NOT NULL, at TEXT NOT NULL,
    model TEXT NOT NULL, faults TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (id, lang, attempt, number));
CREATE TABLE reports (path TEXT PRIMARY KEY, sha TEXT, next TEXT NOT NULL);
PRAGMA user_version = 1;
"""


class DigestRunning(AssayError):
    """Another process writes the digest of the same date."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One paper of one date in one language. `run` is the run that last finished it, `entry` what the report shows."""

    date: date
    id: str
    lang: str
    position: int
    title: str
    listed: Listed
    gone: bool
    stage: Stage
    attempts: int
    run: int | None
    reason: str | None
    detail: str | None
    read_from: str | None
    warnings: tuple[str, ...]
    doc_sha: str | None
    prompt_sha: str | None
    model: str | None
    tokens_in: int
    tokens_out: int
    cost: float
    started_at: str | None
    finished_at: str | None
    entry: str | None


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply of a model about a paper, as it came, and the codes of what was wrong with it."""

    lang: str
    attempt: int
    number: int
    at: str
    model: str
    faults: tuple[str, ...]
    text: str


def unwritten(day: date, lang: str, listed: Listed) -> Row:
    """A paper as it stands before anything has been tried."""
    return Row(
        date=day, id=listed.id, lang=lang, position=listed.position, title=listed.title, listed=listed, gone=False,
        stage="listed", attempts=0, run=None, reason=None, detail=None, read_from=None, warnings=(), doc_sha=None,
        prompt_sha=None, model=None, tokens_in=0, tokens_out=0, cost=0.0, started_at=None, finished_at=None, entry=None,
    )  # fmt: skip


class Ledger:
    """The file at `path`, made when it is first used. UserError where it cannot be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            write_ahead(self._connection)
            with self._changing() as connection:  # two processes may find the file new at once
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        connection.execute(statement)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        if version > 1:
            raise UserError(f"ledger {path} was written by a newer assay: update assay")

    def close(self) -> None:
        self._connection.close()

    def rows(self, day: date, lang: str) -> list[Row]:
        """The papers of a day in the report's order."""
        names = [name for name in Row.__dataclass_fields__ if name != "listed"]
        query = f"SELECT row, {', '.join(names)} FROM papers WHERE date = ? AND lang = ? ORDER BY position"
        with self._reading() as connection:
            found = connection.execute(query, [day.isoformat(), lang]).fetchall()
        return [_row(dict(zip(["listed", *names], values))) for values in found]

    def enlist(self, day: date, lang: str, listed: Sequence[Listed]) -> None:
        """Take in a day's list: new papers are appended, those that it no longer has stay and are marked."""
        with self._changing() as connection:
            known = connection.execute("SELECT id, position FROM papers WHERE date = ? AND lang = ?", [str(day), lang])
            positions = dict(known.fetchall())
            last = max(positions.values(), default=0)
            for paper in listed:
                if paper.id not in positions:
                    last += 1
                    values = [str(day), lang, paper.id, last, _whole(paper.title), _packed(paper)]
                    new = "INSERT INTO papers (date, lang, id, position, title, row) VALUES (?, ?, ?, ?, ?, ?)"
                    connection.execute(new, values)
                    positions[paper.id] = last
            there = {paper.id for paper in listed}
            for id in positions:
                gone = "UPDATE papers SET gone = ? WHERE date = ? AND lang = ? AND id = ?"
                connection.execute(gone, [id not in there, str(day), lang, id])

    def begin(self, day: date, lang: str, command: str, at: str) -> int:
        """The number of this run. A run of the same command that died is taken up: what it finished stays finished."""
        with self._changing() as connection:
            query = "SELECT run, command, ended_at FROM runs WHERE date = ? AND lang = ? ORDER BY run DESC LIMIT 1"
            last = connection.execute(query, [str(day), lang]).fetchone()
            if last and last[1] == command and last[2] is None:
                return int(last[0])
            new = "INSERT INTO runs (date, lang, command, started_at) VALUES (?, ?, ?, ?)"
            return int(connection.execute(new, [str(day), lang, command, at]).lastrowid or 0)

    def end(self, run: int, at: str) -> None:
        with self._changing() as connection:
            connection.execute("UPDATE runs SET ended_at = ? WHERE run = ?", [at, run])

    def started(self, row: Row, at: str) -> None:
        """A new try of a paper begins; what it cost before is kept until it ends."""
        self._update(row, stage="listed", started_at=at)

    def fetched(self, row: Row, doc_sha: str, read_from: str, warnings: Sequence[str]) -> None:
        self._update(row, stage="fetched", doc_sha=doc_sha, read_from=read_from, warnings=json.dumps(list(warnings)))

    def written(self, row: Row, entry: str, *, run: int, model: str, prompt_sha: str, spent: Spent, at: str) -> None:
        """The paper's text is done and checked; it only has to get into the report."""
        self._update(
            row, stage="written", entry=entry, run=run, model=model, prompt_sha=prompt_sha, attempts=row.attempts + 1,
            reason=None, detail=None, finished_at=at, **spent.as_columns(),
        )  # fmt: skip

    def failed(self, row: Row, reason: str, detail: str, *, run: int, model: str, spent: Spent, at: str) -> None:
        """The paper could not be written. If it had been before (`--redo`), what the report shows stays."""
        self._update(
            row, stage="rendered" if row.entry else "failed", reason=reason, detail=detail, run=run, model=model,
            attempts=row.attempts + 1, finished_at=at, **spent.as_columns(),
        )  # fmt: skip

    def rendered(self, day: date, lang: str, ids: Sequence[str]) -> None:
        """These papers stand in the report's file."""
        with self._changing() as connection:
            for id in ids:
                done = "UPDATE papers SET stage = 'rendered' WHERE date = ? AND lang = ? AND id = ?"
                connection.execute(f"{done} AND stage = 'written'", [str(day), lang, id])

    def keep_reply(self, id: str, reply: RawReply) -> None:
        values = [
            id,
            reply.lang,
            reply.attempt,
            reply.number,
            reply.at,
            reply.model,
            json.dumps(reply.faults),
            _whole(reply.text),
        ]
        with self._changing() as connection:
            connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def replies(self, id: str) -> list[RawReply]:
        """All that models replied about a paper, in order."""
        query = (
            "SELECT lang, attempt, number, at, model, faults, text FROM replies WHERE id = ? "
            "ORDER BY lang, attempt, number"
        )
        with self._reading() as connection:
            found = connection.execute(query, [id]).fetchall()
        return [
            RawReply(lang, attempt, number, at, model, tuple(json.loads(faults)), text)
            for lang, attempt, number, at, model, faults, text in found
        ]

    def report_shas(self, path: Path) -> set[str]:
        """What the file at `path` may hold if nobody but `assay digest` has written it; empty for an unknown file."""
        with self._reading() as connection:
            found = connection.execute("SELECT sha, next FROM reports WHERE path = ?", [str(path)]).fetchone()
        return {sha for sha in found or () if sha}

    def report_next(self, path: Path, sha: str) -> None:
        """The file is about to be replaced: until `report_done` it may hold either text."""
        keep = (
            "INSERT INTO reports VALUES (?, NULL, ?) "
            "ON CONFLICT (path) DO UPDATE SET sha = COALESCE(sha, next), next = excluded.next"
        )
        with self._changing() as connection:
            connection.execute(keep, [str(path), sha])

    def report_done(self, path: Path) -> None:
        with self._changing() as connection:
            connection.execute("UPDATE reports SET sha = next WHERE path = ?", [str(path)])

    def _update(self, row: Row, **columns: Any) -> None:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        keys = [row.date.isoformat(), row.lang, row.id]
        with self._changing() as connection:
            told = f"UPDATE papers SET {assignments} WHERE date = ? AND lang = ? AND id = ?"
            connection.execute(told, [*columns.values(), *keys])

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, taken for writing at once, so that two processes wait for each other and never clash."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._connection
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error


@dataclass(frozen=True, slots=True)
class Spent:
    """What one try of a paper took of the model."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def plus(self, tokens_in: int, tokens_out: int, cost: float) -> Spent:
        return Spent(self.tokens_in + tokens_in, self.tokens_out + tokens_out, self.cost + cost)

    def as_columns(self) -> dict[str, float]:
        return {"tokens_in": self.tokens_in, "tokens_out": self.tokens_out, "cost": self.cost}


@contextlib.contextmanager
def only_process(folder: Path, day: date) -> Iterator[None]:
    """Hold the date for this process; `DigestRunning` names the one that has it. Death of the holder frees it."""
    path = folder / f"digest-{day}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    with file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise DigestRunning(f"digest of {day} is running as PID {holder}") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def stamp(seconds: float) -> str:
    """A moment as YYYY-MM-DDTHH:MM:SSZ."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _packed(paper: Listed) -> str:
    facts = {name: getattr(paper, name) for name in ("id", "title", "position", "summary", "upvotes", "github")}
    return _whole(json.dumps({**facts, "authors": list(paper.authors)}, ensure_ascii=False))


def _whole(text: str) -> str:
    """The text with halves of characters, which JSON can spell and no file can hold, shown as `?`."""
    return text.encode("utf-8", "replace").decode()


def _row(values: dict[str, Any]) -> Row:
    listed = json.loads(values["listed"])
    listed["authors"] = tuple(listed["authors"])
    values["listed"] = Listed(**listed)
    values["date"] = date.fromisoformat(values["date"])
    values["gone"] = bool(values["gone"])
    values["warnings"] = tuple(json.loads(values["warnings"] or "[]"))
    return Row(**values)


def _unusable(path: Path, error: Exception) -> UserError:
    return UserError(f"ledger {path} cannot be used: {error}; free the disk or set XDG_DATA_HOME to another folder")
