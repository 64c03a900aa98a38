"""Answers kept on disk: one SQLite file, one row a URL, the body packed. Several processes may use it at once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from assay.errors import UserError
from assay.papers.sqlite import write_ahead
from assay.places import cache_root

_TABLE = """
CREATE TABLE IF NOT EXISTS answers (
    url TEXT PRIMARY KEY, final_url TEXT NOT NULL, status INTEGER NOT NULL, etag TEXT, last_modified TEXT,
    fetched_at REAL NOT NULL, ttl REAL NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
)
"""


def feed_folder() -> Path:
    """Where the feed keeps its cache and what it knows of hosts."""
    return cache_root() / "feed"


def default_cache() -> Path:
    """The file that every command shares."""
    return feed_folder() / "http.sqlite"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a GET. `headers` have lower-case names; times and `ttl` are in seconds."""

    url: str
    final_url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    fetched_at: float
    ttl: float = 0.0

    def fresh(self, now: float) -> bool:
        """Whether it may be used without asking again; an answer from the future is not trusted."""
        return 0 <= now - self.fetched_at < self.ttl


@dataclass(frozen=True, slots=True)
class Usage:
    """What the cache holds of one host: answers, and bytes of their bodies as sent and as stored."""

    host: str
    answers: int
    bytes: int
    stored: int


class Cache:
    """The answers in `path` (left out: the one that every command shares).

    UserError where the file cannot be opened or written, or is no cache of ours.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_cache()
        with self._told():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            write_ahead(self._db)
            self._db.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost answers, never the file
            self._db.execute(_TABLE)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str) -> Answer | None:
        """The stored answer, fresh or stale; None if there is none or its body is not what was stored."""
        with self._told():
            row = self._db.execute(
                "SELECT final_url, status, headers, body, fetched_at, ttl, sha256 FROM answers WHERE url = ?", (url,)
            ).fetchone()
        if row is None:
            return None
        final_url, status, headers, packed, fetched_at, ttl, digest = row
        try:
            body = zlib.decompress(packed)
        except zlib.error:
            return None
        if hashlib.sha256(body).hexdigest() != digest:
            return None
        return Answer(url, final_url, status, json.loads(headers), body, fetched_at, ttl)

    def put(self, answer: Answer) -> None:
        """Store a complete answer, in place of an earlier one, in one transaction."""
        headers = answer.headers
        with self._told():
            self._db.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    answer.url,
                    answer.final_url,
                    answer.status,
                    headers.get("etag"),
                    headers.get("last-modified"),
                    answer.fetched_at,
                    answer.ttl,
                    json.dumps(dict(headers)),
                    zlib.compress(answer.body, 6),
                    len(answer.body),
                    hashlib.sha256(answer.body).hexdigest(),
                ),
            )

    def confirm(self, url: str, fetched_at: float, ttl: float) -> None:
        """The server says that the stored answer still stands."""
        with self._told():
            self._db.execute("UPDATE answers SET fetched_at = ?, ttl = ? WHERE url = ?", (fetched_at, ttl, url))

    def clear(self) -> int:
        """Forget everything, give the space back, and return the number of answers forgotten."""
        with self._told():
            count = self._db.execute("DELETE FROM answers").rowcount
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def usage(self) -> list[Usage]:
        """What is held, by host, the largest first."""
        with self._told():
            rows = self._db.execute("SELECT url, size, length(body) FROM answers").fetchall()
        sums: dict[str, list[int]] = {}
        for url, size, stored in rows:
            host = sums.setdefault(urlsplit(url).netloc, [0, 0, 0])
            host[0] += 1
            host[1] += size
            host[2] += stored
        return sorted((Usage(host, *counts) for host, counts in sums.items()), key=lambda u: -u.stored)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            fault = "is no cache of ours: remove it" if "not a database" in str(error) else f"cannot be used: {error}"
            raise UserError(f"{self.path} {fault}") from error
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from error
