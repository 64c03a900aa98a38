"""The query language: words, phrases, `-not`, `OR`, `prefix*` and filters. What is not one of these is literal text.

A query becomes one expression of the index, one for what must not be there, and conditions on a paper's facts;
every piece of the user's text stands in quotes or in a parameter, so that no query can be a syntax error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from assay.errors import UserError
from assay.papers.catalogue.record import FIELDS, paper_id
from assay.papers.catalogue.store import parse_dates
from assay.papers.search.text import cjk_share, has_token, is_cjk, runs, spaced
from assay.papers.verdicts import Standing

MOST_TERMS = 64
HAS = ("code", "trial", "figure")
SORTS = ("relevance", "date", "upvotes")

_PIECE = re.compile(r'(?P<minus>-?)(?:(?P<key>[a-z]+):)?(?:"(?P<phrase>[^"]*)(?:"|\Z)|(?P<word>[^\s"]+))')


@dataclass(frozen=True, slots=True)
class Condition:
    """One `key:value` filter; `values` are the parameters of its SQL."""

    sql: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: `match` and `without` are expressions of the index ("" for none), `terms` what to highlight."""

    text: str
    match: str
    without: str
    terms: tuple[str, ...]
    conditions: tuple[Condition, ...]
    sort: str

    @property
    def asks_for_verdicts(self) -> bool:
        return any("verdicts" in condition.sql for condition in self.conditions)

    @property
    def words(self) -> str:
        """The query without filters, for the search by meaning."""
        return " ".join(self.terms)

    @property
    def is_chinese(self) -> bool:
        """More than 30 % CJK letters: an English encoder has nothing to say of it."""
        return cjk_share(self.words) > 0.30


def parse(text: str) -> Query:
    """Read a query. UserError for one with nothing to search for, too many terms, or a filter's wrong value."""
    groups: list[list[str]] = []  # ANDed groups of ORed expressions
    excluded: list[str] = []
    terms: list[str] = []
    conditions: list[Condition] = []
    sort, joined = "", False
    pieces = _pieces(text)
    for place, piece in enumerate(pieces):
        key, value, negated = piece.key, piece.value, piece.negated
        if key == "sort" and not negated:
            sort = _one_of("sort", value, SORTS)
            continue
        if key in _FILTERS:
            condition = _FILTERS[key](value)
            conditions.append(replace(condition, sql=f"NOT ({condition.sql})") if negated else condition)
            continue
        if piece.is_or and 0 < place < len(pieces) - 1 and groups and not joined:
            joined = True
            continue
        found = _expressions(piece)
        if not found:
            continue
        expression = found[0] if len(found) == 1 else f"({' AND '.join(found)})"
        if negated:
            excluded.append(expression)
        elif joined:
            groups[-1].append(expression)
        else:
            groups.append([expression])
        terms += [] if negated else piece.literals
        joined = False
    if not (groups or excluded or conditions):
        raise UserError(f"nothing to search for in {text[:60]!r}")
    if len(terms) + len(excluded) > MOST_TERMS:
        raise UserError(f"the query has {len(terms) + len(excluded)} terms, wanted at most {MOST_TERMS}")
    match = " AND ".join(f"({' OR '.join(group)})" for group in groups)
    ordered = sort or ("relevance" if groups else "date")
    return Query(text, match, " OR ".join(excluded), tuple(terms), tuple(conditions), ordered)


@dataclass(frozen=True, slots=True)
class _Piece:
    key: str
    value: str
    negated: bool
    quoted: bool

    @property
    def is_or(self) -> bool:
        return self.value == "OR" and not (self.key or self.negated or self.quoted)

    @property
    def literals(self) -> list[str]:
        """The terms of the piece: a phrase as it is, a word cut between CJK and other characters."""
        if self.quoted:
            return [self.value]
        word = self.value.removesuffix("*")
        return [run for run in runs(paper_id(word) or word) if has_token(run)]


def _pieces(text: str) -> list[_Piece]:
    found = []
    clean = text.replace("\0", " ").encode("utf-8", "replace").decode()  # what SQLite takes for text
    for match in _PIECE.finditer(clean):
        key, quoted = match["key"] or "", match["phrase"] is not None
        value = match["phrase"] if quoted else match["word"]
        if key and key != "sort" and key not in _FILTERS:  # `https://…` is no filter
            key, value = "", f"{key}:{value}"
        found.append(_Piece(key, value, bool(match["minus"]), quoted))
    return found


def _expressions(piece: _Piece) -> list[str]:
    found = ['"' + " ".join(spaced(literal).replace('"', " ").split()) + '"' for literal in piece.literals]
    if not (found and has_token(piece.value)):
        return []
    if piece.value.endswith("*") and not piece.quoted and not is_cjk(piece.literals[-1]):
        found[-1] += " *"
    return found


def _field(value: str) -> Condition:
    return Condition("field = ?", (_one_of("field", value.replace("-", "_"), FIELDS),))


def _date(value: str) -> Condition:
    first, last = parse_dates(value)
    return Condition(
        "EXISTS (SELECT 1 FROM json_each(dates) WHERE value BETWEEN ? AND ?)", (first.isoformat(), last.isoformat())
    )


def _verdict(value: str) -> Condition:
    if _one_of("verdict", value, get_args(Standing)) == "untried":
        return Condition("verdicts = '[]'", ())
    return Condition("EXISTS (SELECT 1 FROM json_each(verdicts) WHERE value = ?)", (value,))


def _id(value: str) -> Condition:
    return Condition("id = ?", (paper_id(value) or value,))


def _has(value: str) -> Condition:
    return Condition("EXISTS (SELECT 1 FROM json_each(has) WHERE value = ?)", (_one_of("has", value, HAS),))


_FILTERS: dict[str, Callable[[str], Condition]] = {
    "field": _field, "date": _date, "verdict": _verdict, "id": _id, "has": _has,
}  # fmt: skip


def _one_of(key: str, value: str, wanted: tuple[str, ...]) -> str:
    if value not in wanted:
        raise UserError(f"unknown {key} {value!r}; wanted one of {', '.join(wanted)}")
    return value
