"""The index: one SQLite file with the original texts and an FTS5 table over their spaced form.

The table keeps no text of its own (`content=''`), so the file stays small; a row that goes is taken out with the
spaced text it was put in with. Only changed documents are written.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.errors import UserError
from assay.papers.search.document import WEIGHTS, Document
from assay.papers.search.query import Query
from assay.papers.search.text import Snippet, snippet, spaced
from assay.papers.sqlite import write_ahead

VERSION = 2
_COLUMNS = tuple(WEIGHTS)
_FACTS = ("field", "dates", "lang", "origin", "has", "upvotes")
_TOKENIZER = "unicode61 remove_diacritics 2"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS papers (
    row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, sha TEXT NOT NULL, field TEXT, dates TEXT, lang TEXT, origin TEXT,
    has TEXT, upvotes INTEGER, verdicts TEXT NOT NULL DEFAULT '[]',
    title TEXT, one_line TEXT, claims TEXT, contribution TEXT, innovations TEXT, fields TEXT, usage TEXT, results TEXT,
    authors TEXT);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5({", ".join(_COLUMNS)}, content='', tokenize='{_TOKENIZER}');
CREATE TABLE IF NOT EXISTS vectors (
    id TEXT NOT NULL, text_sha TEXT NOT NULL, encoder TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (id, encoder));
CREATE TABLE IF NOT EXISTS stamps (name TEXT PRIMARY KEY, value TEXT NOT NULL);
PRAGMA user_version = {VERSION};
"""
_DATE = "json_extract(dates, '$[#-1]')"  # the last report that a paper stands in
_ORDER = {"relevance": "score DESC", "date": f"{_DATE} DESC", "upvotes": f"upvotes DESC NULLS LAST, {_DATE} DESC"}
_SNIPPETS_FROM = ("one_line", "claims", "contribution", "innovations", "results", "usage", "fields", "authors")


@dataclass(frozen=True, slots=True)
class Hit:
    """A paper that was found, best first; `score` falls from hit to hit and means nothing by itself."""

    id: str
    title: str
    field: str
    date: str
    score: float
    snippet: Snippet | None = None


