"""What scanners' reports share: SARIF that its schema accepts, and text that cannot steer a terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.methods.scan_reports import SarifResult, SarifRule, as_sarif, assay_version, printable

SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-subset.schema.json").read_text(encoding="utf-8"))
RULES = [SarifRule("A-1", "a", "A.", "Look.", "warning", {"tags": ["x"]}), SarifRule("B-1", "b", "B.", "Look.", "note")]


def check_sarif(text: str) -> dict[str, Any]:
    """The log, accepted by the schema."""
    log: dict[str, Any] = json.loads(text)
    jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER).validate(log)
    return log


def result(**changes: Any) -> SarifResult:
    return SarifResult(**{"rule_id": "B-1", "message": "m", "path": "a.py", "start_line": 3, "end_line": 4,
                          "fingerprint": "f", **changes})  # fmt: skip


def test_a_result_points_to_its_rule_and_carries_its_level() -> None:
    (run,) = check_sarif(as_sarif("assay test", RULES, [result()], warnings=["a.py: too large"]))["runs"]
    (told,) = run["results"]
    assert (told["ruleIndex"], told["level"]) == (1, "note")
    assert told["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "endLine": 4}
    assert run["tool"]["driver"]["version"] == assay_version()
    assert run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"] == "a.py: too large"


def test_columns_snippet_and_suppression_are_told_where_they_are_known() -> None:
    more = result(start_column=2, end_column=9, snippet="x = 1", suppressed="ours")
    (run,) = check_sarif(as_sarif("assay test", RULES, [more]))["runs"]
    (told,) = run["results"]
    region = told["locations"][0]["physicalLocation"]["region"]
    assert (region["startColumn"], region["endColumn"], region["snippet"]) == (2, 9, {"text": "x = 1"})
    assert told["suppressions"] == [{"kind": "inSource", "justification": "ours"}]


def test_a_result_of_no_rule_is_refused() -> None:
    with pytest.raises(KeyError):
        as_sarif("assay test", RULES, [result(rule_id="C-1")])


@given(st.text())
def test_any_path_becomes_a_uri_and_any_text_one_printable_line(text: str) -> None:
    check_sarif(
        as_sarif("assay test", RULES, [result(path=f"a{text}".replace("\\", "/").encode(errors="replace").decode())])
    )
    assert printable(text).isprintable() and len(printable(text)) <= 110


def test_control_characters_are_shown_as_question_marks() -> None:
    assert printable("red \x1b[31m text\nnext") == "red ?[31m text next"
