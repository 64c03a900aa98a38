"""What the feed hands out: rows of a day's list, documents, and errors that carry a reason. Standard library only."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from assay.errors import AssayError

Source = Literal["html", "ar5iv", "abs", "feed"]

#: Why something could not be had. The first group ends a day, the second a paper (it is tried again at the next
#: run), the third only one source of a paper: the next source is asked, and the document's warnings name the code.
Reason = Literal[
    "list_unavailable", "bad_list",
    "http_429", "http_5xx", "http_4xx", "timeout", "truncated", "unreachable", "host_closed", "offline", "no_text",
    "too_large", "bad_answer",
    "no_html", "fatal_conversion", "blank", "abstract_only", "raw_latex", "wrong_document", "mojibake",
]  # fmt: skip

_NEW_ID = re.compile(r"(\d{4}\.\d{4,5})(?:v\d+)?")
_OLD_ID = re.compile(r"([a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?")
_BEFORE_ID = re.compile(r"(?:https?://[^\s/]+/(?:abs|html|pdf|papers)/)?(?:arxiv:)?", re.IGNORECASE)


class FeedError(AssayError):
    """A list, a page or a paper that could not be had: `reason` is the code, `detail` one line of what happened."""

    exit_code = 5

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[FeedError], tuple[Reason, str]]:
        return type(self), (self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class Listed:
    """A paper in a day's list, in the list's order (`position` from 1).

    `title` has its blanks collapsed; `raw` is the row as it came. What the row does not say is None, never 0.
    """

    id: str
    title: str
    position: int
    authors: tuple[str, ...] = ()
    summary: str | None = None
    upvotes: int | None = None
    github: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DocSection:
    """A heading and what stands under it up to the next heading; `level` 1 is a section, 2 a subsection.

    `offset` is where `text` begins in `Document.text`. Tables are Markdown rows, formulas stand in `$` or `$$`.
    """

    level: int
    title: str
    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class Document:
    """What could be read of a paper, in the page's order. `warnings` hold one `SOURCE CODE: detail` a fault.

    `source` says where the text is from: the paper's page at arXiv ("html") or ar5iv, the abstract's page ("abs"),
    or the row of the day's list ("feed"). `sha256` is of `text`.
    """

    id: str
    version: int | None
    source: Source
    title: str
    abstract: str
    sections: tuple[DocSection, ...]
    captions: tuple[str, ...]
    warnings: tuple[str, ...]
    url: str
    sha256: str

    @property
    def text(self) -> str:
        """The abstract and every section with its heading, as Markdown."""
        return document_text(self.abstract, ((s.level, s.title, s.text) for s in self.sections))

    @property
    def read_from(self) -> Literal["HTML", "ArXiv Abs"]:
        """The reading source as a daily report writes it."""
        return "HTML" if self.source in ("html", "ar5iv") else "ArXiv Abs"


class Clock(Protocol):
    """The time as the feed sees it, so that a test need not wait."""

    def time(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        import anyio  # here, so that the records load with the standard library alone

        await anyio.sleep(seconds)


def normal_id(text: str) -> str:
    """The plain id in `2601.11354v2`, `arXiv:cs/0501001` or a link; ValueError if there is none.

    What it returns is safe inside a URL: letters, digits, a dot, a hyphen, and at most one slash.
    """
    bare = _BEFORE_ID.sub("", text.strip(), count=1).removesuffix(".pdf")
    match = _NEW_ID.fullmatch(bare) or _OLD_ID.fullmatch(bare)
    if match is None or not bare.isascii():
        raise ValueError(f"id: got {text!r}, wanted an arXiv id such as 2601.11354 or cs/0501001, or a link to it")
    return match.group(1)


def document_text(abstract: str, sections: Iterable[tuple[int, str, str]]) -> str:
    """Abstract and sections (level, title, text) as one Markdown text."""
    return "\n\n".join(filter(None, [abstract, *(_heading(level, title) + text for level, title, text in sections)]))


def place(abstract: str, sections: Iterable[tuple[int, str, str]]) -> tuple[DocSection, ...]:
    """Sections (level, title, text) with the offsets that they have in `document_text`."""
    placed = []
    end = len(abstract)
    for level, title, text in sections:
        if not (title or text):
            continue
        offset = end + (2 if end else 0) + len(_heading(level, title))
        placed.append(DocSection(level, title, text, offset))
        end = offset + len(text)
    return tuple(placed)


def _heading(level: int, title: str) -> str:
    return f"{'#' * level} {title}\n\n" if title else ""
