"""Agent Skills in the Wild: An Empirical Study of Security Vulnerabilities at Scale (2601.10338).

Scans agent skills (folders with a SKILL.md and its scripts) for fourteen patterns of flaws: static rules over
prose and code find candidates, semantic scanners add what wording alone gives away, and a judge (a logistic
regression, or any language model) decides which of them are flaws.

    report = scan(Path("~/.claude/skills").expanduser())
    report.summary()["vulnerable"], report.prevalence()

A skill of 40 kB takes about a tenth of a second. It reads English prose, Python, shell, JavaScript and
manifests; a flaw in another language, or one that needs two of them to be run, is seen only by its prose.

Differs from the paper:

- The rules are ours: the paper's are described, not listed. Each is one row of a table in `_skill_rules`.
- The names of the 14 patterns are our reading of the paper's table.
- The paper's semantic stage is LLM-Guard and a large language model; here it is four scanners of our own
  (`_skill_scanners`) and a judge that runs offline (`_skill_judges`), with any language model in its place on
  request.
- The judge's regressions share one calibration over the patterns: three examples of each would not carry one.

Suppressions (`# skillscan: ignore SS-E1-02 reason`) are for the skill's owner. They come out of the skill's
own text, so the report counts and lists them: a stranger's suppressions deserve a look of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from ._skill_files import Limits, Skill, SkillFile, discover, load_skill
from ._skill_judges import SkillJudge, Verdict, shipped_judge
from ._skill_report import Finding, Report, SkillResult, Suppressed
from ._skill_rules import META, PATTERNS, RULES, SEVERITIES, Evidence, Rule, find_evidence, rules_version
from ._skill_scanners import ScanHit, SemanticScanner, default_scanners, instruction_text

__all__ = [
    "PATTERNS", "RULES", "Evidence", "Limits", "Report", "Rule", "Skill", "SkillFile", "Verdict", "discover",
    "load_skill", "scan", "scan_skill",
]  # fmt: skip

CANDIDATE_HIT = 0.5  # a scan hit of this score makes a skill a candidate without any evidence
_IGNORE = re.compile(r"skillscan:\s{0,3}ignore\s{1,3}(SS-[A-Z0-9]{2,4}-\d\d)[ \t:,-]{0,3}([^\n]{0,200})")


def scan(
    root: Path,
    judge: SkillJudge | None = None,
    scanners: Sequence[SemanticScanner] | None = None,
    rules: Sequence[Rule] = RULES,
    threshold: float = 0.5,
    *,
    limits: Limits | None = None,
    jobs: int = 1,
    cache: Path | None = None,
) -> Report:
    """Scan every skill under `root` (section 4: static rules, semantic scanners, hybrid verdict).

    `judge` is the shipped offline judge unless given, `scanners` the built-in ones (an empty list: none).
    `jobs` processes share the skills. `cache` is a folder in which stages 1 and 2 of unchanged skills are kept.

    Raises:
        FileNotFoundError: `root` does not exist or holds no skill.
        ValueError: `threshold` outside (0, 1), `jobs` below 1.
    """
    if not 0 < threshold < 1:
        raise ValueError(f"threshold: got {threshold}, wanted a probability in (0, 1)")
    if jobs < 1:
        raise ValueError(f"jobs: got {jobs}, wanted at least 1")
    paths = discover(root)
    judge = judge or shipped_judge()
    scanners = default_scanners() if scanners is None else list(scanners)
    inspect = partial(_inspect_path, rules=[r.id for r in rules], scanners=scanners, limits=limits, cache=cache)
    results = []
    for path, found in zip(paths, _spread(inspect, paths, jobs), strict=True):
        name = path.relative_to(root).as_posix() if path != root else path.name
        results.append(_result(name, path, found, judge, threshold))
    return Report(root=str(root), skills=tuple(results), judge=judge.name, scanners=tuple(s.name for s in scanners))


def scan_skill(
    skill: Skill,
    judge: SkillJudge | None = None,
    scanners: Sequence[SemanticScanner] | None = None,
    rules: Sequence[Rule] = RULES,
    threshold: float = 0.5,
) -> SkillResult:
    """The same for one skill that is already loaded."""
    scanners = default_scanners() if scanners is None else scanners
    return _result(
        skill.path.name, skill.path, (skill, *_inspect(skill, rules, scanners)), judge or shipped_judge(), threshold
    )


Found = tuple[Skill, list[Evidence], list[ScanHit]] | str  # or what is wrong with the skill


def _inspect_path(
    path: Path, *, rules: list[str], scanners: Sequence[SemanticScanner], limits: Limits | None, cache: Path | None
) -> Found:
    """Stages 1 and 2 of one skill, in whatever process; rules travel by name."""
    try:
        skill = load_skill(path, limits)
    except (ValueError, OSError) as error:
        return " ".join(str(error).split())
    chosen = set(rules)
    key = hashlib.sha256(
        "\0".join([skill.sha256, rules_version(), *rules, *(s.name for s in scanners)]).encode()
    ).hexdigest()
    cached = _cached(cache, key)
    if cached is None:
        cached = _inspect(skill, [r for r in RULES if r.id in chosen], scanners)
        _keep(cache, key, cached)
    return (skill, *cached)


def _inspect(
    skill: Skill, rules: Sequence[Rule], scanners: Sequence[SemanticScanner]
) -> tuple[list[Evidence], list[ScanHit]]:
    evidence = find_evidence(skill, rules)
    text = instruction_text(skill)
    return evidence, [hit for scanner in scanners for hit in scanner.scan(text, skill)]


def _result(name: str, path: Path, found: Found, judge: SkillJudge, threshold: float) -> SkillResult:
    if isinstance(found, str):
        return SkillResult(path=name, name=path.name, sha256="", verdict="error", error=found)
    skill, evidence, hits = found
    evidence, suppressed = _suppress(skill, evidence)
    judged = [e for e in evidence if not e.rule_id.startswith(f"SS-{META}-")]
    form = tuple(e for e in evidence if e not in judged)
    verdict = Verdict(False, {}, 0.0, judge=judge.name)
    if judged or any(hit.score >= CANDIDATE_HIT for hit in hits):
        verdict = judge.judge(skill, judged, hits)
    findings = _findings(verdict, judged, threshold)
    vulnerable = verdict.vulnerable if not verdict.patterns else any(p >= threshold for p in verdict.patterns.values())
    if form:
        findings.append(Finding(META, "form", "low", 1.0, form))
    flaws = [f for f in findings if f.id != META]
    return SkillResult(
        path=name,
        name=skill.name,
        sha256=skill.sha256,
        verdict="vulnerable" if vulnerable else "benign",
        confidence=round(verdict.confidence, 4),
        severity=max((f.severity for f in flaws), key=SEVERITIES.index, default=""),
        findings=tuple(findings),
        hits=tuple(hits),
        suppressed=tuple(suppressed),
        problems=skill.problems,
        has_scripts=skill.has_scripts,
        judge=verdict.judge,
        rationale=verdict.rationale,
    )


def _findings(verdict: Verdict, evidence: list[Evidence], threshold: float) -> list[Finding]:
    by_rule = {r.id: r for r in RULES}
    findings = []
    for pattern_id, probability in sorted(verdict.patterns.items()):
        if probability < threshold:
            continue
        pattern = PATTERNS[pattern_id]
        shown = tuple(e for e in evidence if by_rule[e.rule_id].pattern == pattern_id)
        strong = [by_rule[e.rule_id].severity for e in shown if e.weight >= 0.5]
        severity = max(strong, key=SEVERITIES.index, default=pattern.severity)
        findings.append(Finding(pattern_id, pattern.dimension, severity, round(probability, 4), shown))
    return findings


def _suppress(skill: Skill, evidence: list[Evidence]) -> tuple[list[Evidence], list[Suppressed]]:
    """Evidence without what the line itself, or the line above, asks to leave out with a reason."""
    wanted: dict[tuple[str, int, str], str] = {}
    for file in skill.files:
        for match in _IGNORE.finditer(file.text):
            line = file.text.count("\n", 0, match.start()) + 1
            reason = match.group(2).strip().removesuffix("-->").strip()
            if reason:
                wanted[file.path, line, match.group(1)] = reason
    kept, suppressed = [], []
    for e in evidence:
        reason = wanted.get((e.path, e.start_line, e.rule_id)) or wanted.get((e.path, e.start_line - 1, e.rule_id))
        if reason:
            suppressed.append(Suppressed(e, reason))
        else:
            kept.append(e)
    return kept, suppressed


def _spread(inspect: partial[Found], paths: list[Path], jobs: int) -> Iterator[Found]:
    """`inspect` of each path, in order, over `jobs` processes."""
    if jobs == 1 or len(paths) == 1:
        yield from map(inspect, paths)
        return
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(inspect, paths, chunksize=max(1, min(16, len(paths) // (4 * jobs))))


def _cached(cache: Path | None, key: str) -> tuple[list[Evidence], list[ScanHit]] | None:
    path = cache / f"{key}.json" if cache else None
    if path is None or not path.exists():
        return None
    try:
        evidence, hits = json.loads(path.read_text(encoding="utf-8"))
        return [Evidence(*row) for row in evidence], [ScanHit(*row) for row in hits]
    except (ValueError, TypeError):  # half-written by another program: inspected anew and written again
        return None


def _keep(cache: Path | None, key: str, found: tuple[list[Evidence], list[ScanHit]]) -> None:
    if cache is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    evidence, hits = found
    with tempfile.NamedTemporaryFile("w", dir=cache, suffix=".part", delete=False, encoding="utf-8") as stream:
        json.dump([[list(vars(e).values()) for e in evidence], [list(vars(h).values()) for h in hits]], stream)
    os.replace(stream.name, cache / f"{key}.json")
