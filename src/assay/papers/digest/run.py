"""A day's report: list, then every paper on its own, the file renewed after each. No paper's failure stops another.

Everything that must outlive the process is in the ledger, so the same call after a crash goes on where it stopped
and comes to the same report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import anyio

from assay.errors import AssayError, UserError
from assay.papers.digest.file import check_own, report_text, write_report
from assay.papers.digest.fit import CONTEXT, LEAST_CONTEXT
from assay.papers.digest.paper import Account, Budget, entry_text, write_extractive, write_paper
from assay.papers.digest.reader import EXTRACTIVE, PaperFailed, Reader
from assay.papers.digest.validate import Fault
from assay.papers.feed.client import Feed
from assay.papers.feed.ledger import Ledger, RawReply, Row, Spent, only_process, stamp
from assay.papers.feed.model import Clock, FeedError, Listed, SystemClock, normal_id

ALL = "all"


@dataclass(frozen=True, slots=True)
class DigestOptions:
    """What of a day is written, and within which bounds.

    Args:
        lang: of the report, one of `report.grammar.SECTION_NAMES` with a prompt of its own.
        limit: only the first so many of the list.
        ids: only these papers.
        redo: papers to write anew, or `("all",)`.
        refresh: ask for the day's list again.
        retry_failed: give papers that failed in an earlier run another try.
        concurrency: papers in work at a time.
        budget: tokens that this run may spend.
        context: tokens of a paper that go to the model.
    """

    lang: str = "zh"
    limit: int | None = None
    ids: tuple[str, ...] | None = None
    redo: tuple[str, ...] = ()
    refresh: bool = False
    retry_failed: bool = True
    concurrency: int = 4
    budget: int | None = None
    context: int = CONTEXT

    def __post_init__(self) -> None:
        for name, least in (("limit", 1), ("concurrency", 1), ("budget", 1), ("context", LEAST_CONTEXT)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}: got {value}, wanted at least {least}")


@dataclass(frozen=True, slots=True)
class DigestResult:
    """How a day came out: counts of the papers that were asked for, and what this call took."""

    date: date
    path: Path
    listed: int
    written: int
    failed: tuple[Row, ...]
    done_now: int
    tokens_in: int
    tokens_out: int
    cost: float
    seconds: float
    rows: tuple[Row, ...]

    @property
    def exit_code(self) -> int:
        return 4 if self.failed else 0


OnPaper = Callable[[Row, int, int], None]  # the paper, how many are done, of how many


async def digest(
    day: date,
    *,
    reader: Reader | None,
    feed: Feed,
    ledger: Ledger,
    out: Path,
    options: DigestOptions | None = None,
    lists: Feed | None = None,
    clock: Clock | None = None,
    on_paper: OnPaper | None = None,
) -> DigestResult:
    """Write the report of a day to `out`; `reader` None writes it from the papers' own sentences, in English.

    The day's list comes from `lists` where one is given (for `refresh`, a feed that holds no old list), else from
    `feed`.

    Raises FeedError where the day's list cannot be had, UserError where an option or a file cannot be used, and
    DigestRunning where another process is at the same day. A paper that fails is in the result and in the report.
    """
    options, clock = options or DigestOptions(), clock or SystemClock()
    _check(day, options, reader, clock)
    with only_process(ledger.path.parent / "locks", day):
        check_own(out, ledger)
        rows = chosen(await listing(day, lists or feed, ledger, options), options, day)
        return await _Day(day, reader, feed, ledger, out, options, clock, on_paper).run(rows)


async def listing(day: date, feed: Feed, ledger: Ledger, options: DigestOptions) -> list[Row]:
    """The papers of a day as the ledger has them, listed first where it has none or `refresh` asks for it."""
    if options.refresh or not ledger.rows(day, options.lang):
        ledger.enlist(day, options.lang, [paper for paper in await feed.day(day) if _has_place(paper)])
    return ledger.rows(day, options.lang)


def chosen(rows: Sequence[Row], options: DigestOptions, day: date) -> list[Row]:
    """The papers that the options name; UserError for one that is not in the day's list."""
    if not rows:
        return []
    known = {row.id: row for row in rows}
    named = [_known_id(word, known, day) for word in options.ids or ()]
    for word in options.redo:
        if word != ALL:
            _known_id(word, known, day)
    picked = [row for row in rows if not named or row.id in named]
    return picked[: options.limit]


def redone(options: DigestOptions) -> set[str]:
    return {word if word == ALL else normal_id(word) for word in options.redo}


