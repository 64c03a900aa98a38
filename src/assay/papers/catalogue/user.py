"""The user's own catalogue: papers of imported reports in one SQLite file, laid over the packaged edition.

A report says a paper's title, date, place and reading source; the packaged edition knows its field, slug, one line
and claims. Where both have a paper, the record shows the former from the report and the latter from the package.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from assay.errors import UserError
from assay.papers.catalogue.record import LONGEST_LINE, Paper, from_json, to_json
from assay.papers.report import Entry, Report, render_node

_SCHEMA = """
CREATE TABLE papers (id TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE entries (id TEXT NOT NULL, report_date TEXT NOT NULL, position INTEGER NOT NULL, text TEXT NOT NULL,
                      PRIMARY KEY (id, report_date));
PRAGMA user_version = 1;
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: papers new to the user's catalogue, papers it had, entries left out (failed or no id)."""

    new: int
    updated: int
    left_out: int


def merged(packaged: Iterable[Paper], own: Iterable[Paper]) -> tuple[Paper, ...]:
    """Both catalogues as one, by date and position; the user's record of a paper shadows the packaged one."""
    papers = {paper.id: paper for paper in packaged}
    for paper in own:
        known = papers.get(paper.id)
        papers[paper.id] = _laid_over(known, paper) if known else paper
    return tuple(sorted(papers.values(), key=lambda p: (p.report_date, p.position, p.id)))


class UserCatalogue:
    """The file at `path`; nothing is created before something is imported."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def papers(self) -> list[Paper]:
        """The user's papers, each under its first report date; none where there is no file."""
        if not self.path.exists():
            return []
        with self._open() as connection:
            return [from_json(json.loads(record)) for (record,) in connection.execute("SELECT record FROM papers")]

    def entry(self, paper_id: str) -> str | None:
        """The latest report's entry on a paper, as written; None where no imported report has it."""
        if not self.path.exists():
            return None
        latest = "SELECT text FROM entries WHERE id = ? ORDER BY report_date DESC LIMIT 1"
        with self._open() as connection:
            row = connection.execute(latest, [paper_id]).fetchone()
        return row[0] if row else None

    def entries(self) -> dict[str, str]:
        """Of every paper the latest report's entry, as written."""
        if not self.path.exists():
            return {}
        with self._open() as connection:
            return dict(connection.execute("SELECT id, text FROM entries ORDER BY report_date"))

    def add(self, report: Report) -> Imported:
        """Take in a report's papers in one transaction; a paper of the same date replaces what was there."""
        if report.date is None:
            raise UserError("the report has no date: wanted a line **Date**: YYYY-MM-DD at its top")
        written = [(e, position) for position, e in enumerate(report.entries, 1) if e.status == "ok" and e.arxiv_id]
        new = 0
        with self._open() as connection:
            for entry, position in written:
                new += _put(connection, record_of(entry, report.date, position), render_node(entry))
        return Imported(new, len(written) - new, len(report.entries) - len(written))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection whose work is one transaction; UserError where the file cannot be used."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version > 1:
                    raise UserError(f"catalogue {self.path} was written by a newer assay: update assay")
                if version == 0:
                    connection.executescript(_SCHEMA)
                yield connection
        except (OSError, sqlite3.Error) as error:
            told = f"catalogue {self.path} cannot be used: {error}; choose another with ASSAY_CATALOGUE"
            raise UserError(told) from error


def record_of(entry: Entry, day: date, position: int) -> Paper:
    """What a report says of a paper, as a record. The contribution is its one line, cut where it is too long."""
    if entry.arxiv_id is None:
        raise ValueError(f"entry: {entry.title!r} has no arXiv id in its link, {entry.url!r}")
    one_line = entry.contribution
    if len(one_line) > LONGEST_LINE:
        one_line = one_line[: LONGEST_LINE - 1] + "…"
    return Paper(
        id=entry.arxiv_id,
        title=entry.title,
        report_date=day,
        position=position,
        read_from="html" if entry.read_from.startswith("HTML") else "abs",
        field="",
        slug="paper_" + entry.arxiv_id.replace(".", "_"),
        one_line=one_line,
        claims=(),
        origin="user",
    )


def _put(connection: sqlite3.Connection, paper: Paper, text: str) -> bool:
    """Store one paper of one report; True if the catalogue did not have it."""
    row = connection.execute("SELECT record FROM papers WHERE id = ?", [paper.id]).fetchone()
    known = from_json(json.loads(row[0])) if row else None
    record = _together(known, paper) if known else paper
    written = json.dumps(to_json(record), ensure_ascii=False, sort_keys=True)
    connection.execute("INSERT OR REPLACE INTO papers VALUES (?, ?)", [paper.id, written])
    entry = [paper.id, paper.report_date.isoformat(), paper.position, text]
    connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", entry)
    return known is None


def _together(known: Paper, fresh: Paper) -> Paper:
    """One record for a paper of several reports: it stands under the first date, the others are kept beside it."""
    days = sorted({known.report_date, *known.also_on, fresh.report_date, *fresh.also_on})
    position = fresh.position if fresh.report_date == days[0] else known.position
    return replace(
        fresh,
        report_date=days[0],
        also_on=tuple(days[1:]),
        position=position,
        authors=fresh.authors or known.authors,
        upvotes=known.upvotes if fresh.upvotes is None else fresh.upvotes,
    )


def _laid_over(packaged: Paper, own: Paper) -> Paper:
    facts = {name: getattr(packaged, name) for name in ("field", "slug", "one_line", "claims", "code_url")}
    return replace(_together(packaged, own), **facts)
