"""Stage 3: from evidence to a verdict, by a logistic regression and an isotonic calibration.

One regression serves all patterns. It looks at one pattern of one skill at a time and weighs the evidence for that
pattern, so what it learns from the patterns with many examples holds for those with few, and for rules that no
training skill has set off. A regression for each pattern, on two or three examples each, did neither.

Any language model can take its place (`_skill_model_judge`). The weights ship as `skill_judge.json`, fitted by
`assay use skill_scan retrain` on the train families of the corpus (`_skill_training`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ._skill_files import Skill
from ._skill_rules import PATTERNS, RULES, Evidence
from ._skill_rules.reading import read_skill
from ._skill_scanners import InjectionClassifier, ScanHit

CAP = 3.0  # one rule firing on every line of a file says no more than three times
STRONG = 0.5  # evidence from this weight on counts as a rule that spoke
CAUTIOUS_WEIGHT = 0.25  # evidence up to this weight stands in a negation or quotation
CODE_KINDS = frozenset(("python", "shell", "javascript", "manifest"))
PATTERN_OF = {r.id: r.pattern for r in RULES}
LOOKS_FOR = {  # the patterns that a scanner bears on
    "InvisibleText": frozenset(("P2",)),
    "PromptInjection": frozenset(("P1", "P2", "P3", "P4")),
    "PurposeMismatch": frozenset(("E1", "E2", "E3", "E4")),
    "Secrets": frozenset(("PE3",)),
}
FEATURES = (
    "strongest evidence in code", "strongest evidence in prose", "sum of evidence", "rules that spoke", *LOOKS_FOR,
    "hosts declared", "negated share", "has scripts",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """Whether a skill is flawed, the probability of each pattern, and on what it rests."""

    vulnerable: bool
    patterns: Mapping[str, float]
    confidence: float
    rationale: str = ""
    evidence: tuple[int, ...] = ()
    judge: str = "offline"


class SkillJudge(Protocol):
    """Decides on one skill from what stages 1 and 2 found."""

    @property
    def name(self) -> str: ...

    def judge(self, skill: Skill, evidence: Sequence[Evidence], hits: Sequence[ScanHit]) -> Verdict:
        """The verdict; `Verdict.evidence` holds indices into `evidence`."""


def features(skill: Skill, evidence: Sequence[Evidence], hits: Sequence[ScanHit]) -> NDArray[np.float64]:
    """A row of `FEATURES` for each pattern, shape (14, 11), in the order of `PATTERNS`."""
    kinds = {file.path: file.kind for file in skill.files}
    scores: dict[str, float] = {}
    for hit in hits:
        scanner = hit.scanner.partition(" ")[0]
        scores[scanner] = max(scores.get(scanner, 0.0), hit.score)
    reading = read_skill(skill)
    hosts = {f.detail for f in reading.facts if f.what == "network" and f.detail}
    about_skill = (
        sum(map(reading.is_declared, hosts)) / len(hosts) if hosts else 1.0,
        sum(e.weight <= CAUTIOUS_WEIGHT for e in evidence) / len(evidence) if evidence else 0.0,
        float(skill.has_scripts),
    )
    rows = []
    for pattern in PATTERNS:
        own = [e for e in evidence if PATTERN_OF[e.rule_id] == pattern]
        in_code = [e.weight for e in own if kinds[e.path] in CODE_KINDS]
        in_prose = [e.weight for e in own if kinds[e.path] not in CODE_KINDS]
        spoke = {e.rule_id for e in own if e.weight >= STRONG}
        scanned = [scores.get(name, 0.0) if pattern in patterns else 0.0 for name, patterns in LOOKS_FOR.items()]
        total = min(CAP, sum(e.weight for e in own))
        rows.append(
            (max(in_code, default=0.0), max(in_prose, default=0.0), total, min(CAP, len(spoke)), *scanned, *about_skill)
        )
    return np.array(rows, dtype=np.float64)


# ---- offline -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OfflineJudge:
    """`sigmoid(coefficients . row + intercept)`, put right by the isotonic map whose knots are `steps`."""

    coefficients: tuple[float, ...]
    intercept: float
    steps: tuple[tuple[float, float], ...]
    threshold: float = 0.5
    name: str = "offline"

    def probabilities(self, rows: NDArray[np.float64]) -> dict[str, float]:
        """Calibrated probability of each pattern from the `features` of a skill."""
        scores, values = np.asarray(self.steps).T
        raw = 1.0 / (1.0 + np.exp(-(rows @ np.asarray(self.coefficients) + self.intercept)))
        return {p: float(c) for p, c in zip(PATTERNS, np.interp(raw, scores, values), strict=True)}

    def judge(self, skill: Skill, evidence: Sequence[Evidence], hits: Sequence[ScanHit]) -> Verdict:
        probabilities = self.probabilities(features(skill, evidence, hits))
        worst = max(probabilities.values())
        vulnerable = worst >= self.threshold
        chosen = [p for p, c in probabilities.items() if c >= self.threshold]
        shown = tuple(i for i, e in enumerate(evidence) if PATTERN_OF[e.rule_id] in chosen)
        return Verdict(vulnerable, probabilities, worst if vulnerable else 1.0 - worst, evidence=shown, judge=self.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, coefficients by the name of their feature."""
        return {
            "coefficients": {name: round(c, 6) for name, c in zip(FEATURES, self.coefficients, strict=True)},
            "intercept": round(self.intercept, 6),
            "steps": [[round(x, 6), round(y, 6)] for x, y in self.steps],
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> OfflineJudge:
        """The judge of a file; ValueError if its features are not this version's."""
        coefficients = content["coefficients"]
        if set(coefficients) != set(FEATURES):
            odd = min(set(coefficients) ^ set(FEATURES))
            raise ValueError(f"judge: feature {odd!r} is not this version's: run `assay use skill_scan retrain` again")
        steps = tuple((x, y) for x, y in content["steps"])
        return OfflineJudge(tuple(coefficients[n] for n in FEATURES), content["intercept"], steps)


@cache
def _shipped() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(files(__package__).joinpath("skill_judge.json").read_text(encoding="utf-8"))
    return content


@cache
def shipped_judge() -> OfflineJudge:
    """The judge that comes with the package."""
    return OfflineJudge.from_dict(_shipped()["judge"])


def shipped_classifier(embed: str) -> InjectionClassifier:
    """The injection classifier that comes with the package for the vectors of that name.

    Raises ValueError for vectors that none was fitted on.
    """
    classifiers = _shipped()["injection"]
    if embed not in classifiers:
        raise ValueError(f"embed: got {embed!r}, wanted one of {sorted(classifiers)}, or fit a classifier for it")
    return InjectionClassifier(tuple(classifiers[embed]["weights"]), classifiers[embed]["bias"])