class _Day:
    """One call of `digest`: who is at work, and what each step leaves in the ledger."""

    def __init__(
        self,
        day: date,
        reader: Reader | None,
        feed: Feed,
        ledger: Ledger,
        out: Path,
        options: DigestOptions,
        clock: Clock,
        on_paper: OnPaper | None,
    ) -> None:
        self.day, self.reader, self.feed, self.ledger = day, reader, feed, ledger
        self.out, self.options, self.clock, self.on_paper = out, options, clock, on_paper
        self.model = reader.name if reader else EXTRACTIVE
        self.number = 0  # of the run

    async def run(self, rows: Sequence[Row]) -> DigestResult:
        began = self.clock.time()
        self.number = self.ledger.begin(self.day, self.options.lang, self._command(), self._now())
        try:
            self._renew_report()
            todo = [row for row in rows if self._is_due(row)]
            spent = sum(row.tokens_in + row.tokens_out for row in rows if row.run == self.number)
            left = None if self.options.budget is None else self.options.budget - spent
            await self._work(todo, Budget(left), len(rows) - len(todo), len(rows))
        finally:
            self.ledger.end(self.number, self._now())
        return self._result(rows, len(todo), self.clock.time() - began)

    async def _work(self, todo: Sequence[Row], budget: Budget, done: int, of: int) -> None:
        """`concurrency` workers take the papers in the list's order."""
        waiting = iter(todo)
        finished = done

        async def worker() -> None:
            nonlocal finished
            for row in waiting:
                await self._paper(row, budget)
                self._renew_report()
                finished += 1
                if self.on_paper:
                    self.on_paper(self._row(row.id), finished, of)

        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(self.options.concurrency, len(todo))):
                    group.start_soon(worker)
        except BaseExceptionGroup as errors:  # a file that cannot be written ends the run, as one error
            raise _first(errors) from None

    async def _paper(self, row: Row, budget: Budget) -> None:
        """One try of one paper; whatever goes wrong with it is written down as its reason."""
        self.ledger.started(row, self._now())
        account = Account(self.reader, budget, row.attempts + 1) if self.reader else None
        try:
            await self._try(row, account)
            return
        except (FeedError, PaperFailed) as failed:
            reason, detail = str(failed.reason), failed.detail
        except AssayError:
            raise
        except Exception as error:  # noqa: BLE001 - a page or reply that nobody foresaw fails its own paper only
            reason, detail = "internal_error", f"{type(error).__name__}: {error}"
        spent = account.spent if account else Spent()
        told = " ".join(detail.split())
        self.ledger.failed(row, reason, told, run=self.number, model=self.model, spent=spent, at=self._now())

    async def _try(self, row: Row, account: Account | None) -> None:
        lang = self.options.lang
        document = await self.feed.text(row.id, listed=row.listed)
        self.ledger.fetched(row, document.sha256, document.read_from, document.warnings)
        if account:
            keep = self._keeper(row)
            written = await write_paper(document, lang, account, keep, context=self.options.context)
        else:
            written = write_extractive(document, lang)
        if written.warnings:
            told = (*document.warnings, *written.warnings)
            self.ledger.fetched(row, document.sha256, document.read_from, told)
        entry = entry_text(row.id, row.title, written, lang)
        self.ledger.written(
            row, entry, run=self.number, model=self.model, prompt_sha=written.prompt_sha,
            spent=account.spent if account else Spent(), at=self._now(),
        )  # fmt: skip

    def _keeper(self, row: Row) -> Callable[[int, str, Sequence[Fault]], None]:
        def keep(number: int, text: str, faults: Sequence[Fault]) -> None:
            codes = tuple(fault.code for fault in faults)
            reply = RawReply(row.lang, row.attempts + 1, number, self._now(), self.model, codes, text)
            self.ledger.keep_reply(row.id, reply)

        return keep

    def _is_due(self, row: Row) -> bool:
        """Not what this run has finished already, before it was cut off; and of the rest what is missing."""
        if row.run == self.number:
            return False
        if row.stage == "failed":
            return self.options.retry_failed
        again = redone(self.options)
        return row.stage not in ("written", "rendered") or bool({row.id, ALL} & again)

    def _renew_report(self) -> None:
        rows = self.ledger.rows(self.day, self.options.lang)
        write_report(self.out, report_text(self.day, self.options.lang, rows), self.ledger)
        self.ledger.rendered(self.day, self.options.lang, [row.id for row in rows if row.stage == "written"])

    def _result(self, asked: Sequence[Row], done_now: int, seconds: float) -> DigestResult:
        ids = {row.id for row in asked}
        rows = tuple(row for row in self.ledger.rows(self.day, self.options.lang) if row.id in ids)
        mine = [row for row in rows if row.run == self.number]
        return DigestResult(
            date=self.day,
            path=self.out,
            listed=len(rows),
            written=sum(row.entry is not None for row in rows),
            failed=tuple(row for row in rows if row.stage == "failed" or (row in mine and row.reason)),
            done_now=done_now,
            tokens_in=sum(row.tokens_in for row in mine),
            tokens_out=sum(row.tokens_out for row in mine),
            cost=sum(row.cost for row in mine),
            seconds=seconds,
            rows=rows,
        )

    def _row(self, id: str) -> Row:
        return next(row for row in self.ledger.rows(self.day, self.options.lang) if row.id == id)

    def _command(self) -> str:
        """What makes two calls the same: only then does one take up the other's run."""
        o = self.options
        return json.dumps([self.model, o.lang, o.limit, o.ids, o.redo, o.retry_failed, o.budget, o.context])

    def _now(self) -> str:
        return stamp(self.clock.time())


def _check(day: date, options: DigestOptions, reader: Reader | None, clock: Clock) -> None:
    today = datetime.fromtimestamp(clock.time(), UTC).date()
    if day > today:
        raise UserError(f"{day} is in the future (today is {today}, UTC)")
    if reader is None and options.lang != "en":
        raise UserError(f"--model extractive writes English only: got --lang {options.lang}, wanted --lang en")


def _has_place(paper: Listed) -> bool:
    """A report's link has room for dddd.ddddd alone; no other id has been on a day's list since they began."""
    return len(paper.id.partition(".")[2]) == 5 and "/" not in paper.id


def _known_id(word: str, known: dict[str, Row], day: date) -> str:
    import difflib

    try:
        id = normal_id(word)
    except ValueError as error:
        raise UserError(str(error)) from error
    if id not in known:
        close = difflib.get_close_matches(id, known, n=3, cutoff=0.5)
        raise UserError(f"{id} is not in the list of {day}; nearest: {', '.join(close) or 'none'}")
    return id


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    leaves = list(_leaves(errors))
    return next((leaf for leaf in leaves if isinstance(leaf, AssayError)), leaves[0])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
