"""One paper's entry: ask, check, ground, have it repaired at most twice, and leave out what no repair could ground."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import anyio

from assay.papers.digest import prompt
from assay.papers.digest.extractive import extract
from assay.papers.digest.fit import CONTEXT, estimate, fit
from assay.papers.digest.ground import GROUNDED_SECTIONS, Source, ground, without_ungrounded
from assay.papers.digest.reader import MAX_OUTPUT, PaperFailed, Reader, Reply, Turn
from assay.papers.digest.validate import Fault, is_refusal, validate
from assay.papers.digest.write import Answer, read_reply, without_thinking
from assay.papers.feed.ledger import Spent
from assay.papers.feed.model import Document
from assay.papers.report import Report, compose, parse, render, render_node
from assay.papers.report.grammar import DAY_URL, EXTRACTIVE, words

MOST_REPAIRS = 2
_CUT = Fault("cut", None, "The reply was cut off at the output limit: write less.")

KeepReply = Callable[[int, str, Sequence[Fault]], None]  # number of the call, its reply, what was wrong with it


@dataclass(frozen=True, slots=True)
class Written:
    """The five texts of a paper's entry, its reading source as the report says it, and what was cut or removed."""

    texts: tuple[str, str, str, str, str]
    read_from: str
    prompt_sha: str
    warnings: tuple[str, ...]


class Budget:
    """Tokens that a run may spend. A call reserves what it may take; where others hold too much it waits for them."""

    def __init__(self, tokens: int | None) -> None:
        self._left = tokens
        self._reserved = 0
        self._used_up = False
        self._changed = anyio.Condition()

    async def reserve(self, tokens: int) -> None:
        """Raises PaperFailed `budget` once a call no longer fits; from then on no call does."""
        if self._left is None:
            return
        async with self._changed:
            while not self._used_up and tokens > self._left - self._reserved and self._reserved:
                await self._changed.wait()
            if self._used_up or tokens > self._left - self._reserved:
                self._used_up = True
                self._changed.notify_all()
                raise PaperFailed("budget", f"{max(self._left, 0)} tokens left, a call may take {tokens}")
            self._reserved += tokens

    async def settle(self, reserved: int, used: int) -> None:
        if self._left is None:
            return
        async with self._changed:
            self._reserved -= reserved
            self._left -= used
            self._changed.notify_all()


class Account:
    """One paper's calls: each within the budget, each added to what the paper has spent."""

    def __init__(self, reader: Reader, budget: Budget, attempt: int) -> None:
        self.reader = reader
        self.spent = Spent()
        self._budget = budget
        self._attempt = attempt
        self._calls = 0

    async def ask(self, turns: Sequence[Turn], schema: Mapping[str, Any], room: int = MAX_OUTPUT) -> Reply:
        reserved = sum(estimate(turn.text) for turn in turns) + room
        await self._budget.reserve(reserved)
        used = 0
        self._calls += 1
        try:
            reply = await self.reader.ask(turns, schema, attempt=f"{self._attempt}.{self._calls}", room=room)
            used = reply.tokens_in + reply.tokens_out
            self.spent = self.spent.plus(reply.tokens_in, reply.tokens_out, reply.cost)
        finally:
            with anyio.CancelScope(shield=True):
                await self._budget.settle(reserved, used)
        return reply


def write_extractive(document: Document, lang: str) -> Written:
    """The entry from the paper's own sentences, marked as such."""
    return Written(extract(document), reading_source(document, lang) + EXTRACTIVE, "", ())


async def write_paper(
    document: Document, lang: str, account: Account, keep: KeepReply, *, context: int = CONTEXT
) -> Written:
    """The entry by a model. PaperFailed says why there is none: `refused`, `content_filter`, `structure:CODE`,
    `ungrounded`, `budget`, or what the provider failed with."""
    fitted = await fit(document, context, account.reader.count)
    opening = prompt.opening(lang, document.title, fitted.text)
    whole = source_text(document)
    source = Source(whole)
    turns, room = opening, MAX_OUTPUT
    groundable: Answer | None = None
    faults: list[Fault] = []
    for number in range(1, MOST_REPAIRS + 2):
        reply = await account.ask(turns, prompt.SCHEMA, room)
        answer = read_reply(reply.text, lang)
        if not answer.has_section and is_refusal(without_thinking(reply.text)):
            keep(number, reply.text, [Fault("refused", None, "")])
            raise PaperFailed("refused", without_thinking(reply.text)[:200])
        faults = _faults(answer, lang, whole, source)
        keep(number, reply.text, faults)
        if not faults:
            return _written(answer, document, lang, opening, fitted.warnings)
        if all(fault.code.startswith("ungrounded") for fault in faults):
            groundable = answer
        if reply.cut:
            room = 2 * MAX_OUTPUT
            faults = [*faults, _CUT]
        turns = [*opening, *prompt.repair(lang, reply.text, faults)]
    if groundable is None:
        worst = next(fault for fault in faults if not fault.code.startswith("ungrounded"))
        raise PaperFailed(f"structure:{worst.code}", worst.message)
    texts = [text or "" for text in groundable.texts]
    for place in GROUNDED_SECTIONS:
        texts[place] = without_ungrounded(texts[place], source)
    field, contribution, usage, innovations, results = texts
    trimmed = Answer((field, contribution, usage, innovations, results))
    if _faults(trimmed, lang, whole, source):
        first = _faults(groundable, lang, whole, source)[0]
        raise PaperFailed("ungrounded", first.message)
    removed = "removed: sentences that the paper does not bear out"
    return _written(trimmed, document, lang, opening, (*fitted.warnings, removed))


def entry_text(id: str, title: str, written: Written, lang: str) -> str:
    """The entry as the report holds it; PaperFailed for texts that would not be read back as one."""
    text = render_node(compose(id, title, written.read_from, written.texts, lang=lang))
    problems = parse(render(Report(date(2023, 5, 4), f"{DAY_URL}2023-05-04", ())) + text).problems  # any day's head
    if problems:
        raise PaperFailed(f"structure:{problems[0].code}", problems[0].message)
    return text


def source_text(document: Document) -> str:
    """All that an entry on the paper may rest on."""
    return "\n\n".join([document.title, document.text, *document.captions])


def reading_source(document: Document, lang: str) -> str:
    """What stands after `Read from`."""
    html, abstract = words(lang).sources
    return html if document.read_from == "HTML" else abstract


def _faults(answer: Answer, lang: str, whole: str, source: Source) -> list[Fault]:
    texts = [text or "" for text in answer.texts]
    return [*validate(answer.texts, lang, whole), *ground(texts, lang, source)]


def _written(
    answer: Answer, document: Document, lang: str, opening: Sequence[Turn], warnings: tuple[str, ...]
) -> Written:
    field, contribution, usage, innovations, results = (text or "" for text in answer.texts)
    texts = (field, contribution, usage, innovations, results)
    return Written(texts, reading_source(document, lang), prompt.digest_of(opening), warnings)
