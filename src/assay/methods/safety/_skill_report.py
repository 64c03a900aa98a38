"""What a scan hands back: results by skill, the paper's tables over them, and the JSON form."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from assay.methods.scan_reports import assay_version

from ._skill_rules import DIMENSIONS, META, PATTERNS, SEVERITIES, Evidence
from ._skill_scanners import ScanHit

SCHEMA = "assay.skillscan/1"


@dataclass(frozen=True)
class Finding:
    """One pattern that the judge saw in a skill, with the evidence for it."""

    id: str
    dimension: str
    severity: str
    confidence: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class Suppressed:
    """Evidence that the skill's own text asks to leave out, and the reason it gives."""

    evidence: Evidence
    reason: str


@dataclass(frozen=True)
class SkillResult:
    """The verdict on one skill; `path` is relative to the root of the scan."""

    path: str
    name: str
    sha256: str
    verdict: Literal["vulnerable", "benign", "error"]
    confidence: float = 0.0
    severity: str = ""
    findings: tuple[Finding, ...] = ()
    hits: tuple[ScanHit, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()
    problems: tuple[str, ...] = ()
    has_scripts: bool = False
    judge: str = "offline"
    rationale: str = ""
    error: str = ""


@dataclass(frozen=True)
class Report:
    """All results of one scan."""

    root: str
    skills: tuple[SkillResult, ...]
    judge: str = "offline"
    scanners: tuple[str, ...] = ()
    started: str = ""
    baseline: str = ""  # name of the report whose findings were left out

    def summary(self) -> dict[str, Any]:
        """Counts by dimension, pattern and severity, and the odds ratio of scripts."""
        vulnerable = [s for s in self.skills if s.verdict == "vulnerable"]
        found = [{f.id for f in s.findings if f.id != META} for s in vulnerable]
        odds = self.odds_ratio()
        return {
            "skills": len(self.skills),
            "vulnerable": len(vulnerable),
            "errors": sum(s.verdict == "error" for s in self.skills),
            "suppressed": sum(len(s.suppressed) for s in self.skills),
            "by_dimension": {d: sum(any(PATTERNS[p].dimension == d for p in f) for f in found) for d in DIMENSIONS},
            "by_pattern": {p: sum(p in f for f in found) for p in PATTERNS},
            "by_severity": {s: sum(r.severity == s for r in vulnerable) for s in SEVERITIES},
            "has_scripts_odds_ratio": odds["odds_ratio"],
        }

    def prevalence(self) -> dict[str, Any]:
        """The paper's tables on this folder (section 5): shares of the skills read, and how scripts bear on them."""
        read = [s for s in self.skills if s.verdict != "error"]
        summary = self.summary()

        def shares(counts: dict[str, int]) -> dict[str, float]:
            return {name: round(count / len(read), 4) if read else 0.0 for name, count in counts.items()}

        return {
            "skills": len(read),
            "vulnerable": round(summary["vulnerable"] / len(read), 4) if read else 0.0,
            "by_dimension": shares(summary["by_dimension"]),
            "by_pattern": shares(summary["by_pattern"]),
            "by_severity": shares(summary["by_severity"]),
            "scripts": self.odds_ratio(),
        }

    def odds_ratio(self) -> dict[str, float | None]:
        """Odds of a flaw with scripts over without: ratio, 95 % interval (Woolf), Fisher's exact two-sided p.

        The ratio and interval are None when a cell of the table is empty.
        """
        count = Counter((s.has_scripts, s.verdict == "vulnerable") for s in self.skills if s.verdict != "error")
        a, b, c, d = (count[True, True], count[True, False], count[False, True], count[False, False])
        result: dict[str, float | None] = {
            "odds_ratio": None,
            "low": None,
            "high": None,
            "p": round(fisher_exact(a, b, c, d), 6),
        }
        if min(a, b, c, d) > 0:
            ratio, half = a * d / (b * c), 1.959964 * math.sqrt(1 / a + 1 / b + 1 / c + 1 / d)
            result |= {
                "odds_ratio": round(ratio, 4),
                "low": round(ratio * math.exp(-half), 4),
                "high": round(ratio * math.exp(half), 4),
            }
        return result

    def worst(self) -> str:
        """The highest severity of any finding, "" if there is none."""
        severities = [f.severity for s in self.skills for f in s.findings if s.verdict == "vulnerable"]
        return max(severities, key=SEVERITIES.index, default="")

    def new_since(self, old: dict[str, Any], name: str = "") -> Report:
        """This report without the evidence that an older one (parsed JSON) already holds.

        Raises ValueError if `old` is not a report of this kind.
        """
        if old.get("schema") != SCHEMA:
            raise ValueError(f"baseline: got schema {old.get('schema')!r}, wanted {SCHEMA!r}")
        known = {
            (skill["path"], e["rule"], e["path"], " ".join(e["snippet"].split()))
            for skill in old["skills"] for pattern in skill["patterns"] for e in pattern["evidence"]
        }  # fmt: skip
        return replace(self, skills=tuple(_without(s, known) for s in self.skills), baseline=name)

    def to_json(self, *, time: bool = True) -> str:
        """The report as JSON text with sorted keys; `time=False` leaves the moment out, so that equal scans are
        byte-equal."""
        return json.dumps(self.to_dict(time=time), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    def to_dict(self, *, time: bool = True) -> dict[str, Any]:
        """The report as plain data, in the form that `skill_report.schema.json` describes."""
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "tool": "assay skill_scan",
            "version": assay_version(),
            "root": self.root,
            "summary": self.summary(),
            "scanners": list(self.scanners),
            "skills": [_skill_dict(s) for s in self.skills],
        }
        if time:
            content["started"] = self.started
        if self.baseline:
            content["baseline"] = self.baseline
        return content


@cache
def report_schema() -> dict[str, Any]:
    """The JSON Schema of `Report.to_dict`."""
    schema: dict[str, Any] = json.loads(
        files(__package__).joinpath("skill_report.schema.json").read_text(encoding="utf-8")
    )
    return schema


def fisher_exact(a: int, b: int, c: int, d: int) -> float:
    """Two-sided p of the 2 x 2 table [[a, b], [c, d]]: all tables with these margins that are no likelier."""
    row, column, total = a + b, a + c, a + b + c + d
    if not total:
        return 1.0

    def log_p(x: int) -> float:
        return (
            math.log(math.comb(row, x))
            + math.log(math.comb(total - row, column - x))
            - math.log(math.comb(total, column))
        )

    seen = log_p(a)
    tables = range(max(0, row + column - total), min(row, column) + 1)
    return min(1.0, sum(math.exp(log_p(x)) for x in tables if log_p(x) <= seen + 1e-9))


def fingerprint(skill: str, evidence: Evidence) -> str:
    """Names a piece of evidence across edits elsewhere in the file: line numbers do not enter."""
    text = "\0".join([skill, evidence.rule_id, evidence.path, " ".join(evidence.snippet.split())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without(skill: SkillResult, known: set[tuple[str, str, str, str]]) -> SkillResult:
    """The result less known evidence; a finding all of whose evidence is known goes, and so may the verdict."""
    findings = []
    for finding in skill.findings:
        new = tuple(
            e for e in finding.evidence if (skill.path, e.rule_id, e.path, " ".join(e.snippet.split())) not in known
        )
        if new or not finding.evidence:
            findings.append(replace(finding, evidence=new))
    flaws = [f for f in findings if f.id != META]
    if not flaws and skill.verdict == "vulnerable":
        return replace(skill, verdict="benign", severity="", findings=tuple(findings))
    return replace(
        skill, findings=tuple(findings), severity=max((f.severity for f in flaws), key=SEVERITIES.index, default="")
    )


def _skill_dict(skill: SkillResult) -> dict[str, Any]:
    return {
        "path": skill.path,
        "name": skill.name,
        "sha256": skill.sha256,
        "verdict": skill.verdict,
        "confidence": skill.confidence,
        "severity": skill.severity or None,
        "patterns": [
            {"id": f.id, "dimension": f.dimension, "severity": f.severity, "confidence": f.confidence,
             "evidence": [evidence_dict(e) for e in f.evidence]}
            for f in skill.findings
        ],
        "scanners": [asdict(hit) for hit in skill.hits],
        "suppressed": [{**evidence_dict(s.evidence), "reason": s.reason} for s in skill.suppressed],
        "problems": list(skill.problems),
        "has_scripts": skill.has_scripts,
        "judge": skill.judge,
        "rationale": skill.rationale,
        "error": skill.error or None,
    }  # fmt: skip


def evidence_dict(e: Evidence) -> dict[str, Any]:
    """Evidence under the names of the JSON report."""
    return {
        "rule": e.rule_id, "path": e.path, "start_line": e.start_line, "start_col": e.start_col, "end_line": e.end_line,
        "end_col": e.end_col, "snippet": e.snippet, "why": e.why, "weight": e.weight,
    }  # fmt: skip
