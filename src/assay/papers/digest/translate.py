"""A report in another language: titles, links, numbers, formulas and code stay, the five texts are translated.

What must stay is counted before and after, as multisets; a paper whose translation changes it is repaired at most
twice and then marked as failed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from assay.papers.digest import prompt
from assay.papers.digest.ground import numbers
from assay.papers.digest.paper import MOST_REPAIRS, Account, Budget
from assay.papers.digest.reader import PaperFailed, Reader
from assay.papers.digest.validate import Fault, structure
from assay.papers.digest.write import find_object, without_thinking
from assay.papers.feed.ledger import stamp
from assay.papers.feed.model import Clock, SystemClock
from assay.papers.report import Entry, Raw, Report, compose, compose_failed
from assay.papers.report.grammar import EXTRACTIVE, SECTION_NAMES, failed_match, words
from assay.papers.report.model import Header
from assay.papers.report.render import canonical_text

_CODE = re.compile(r"`[^`\n]+`")
_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+\$", re.DOTALL)
_ID = re.compile(r"(?<![0-9.])[0-9]{4}\.[0-9]{5}(?![0-9])")
_URL = re.compile(r"https?://[^\s)\]>`，。；）]+")
_LANGUAGE_FAULTS = ("language", "missing_section", "empty_section", "markdown_heading_inside", "separator_inside")


@dataclass(frozen=True, slots=True)
class Translated:
    """The report in the other language, and why which papers are marked as failed in it."""

    report: Report
    failed: tuple[tuple[str, str, str], ...]  # id, reason, detail
    tokens: int


async def translate(
    report: Report,
    to: str,
    reader: Reader,
    *,
    concurrency: int = 4,
    clock: Clock | None = None,
    on_paper: Callable[[str], None] | None = None,
) -> Translated:
    """Translate a report; ValueError for a language without a prompt or section names, and for one without a date."""
    if to not in prompt.languages() or to not in SECTION_NAMES:
        raise ValueError(f"to: got {to!r}, wanted one of {', '.join(prompt.languages())}")
    if report.date is None:
        raise ValueError("report: got one without a date, wanted a line **Date**: YYYY-MM-DD at its top")
    for node in report.nodes:
        if isinstance(node, Raw) or node.arxiv_id is None:
            raise ValueError(f"report: line {node.line} is no paper with a link: mend it first (assay papers check)")
    clock = clock or SystemClock()
    nodes: dict[int, Entry] = {}
    failed: dict[int, tuple[str, str, str]] = {}
    accounts: list[Account] = []
    entries = list(enumerate(report.entries))
    waiting = iter(entries)

    async def worker() -> None:
        for place, entry in waiting:
            account = Account(reader, Budget(None), 1)
            accounts.append(account)
            try:
                nodes[place] = await _entry(entry, report.lang, to, account)
            except PaperFailed as error:
                id, now = entry.arxiv_id or "", stamp(clock.time())
                failed[place] = (id, error.reason, error.detail)
                nodes[place] = compose_failed(id, entry.title, error.reason, 1, now, lang=to)
            if on_paper:
                on_paper(entry.arxiv_id or "")

    async with anyio.create_task_group() as group:
        for _ in range(min(concurrency, len(entries))):
            group.start_soon(worker)
    whole = Report(report.date, report.source_url, tuple(nodes[place] for place, _ in entries), header=Header())
    spent = sum(account.spent.tokens_in + account.spent.tokens_out for account in accounts)
    return Translated(whole, tuple(failed[place] for place in sorted(failed)), spent)


async def _entry(entry: Entry, lang: str, to: str, account: Account) -> Entry:
    id = entry.arxiv_id or ""
    if note := failed_match(entry.note):
        return compose_failed(id, entry.title, note["reason"], int(note["attempts"]), note["at"], lang=to)
    sections = [entry.section(name) for name in SECTION_NAMES[lang]]
    missing = [name for name, section in zip(SECTION_NAMES[lang], sections) if section is None]
    if missing:
        raise PaperFailed("structure:missing_section", f"the report lacks {', '.join(missing)}")
    texts = [section.text for section in sections if section]
    done = await _translated(texts, to, account)
    return compose(id, entry.title, _source(entry.read_from, lang, to), done, lang=to)


async def _translated(texts: Sequence[str], to: str, account: Account) -> list[str]:
    opening = prompt.translation(to, json.dumps({"sections": list(texts)}, ensure_ascii=False))
    turns = opening
    faults: list[Fault] = []
    for _ in range(MOST_REPAIRS + 1):
        reply = await account.ask(turns, prompt.TRANSLATION_SCHEMA, room=_room(texts))
        found = find_object(without_thinking(reply.text), ["sections"]) or {}
        done = found.get("sections")
        faults = _faults(texts, done, to)
        if not faults and isinstance(done, list):
            return [canonical_text(text) for text in done]
        turns = [*opening, *prompt.repair(to, reply.text, faults)]
    raise PaperFailed(f"structure:{faults[0].code}", faults[0].message)


def _faults(texts: Sequence[str], done: object, to: str) -> list[Fault]:
    if not isinstance(done, list) or len(done) != len(texts) or not all(isinstance(text, str) for text in done):
        return [Fault("missing_section", None, 'Reply with {"sections": [five strings, in order]}.')]
    faults = [fault for fault in structure(done, to) if fault.code in _LANGUAGE_FAULTS]
    for place, (before, after) in enumerate(zip(texts, done)):
        for what, kept in _KEPT.items():
            lost, new = kept(before) - kept(after), kept(after) - kept(before)
            if lost or new:
                told = f"Section {place + 1} changes {what}: lost {_shown(lost)}, new {_shown(new)}."
                faults.append(Fault(f"{what}_changed", place, f"{told} Keep them as they are."))
    return faults


def _numbers(text: str) -> Counter[str]:
    """Values in whatever spelling (1.2万 is 12,000); code, formulas and links are held on their own."""
    prose = _URL.sub(" ", _FORMULA.sub(" ", _CODE.sub(" ", text)))
    return Counter(f"{n.base:.10g}{n.unit if n.unit in ('%', '×') else ''}" for n in numbers(prose))


_KEPT: dict[str, Callable[[str], Counter[str]]] = {
    "numbers": _numbers,
    "code": lambda text: Counter(_CODE.findall(text)),
    "formulas": lambda text: Counter(_FORMULA.findall(text)),
    "links": lambda text: Counter(_URL.findall(text)),
    "ids": lambda text: Counter(_ID.findall(text)),
}


def _source(read_from: str, lang: str, to: str) -> str:
    """The reading source in the other language; one that the format does not have is kept."""
    plain = read_from.removesuffix(EXTRACTIVE)
    known = dict(zip(words(lang).sources, words(to).sources))
    return known.get(plain, plain) + (EXTRACTIVE if plain != read_from else "")


def _room(texts: Sequence[str]) -> int:
    """Output tokens for a translation: about a token a character at worst, and room for the JSON around it."""
    return 500 + sum(map(len, texts))


def _shown(items: Counter[str]) -> str:
    return ", ".join(sorted(items)[:5]) or "none"
