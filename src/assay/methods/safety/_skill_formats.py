"""A scan's report for people and for other tools: a table, Markdown, and SARIF 2.1.0."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from ._skill_report import Report, SkillResult, fingerprint
from ._skill_rules import META, PATTERNS, RULES, SEVERITIES, Evidence, Rule

_LEVEL = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SCORE = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}
_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_table(report: Report) -> str:
    """Plain text: a line a skill, the strongest evidence of each finding below it, and a closing count."""
    lines = []
    for skill in report.skills:
        mark = {"vulnerable": skill.severity or "flawed", "benign": "ok", "error": "error"}[skill.verdict]
        patterns = " ".join(f.id for f in skill.findings)
        lines.append(f"{mark:<9} {_short(skill.path):<44} {patterns}".rstrip())
        if skill.verdict == "error":
            lines.append(f"{'':<9}   {_short(skill.error)}")
        for finding in skill.findings:
            for e in _strongest(finding.evidence):
                lines.append(f"{'':<9}   {e.rule_id} {_short(e.path)}:{e.start_line}  {_short(e.why)}")
        lines += [f"{'':<9}   not read: {_short(problem)}" for problem in skill.problems]
    return "\n".join([*lines, "", _closing(report)]) + "\n"


def as_markdown(report: Report) -> str:
    """Markdown with the paper's tables first and a section for each flawed skill."""
    prevalence = report.prevalence()
    lines = ["# Skill scan", "", _closing(report), "", "| dimension | share of skills |", "|---|---|"]
    lines += [f"| {name} | {share:.1%} |" for name, share in prevalence["by_dimension"].items()]
    lines += ["", "| pattern | | skills | share |", "|---|---|---|---|"]
    counts = report.summary()["by_pattern"]
    lines += [
        f"| {p} | {PATTERNS[p].title} | {counts[p]} | {share:.1%} |" for p, share in prevalence["by_pattern"].items()
    ]
    scripts = prevalence["scripts"]
    if scripts["odds_ratio"] is not None:
        lines += [
            "",
            f"Skills with scripts: odds ratio {scripts['odds_ratio']:.2f} "
            f"[{scripts['low']:.2f}, {scripts['high']:.2f}], Fisher exact p = {scripts['p']:.3g}.",
        ]
    for skill in report.skills:
        if skill.verdict != "benign":
            lines += ["", f"## {_cell(skill.path)}", "", *_skill_markdown(skill)]
    return "\n".join(lines) + "\n"


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0 with one run; suppressed evidence is a result with `suppressions`."""
    index = {rule.id: i for i, rule in enumerate(RULES)}
    results = []
    for skill in report.skills:
        for finding in skill.findings:
            results += [_sarif_result(skill, e, index, finding.confidence) for e in finding.evidence]
        for s in skill.suppressed:
            result = _sarif_result(skill, s.evidence, index, None)
            results.append({**result, "suppressions": [{"kind": "inSource", "justification": s.reason}]})
    version = report.to_dict()["version"]
    run = {
        "tool": {"driver": {"name": "assay skill_scan", "version": version, "rules": [_sarif_rule(r) for r in RULES]}},
        "originalUriBaseIds": {"SRCROOT": {"description": {"text": "The folder that was scanned."}}},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "invocations": [{
            "executionSuccessful": all(s.verdict != "error" for s in report.skills),
            "toolExecutionNotifications": [
                {"level": "warning", "message": {"text": f"{s.path}: {text}"}}
                for s in report.skills for text in [*filter(None, [s.error]), *s.problems]
            ],
        }],
    }  # fmt: skip
    return json.dumps({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, sort_keys=True) + "\n"


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    pattern = PATTERNS.get(rule.pattern)
    dimension, title = (pattern.dimension, pattern.title) if pattern else ("form", "form of the skill")
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {
            "text": f"{rule.title}. A sign of pattern {rule.pattern} ({title}) in the dimension {dimension}."
        },
        "help": {
            "text": f"Look at the marked place. If it is meant, say so beside it: skillscan: ignore {rule.id} <reason>"
        },
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
        "properties": {"security-severity": _SCORE[rule.severity], "tags": [dimension, rule.pattern]},
    }


def _sarif_result(skill: SkillResult, e: Evidence, index: dict[str, int], confidence: float | None) -> dict[str, Any]:
    rule = RULES[index[e.rule_id]]
    uri = e.path if skill.path in ("", ".") else f"{skill.path}/{e.path}"
    return {
        "ruleId": e.rule_id,
        "ruleIndex": index[e.rule_id],
        "level": _LEVEL[rule.severity],
        "message": {"text": f"{rule.title}: {e.why}" if e.why != rule.title else rule.title},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": quote(uri), "uriBaseId": "SRCROOT"},
            "region": {
                "startLine": e.start_line, "startColumn": e.start_col, "endLine": e.end_line, "endColumn": e.end_col,
                "snippet": {"text": e.snippet},
            },
        }}],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint(skill.path, e)},
        "properties": {"weight": e.weight} | ({} if confidence is None else {"confidence": confidence}),
    }  # fmt: skip


def _skill_markdown(skill: SkillResult) -> list[str]:
    if skill.verdict == "error":
        return [f"Could not be read: {_cell(skill.error)}"]
    lines = []
    for finding in skill.findings:
        title = PATTERNS[finding.id].title if finding.id != META else "form of the skill"
        lines.append(f"**{finding.id} {title}** ({finding.severity}, {finding.confidence:.2f})")
        lines += [
            "",
            *(
                f"- `{e.rule_id}` {_cell(e.path)}:{e.start_line}: {_cell(_short(e.why))}"
                for e in _strongest(finding.evidence)
            ),
            "",
        ]
    return lines + [f"Not read: {_cell(p)}" for p in skill.problems]


def _strongest(evidence: tuple[Evidence, ...], most: int = 3) -> list[Evidence]:
    return sorted(evidence, key=lambda e: (-e.weight, e.path, e.start_line, e.rule_id))[:most]


def _closing(report: Report) -> str:
    summary = report.summary()
    severities = ", ".join(f"{n} {s}" for s in reversed(SEVERITIES) if (n := summary["by_severity"][s]))
    parts = [
        f"{summary['skills']} skills, {summary['vulnerable']} vulnerable" + (f" ({severities})" if severities else "")
    ]
    if summary["suppressed"]:
        parts.append(f"{summary['suppressed']} findings suppressed by the skills' own text")
    if summary["errors"]:
        parts.append(f"{summary['errors']} could not be read")
    if report.baseline:
        parts.append(f"only what is new since {report.baseline}")
    return f"{'; '.join(parts)}. Judge: {report.judge}; scanners: {', '.join(report.scanners) or 'none'}."


def _short(text: str, length: int = 110) -> str:
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))  # no escape codes of a stranger
    return text if len(text) <= length else text[: length - 1] + "…"


def _cell(text: str) -> str:
    """Text of a stranger inside Markdown: it must not become markup of ours."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)
