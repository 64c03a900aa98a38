"""Which pages are good enough to be read as the paper: each test is for a defect that such pages do have."""

from __future__ import annotations

import re

from assay.papers.feed.cache import Answer
from assay.papers.feed.extract import Page, extract
from assay.papers.feed.model import FeedError

BLANK_BELOW = 400
ABSTRACT_ONLY_BELOW = 1_500
WHOLE_IN_SPITE_OF_ERROR = (6_000, 3)  # characters and sections of a page that broke off late
MOST_UNREADABLE = 0.005
LEAST_OVERLAP = 0.5
FATAL = "Conversion to HTML had a Fatal error"
UNAVAILABLE = "HTML is not available"
PREAMBLE = (r"\documentclass", r"\usepackage", r"\begin{document}", r"\DeclareFontFamily")
STOP_WORDS = {
    "a", "an", "and", "are", "as", "at", "by", "for", "from", "in", "into", "is", "of", "on", "or", "the", "to",
    "towards", "via", "with", "without",
}  # fmt: skip

_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)
# a page may name any of Python's codecs, and some (punycode) take for ever: these are the ones that pages are in
_KNOWN_CHARSET = re.compile(
    r"utf-?(?:8|16)|(?:us-)?ascii|latin-?1|iso-8859-\d{1,2}|windows-125\d|gb(?:2312|k|18030)|big5"
    r"|shift[-_]jis|euc-(?:jp|kr)|koi8-[ru]",
    re.IGNORECASE,
)


def read(answer: Answer, listed_title: str | None) -> tuple[Page, list[str]]:
    """The page of a paper, and warnings (`CODE: detail`) about what it has lost.

    `listed_title` is what the paper should be called, if that is known. Raises FeedError with the code of the first
    test that the page fails.
    """
    if answer.status != 200:
        raise FeedError("no_html", f"status {answer.status}")
    page = extract(decode(answer))
    length = page.body_length
    if UNAVAILABLE in page.said and length < ABSTRACT_ONLY_BELOW:
        raise FeedError("no_html", f"the page says {UNAVAILABLE!r}")
    warnings = []
    if FATAL in page.said:
        told = f"the conversion broke off after {length} characters in {len(page.sections)} sections"
        if length < WHOLE_IN_SPITE_OF_ERROR[0] or len(page.sections) < WHOLE_IN_SPITE_OF_ERROR[1]:
            raise FeedError("fatal_conversion", told)
        warnings.append(f"truncated: {told}")
    if len(page.abstract) + length < BLANK_BELOW:
        raise FeedError("blank", f"{len(page.abstract) + length} characters outside the bibliography")
    if len(found := [mark for mark in PREAMBLE if mark in page.said]) >= 3:
        raise FeedError("raw_latex", f"the text holds {', '.join(found)}")
    if length < ABSTRACT_ONLY_BELOW:
        raise FeedError("abstract_only", f"{length} characters after the abstract")
    same_paper(page.title, listed_title)
    return page, warnings


def same_paper(title: str, listed_title: str | None) -> None:
    """FeedError `wrong_document` if two titles share less than half of the shorter one's words.

    Where one of them is unknown there is nothing to compare.
    """
    ours, theirs = _tokens(title), _tokens(listed_title or "")
    if ours and theirs and len(ours & theirs) / min(len(ours), len(theirs)) < LEAST_OVERLAP:
        raise FeedError("wrong_document", f"the page is called {title!r}")


def decode(answer: Answer) -> str:
    """The body as text: in the charset of the header, or in that of the page's own `<meta>` if the first is wrong.

    Raises FeedError `mojibake` if more than one character in 200 cannot be read either way.
    """
    header = _CHARSET.search(answer.headers.get("content-type", "").encode())
    meta = _CHARSET.search(answer.body[:4096])
    named = [found.group(1).decode("ascii") for found in (header, meta) if found]
    for charset in [name for name in named if _KNOWN_CHARSET.fullmatch(name)] or ["utf-8"]:
        text = answer.body.decode(charset, errors="replace")
        share = text.count("\ufffd") / max(1, len(text))
        if share <= MOST_UNREADABLE:
            return text
    raise FeedError("mojibake", f"{share:.1%} of the characters cannot be read as {charset}")


def _tokens(title: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", title.lower())) - STOP_WORDS
