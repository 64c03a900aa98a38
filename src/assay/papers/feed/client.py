"""`Feed`: the list of a day, and the text of a paper from the best source that has it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

from anyio import CapacityLimiter

from assay.errors import UserError
from assay.papers.feed import arxiv, hf
from assay.papers.feed.http import Http
from assay.papers.feed.model import Document, FeedError, Listed, normal_id

Page = Literal["html", "ar5iv", "abs"]
PREFERRED: tuple[Page, ...] = ("html", "ar5iv", "abs")
MOST_PAGES_AT_ONCE = 2  # parsed side by side: a page takes about twenty times its size in memory while it is read

#: Faults that another try will not mend: the next source is asked in the same run.
LASTING = {
    "no_html", "fatal_conversion", "blank", "abstract_only", "raw_latex", "wrong_document", "mojibake",
    "too_large", "bad_answer",
}  # fmt: skip


class Feed:
    """What is out on a day, and what a paper says. All network goes through `http`.

    The base URLs are where the list, arXiv and ar5iv are; left out, they are those of `ASSAY_HF_URL`,
    `ASSAY_ARXIV_URL` and `ASSAY_AR5IV_URL`, or the public ones. UserError if one is no http(s) URL.
    """

    def __init__(self, http: Http, *, hf: str | None = None, arxiv: str | None = None, ar5iv: str | None = None):
        self._http = http
        self._hf = _base("hf", hf, "ASSAY_HF_URL", "https://huggingface.co")
        self._arxiv = _base("arxiv", arxiv, "ASSAY_ARXIV_URL", "https://arxiv.org")
        self._ar5iv = _base("ar5iv", ar5iv, "ASSAY_AR5IV_URL", "https://ar5iv.labs.arxiv.org")
        self._readers = CapacityLimiter(MOST_PAGES_AT_ONCE)

    async def day(self, of: date) -> list[Listed]:
        """The day's papers in the list's order; an empty list for a day without papers.

        Raises FeedError: `bad_list` or `list_unavailable` when neither the list's API nor its web page will do.
        """
        return await hf.day(self._http, self._hf, of)

    async def text(self, id: str, *, prefer: Sequence[Page] = PREFERRED, listed: Listed | None = None) -> Document:
        """The paper's text from the first source of `prefer` whose page passes every gate of `quality`.

        `listed`, the paper's row in a day's list, tells what it is called (so that another paper's page is not
        taken for it) and has the summary that stands in when no page will do. The document's warnings say what
        was wrong with each source before.

        Raises ValueError for what is no id, and FeedError: `no_text` when no source has text, or the reason of the
        network's failure. A source that may answer next time is not passed over for a poorer one; ar5iv, a mirror
        kept by volunteers, is.
        """
        id = normal_id(id)
        if unknown := set(prefer) - set(PREFERRED):
            raise ValueError(f"prefer: got {', '.join(sorted(unknown))}, wanted of {', '.join(PREFERRED)}")
        title = listed.title if listed else None
        warnings: list[str] = []
        for source in prefer:
            try:
                document = await self._from(source, id, title)
            except FeedError as error:
                if error.reason not in LASTING and (source != "ar5iv" or error.reason == "offline"):
                    raise
                warnings.append(f"{source} {error}")
            else:
                return replace(document, warnings=(*warnings, *document.warnings))
        summary = arxiv.from_list(listed, f"{self._hf}/papers/{id}") if listed else None
        if summary is None:
            raise FeedError("no_text", "; ".join(warnings) or f"{id}: no source was asked")
        return replace(summary, warnings=tuple(warnings))

    async def _from(self, source: Page, id: str, title: str | None) -> Document:
        if source == "html":
            return await arxiv.full_text(self._http, self._arxiv, id, "html", title, self._readers)
        if source == "ar5iv":
            return await arxiv.full_text(self._http, self._ar5iv, id, "ar5iv", title, self._readers)
        return await arxiv.abstract(self._http, self._arxiv, id, title)


def _base(name: str, given: str | None, variable: str, public: str) -> str:
    url = (given or os.environ.get(variable) or public).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        where = name if given else variable
        raise UserError(f"{where}: got {url!r}, wanted a URL such as {public}")
    return url
