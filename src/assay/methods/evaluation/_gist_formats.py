"""A search's report for people and for other tools: a table, CSV and SARIF 2.1.0."""

from __future__ import annotations

import csv
import hashlib
import io
from itertools import product

from assay.methods import scan_reports
from assay.methods.scan_reports import Level, SarifResult, SarifRule, printable

from ._gist_learner import ROLES, TYPES
from ._gist_report import GistFinding, GistReport, finding_dict

LEVELS: dict[str, Level] = {"source": "warning", "catalyst": "note", "mitigator": "note"}
MEANING = {
    "source": "the tool's code is said to be wrong, poor or incomplete",
    "catalyst": "somebody doubts the tool's code, has not checked it or does not understand it",
    "mitigator": "the tool is to repair, test, rewrite or document the code",
}
COLUMNS = (
    "path", "start_line", "end_line", "symbol", "role", "debt_type", "uncertainty", "confidence", "introduced",
    "age_days", "author_hash", "text",
)  # fmt: skip


def as_table(report: GistReport) -> str:
    """Plain text: a line a finding, its words below it, and a closing count."""
    lines = []
    for f in report.findings:
        age = f"  {f.age_days} days old" if f.age_days is not None else ""
        place = f"{printable(f.comment.path, 70)}:{f.comment.start_line}"
        lines.append(f"{f.role:<10} {f.debt_type or '':<14} {place}{age}")
        lines.append(f"{'':<25} {printable(f.comment.text)}")
    return "\n".join([*lines, *([""] if lines else []), closing(report)]) + "\n"


def closing(report: GistReport) -> str:
    """The counts in words."""
    s = report.summary()
    roles = ", ".join(f"{n} {role}" for role, n in s["by_role"].items() if n)
    kinds = ", ".join(f"{n} {kind}" for kind, n in s["by_type"].items() if n)
    skipped = ", ".join(f"{n} {why}" for why, n in s["skipped"].items())
    parts = [
        f"{s['files']} files, {s['lines']} lines, {s['ai_comments']} comments that name an AI tool, "
        f"{s['gist']} with debt{f' ({roles}; {kinds})' if s['gist'] else ''}"
    ]
    if s["uncertainty_driven"]:
        parts.append(f"{s['uncertainty_driven']} of them speak of doubt")
    if skipped:
        parts.append(f"skipped: {skipped}")
    return "; ".join(parts) + "."


def as_csv(report: GistReport) -> str:
    """A line a finding."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for f in report.findings:
        row = finding_dict(f)
        writer.writerow({**row, "text": _safe_cell(row["text"])})
    return out.getvalue()


def as_sarif(report: GistReport) -> str:
    """SARIF 2.1.0: a rule for each role and kind of debt, warnings for sources and notes for the rest."""
    return scan_reports.as_sarif(
        "assay gist_miner",
        [_rule(role, kind) for role, kind in product(ROLES[1:], TYPES)],
        [_result(f) for f in report.findings],
        complete=not _unread(report),
        warnings=[f"{path}: {why}" for path, why in _unread(report)],
    )


def _unread(report: GistReport) -> list[tuple[str, str]]:
    return [(path, why) for path, why in report.skipped if why in ("unreadable", "not text")]


def _rule(role: str, kind: str) -> SarifRule:
    return SarifRule(
        f"GIST-{role}-{kind}",
        f"{kind} debt on generated code, the tool as {role}",
        f"A comment names an AI tool and admits {kind} debt: {MEANING[role]}.",
        "Settle what the comment admits, then change or remove it.",
        LEVELS[role],
        {"tags": [role, kind]},
    )


def _result(f: GistFinding) -> SarifResult:
    c = f.comment
    words = " ".join(c.text.split())
    return SarifResult(
        rule_id=f.rule,
        message=f"{f.debt_type} debt on generated code, the tool as {f.role}: {printable(words)}",
        path=c.path,
        start_line=c.start_line,
        end_line=c.end_line,
        fingerprint=hashlib.sha256(f"{c.path}\0{f.rule}\0{words}".encode()).hexdigest()[:16],
        properties={"confidence": f.confidence, "uncertainty": f.uncertainty},
    )


def _safe_cell(text: str) -> str:
    """A comment in a cell of a spreadsheet must not become a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
