"""A scan's report for people and for other tools: a table, Markdown, and SARIF 2.1.0."""

from __future__ import annotations

from assay.methods import scan_reports
from assay.methods.scan_reports import Level, SarifResult, SarifRule
from assay.methods.scan_reports import printable as _short

from ._skill_report import Report, SkillResult, fingerprint
from ._skill_rules import META, PATTERNS, RULES, SEVERITIES, Evidence, Rule

_LEVEL: dict[str, Level] = {"critical": "error", "high": "error", "medium": "warning", "low": "note"}
_SCORE = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0"}


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
    by_id = {rule.id: rule for rule in RULES}
    results = []
    for skill in report.skills:
        for finding in skill.findings:
            more = {"confidence": finding.confidence}
            results += [_sarif_result(skill, e, by_id[e.rule_id], more) for e in finding.evidence]
        results += [_sarif_result(skill, s.evidence, by_id[s.evidence.rule_id], {}, s.reason) for s in skill.suppressed]
    return scan_reports.as_sarif(
        "assay skill_scan",
        [_sarif_rule(rule) for rule in RULES],
        results,
        complete=all(s.verdict != "error" for s in report.skills),
        warnings=[f"{s.path}: {text}" for s in report.skills for text in [*filter(None, [s.error]), *s.problems]],
    )


def _sarif_rule(rule: Rule) -> SarifRule:
    pattern = PATTERNS.get(rule.pattern)
    dimension, title = (pattern.dimension, pattern.title) if pattern else ("form", "form of the skill")
    return SarifRule(
        rule.id,
        rule.title,
        f"{rule.title}. A sign of pattern {rule.pattern} ({title}) in the dimension {dimension}.",
        f"Look at the marked place. If it is meant, say so beside it: skillscan: ignore {rule.id} <reason>",
        _LEVEL[rule.severity],
        {"security-severity": _SCORE[rule.severity], "tags": [dimension, rule.pattern]},
    )


def _sarif_result(
    skill: SkillResult, e: Evidence, rule: Rule, more: dict[str, float], suppressed: str | None = None
) -> SarifResult:
    return SarifResult(
        rule_id=e.rule_id,
        message=f"{rule.title}: {e.why}" if e.why != rule.title else rule.title,
        path=e.path if skill.path in ("", ".") else f"{skill.path}/{e.path}",
        start_line=e.start_line,
        end_line=e.end_line,
        fingerprint=fingerprint(skill.path, e),
        start_column=e.start_col,
        end_column=e.end_col,
        snippet=e.snippet,
        properties={"weight": e.weight, **more},
        suppressed=suppressed,
    )


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


def _cell(text: str) -> str:
    """Text of a stranger inside Markdown: it must not become markup of ours."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in text)
