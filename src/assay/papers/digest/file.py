"""The report's file: made from the ledger, whole at every moment, and never written over somebody else's text."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from assay.errors import UserError
from assay.papers.feed.ledger import Ledger, Row
from assay.papers.report import Report, compose_failed, render, render_node
from assay.papers.report.grammar import DAY_URL


def default_name(day: date, lang: str) -> str:
    """`2026-01-19.md`, and for other languages than Chinese `2026-01-19.en.md`."""
    return f"{day}.md" if lang == "zh" else f"{day}.{lang}.md"


def report_text(day: date, lang: str, rows: Sequence[Row]) -> str:
    """The report of a day as far as it is written: done entries and failed ones, in the list's order."""
    head = render(Report(day, f"{DAY_URL}{day}", ()))
    return head + "".join(filter(None, (_entry(row, lang) for row in rows)))


def check_own(path: Path, ledger: Ledger) -> None:
    """UserError if the file holds what `assay digest` did not write: it would be lost."""
    try:
        held = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    if held not in ledger.report_shas(path.resolve()):
        raise UserError(f"{path} holds text that assay digest did not write: move it away or choose another --out")


def write_report(path: Path, text: str, ledger: Ledger) -> None:
    """Put the text in the file's place: temporary name, fsync, rename. UserError leaves the earlier report whole."""
    body = text.encode()
    part = path.with_name(path.name + ".tmp")
    ledger.report_next(path.resolve(), hashlib.sha256(body).hexdigest())
    try:
        try:
            with part.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error
    ledger.report_done(path.resolve())


def _entry(row: Row, lang: str) -> str:
    if row.entry:
        return row.entry
    if row.stage != "failed":
        return ""
    failed = compose_failed(row.id, row.title, row.reason or "", row.attempts, row.finished_at or "", lang=lang)
    return render_node(failed)
