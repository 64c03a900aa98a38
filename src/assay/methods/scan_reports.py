"""What the reports of scanners share: SARIF 2.1.0, the version they name, and a stranger's text made safe to print."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal
from urllib.parse import quote

Level = Literal["error", "warning", "note"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True)
class SarifRule:
    """One kind of result, as `tool.driver.rules` tells it."""

    id: str
    title: str
    text: str
    help: str
    level: Level
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SarifResult:
    """One result at a place below the root. Columns count characters from 1; 0 leaves them out. `suppressed` is the
    reason for which the text itself asks to leave the result out."""

    rule_id: str
    message: str
    path: str
    start_line: int
    end_line: int
    fingerprint: str
    start_column: int = 0
    end_column: int = 0
    snippet: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)
    suppressed: str | None = None


def as_sarif(
    tool: str,
    rules: Sequence[SarifRule],
    results: Sequence[SarifResult],
    *,
    complete: bool = True,
    warnings: Sequence[str] = (),
) -> str:
    """A SARIF 2.1.0 log of one run, as text with sorted keys. Raises KeyError for a result of no rule."""
    index = {rule.id: i for i, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": tool, "version": assay_version(), "rules": [_rule(r) for r in rules]}},
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The folder that was scanned."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(r, index[r.rule_id], rules[index[r.rule_id]].level) for r in results],
        "invocations": [{
            "executionSuccessful": complete,
            "toolExecutionNotifications": [{"level": "warning", "message": {"text": text}} for text in warnings],
        }],
    }  # fmt: skip
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, sort_keys=True) + "\n"


def assay_version() -> str:
    """The version of the installed package; "0" for a source tree that was never installed."""
    try:
        return version("assay-papers")
    except PackageNotFoundError:
        return "0"


def printable(text: str, length: int = 110) -> str:
    """One line of a stranger's text, cut to `length`; control characters become question marks."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= length else text[: length - 1] + "…"


def _rule(rule: SarifRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.text},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level},
        "properties": dict(rule.properties),
    }


def _result(r: SarifResult, index: int, level: Level) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": r.start_line, "endLine": r.end_line}
    if r.start_column:
        region |= {"startColumn": r.start_column, "endColumn": r.end_column}
    if r.snippet:
        region["snippet"] = {"text": r.snippet}
    told: dict[str, Any] = {
        "ruleId": r.rule_id,
        "ruleIndex": index,
        "level": level,
        "message": {"text": r.message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": quote(r.path), "uriBaseId": "SRCROOT"}, "region": region,
        }}],
        "partialFingerprints": {"primaryLocationLineHash": r.fingerprint},
        "properties": dict(r.properties),
    }  # fmt: skip
    if r.suppressed is not None:
        told["suppressions"] = [{"kind": "inSource", "justification": r.suppressed}]
    return told