class Index:
    """An index file that is open; a file of another version, or a damaged one, is made anew. Use it with `with`."""

    def __init__(self, path: Path | None) -> None:
        """`path` None keeps the index in memory."""
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = _open(path)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"index {path} cannot be used: {error}; choose another place with ASSAY_CACHE") from error

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    # --- filling ---

    def sync(self, documents: Iterable[Document]) -> int:
        """Make the index hold these documents and no others, in one transaction; the number of rows written."""
        with self.connection:
            self.connection.execute("BEGIN IMMEDIATE")  # what is known must not change before it is written
            known = dict(self.connection.execute("SELECT id, sha FROM papers"))
            written = 0
            for document in documents:
                if known.pop(document.id, None) != (sha := document.sha):
                    self._remove(document.id)
                    self._insert(document, sha)
                    written += 1
            for gone in known:
                self._remove(gone)
                self.connection.execute("DELETE FROM vectors WHERE id = ?", [gone])
        return written + len(known)

    def set_verdicts(self, verdicts: Mapping[str, Sequence[str]]) -> None:
        """Paper id -> outcomes of its trials, for the filter `verdict:`; papers not named are untried."""
        with self.connection:
            self.connection.execute("UPDATE papers SET verdicts = '[]' WHERE verdicts != '[]'")
            rows = [(json.dumps(list(outcomes)), paper) for paper, outcomes in verdicts.items()]
            self.connection.executemany("UPDATE papers SET verdicts = ? WHERE id = ?", rows)

    def stamp(self, name: str) -> str | None:
        """A remark that the user of the index left, such as what it was filled from."""
        row = self.connection.execute("SELECT value FROM stamps WHERE name = ?", [name]).fetchone()
        return row[0] if row else None

    def set_stamp(self, name: str, value: str) -> None:
        with self.connection:
            self.connection.execute("INSERT OR REPLACE INTO stamps VALUES (?, ?)", [name, value])

    # --- asking ---

    def search(self, query: Query, limit: int = 20) -> list[Hit]:
        """The best `limit` papers for a query, with a snippet of the original text each."""
        return [self._with_snippet(hit, query) for hit in self.ranked(query, limit)]

    def ranked(self, query: Query, limit: int) -> list[Hit]:
        """As `search`, without snippets."""
        values: list[object] = []
        conditions = []
        score, source, row = "0.0", "papers", "row"
        if query.match:
            score, source, row = f"-bm25(words, {', '.join(map(str, WEIGHTS.values()))})", "words", "rowid"
            conditions.append("words MATCH ?")
            values.append(query.match)
        if query.without:
            conditions.append(f"{row} NOT IN (SELECT rowid FROM words WHERE words MATCH ?)")
            values.append(query.without)
        if query.conditions:
            wanted = " AND ".join(f"({condition.sql})" for condition in query.conditions)
            conditions.append(f"{row} IN (SELECT row FROM papers WHERE {wanted})")
            values += [value for condition in query.conditions for value in condition.values]
        found = f"SELECT {row} AS found, {score} AS score FROM {source} WHERE {' AND '.join(conditions)}"
        if query.sort == "relevance":  # the texts of all but the best are never looked at
            found += " ORDER BY score DESC, found LIMIT ?"
            values.append(limit)
        sql = (
            f"SELECT id, title, field, {_DATE}, score FROM ({found}) JOIN papers ON row = found "
            f"ORDER BY {_ORDER[query.sort]}, row LIMIT ?"
        )
        values.append(limit)
        return [Hit(*columns) for columns in self.connection.execute(sql, values)]

    def hits(self, scores: Mapping[str, float]) -> list[Hit]:
        """Hits for papers that were found by other means, in the order given."""
        wanted = json.dumps(list(scores))
        sql = f"SELECT id, title, field, {_DATE} FROM papers WHERE id IN (SELECT value FROM json_each(?))"
        found: dict[str, tuple[str, str, str, str]] = {row[0]: row for row in self.connection.execute(sql, [wanted])}
        return [Hit(*found[paper], score) for paper, score in scores.items() if paper in found]

    def allowed(self, query: Query) -> set[str]:
        """The ids that pass a query's filters and hold nothing that it excludes."""
        plain = Query(query.text, "", query.without, (), query.conditions, "date")
        if not (plain.without or plain.conditions):
            return {row[0] for row in self.connection.execute("SELECT id FROM papers")}
        return {hit.id for hit in self.ranked(plain, -1)}

    def _with_snippet(self, hit: Hit, query: Query) -> Hit:
        if not query.terms:
            return hit
        sql = f"SELECT {', '.join(_SNIPPETS_FROM)} FROM papers WHERE id = ?"
        texts = self.connection.execute(sql, [hit.id]).fetchone()
        return Hit(hit.id, hit.title, hit.field, hit.date, hit.score, snippet(texts, query.terms))

    def _insert(self, document: Document, sha: str) -> None:
        texts = [getattr(document, name) for name in _COLUMNS]
        facts = [_stored(getattr(document, name)) for name in _FACTS]
        names = ", ".join(("sha", *_COLUMNS, *_FACTS))
        marks = ", ".join("?" * (1 + len(texts) + len(facts)))
        row = self.connection.execute(f"INSERT INTO papers ({names}) VALUES ({marks})", [sha, *texts, *facts]).lastrowid
        self._words("rowid", [row, *map(spaced, texts)])

    def _remove(self, paper: str) -> None:
        sql = f"SELECT row, {', '.join(_COLUMNS)} FROM papers WHERE id = ?"
        if (found := self.connection.execute(sql, [paper]).fetchone()) is None:
            return
        row, *texts = found
        self._words("words, rowid", ["delete", row, *map(spaced, texts)])
        self.connection.execute("DELETE FROM papers WHERE row = ?", [row])

    def _words(self, lead: str, values: Sequence[object]) -> None:
        marks = ", ".join("?" * len(values))
        self.connection.execute(f"INSERT INTO words ({lead}, {', '.join(_COLUMNS)}) VALUES ({marks})", values)


@contextlib.contextmanager
def _closed_after_failure(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error:
        connection.close()
        raise


def _open(path: Path | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", timeout=10)
    try:
        with _closed_after_failure(connection):
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                write_ahead(connection)
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
                version = VERSION
    except sqlite3.DatabaseError as error:  # not a database, or cut off: everything in it can be made again
        if path is None or isinstance(error, sqlite3.OperationalError):
            raise
        version = -1
    if version == VERSION:
        return connection
    connection.close()
    assert path is not None
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        name.unlink(missing_ok=True)
    return _open(path)


def _stored(value: object) -> object:
    return json.dumps(value) if isinstance(value, tuple) else value
