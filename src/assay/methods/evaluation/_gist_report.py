"""What a search for admitted debt hands back: findings, counts, and how the kinds compare with earlier studies."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from assay.methods.scan_reports import assay_version

from ._gist_comments import Comment, described
from ._gist_history import Survival
from ._gist_learner import ROLES, TYPES

SCHEMA = "assay.gist/1"

# Shares of admitted debt in earlier studies, as the paper quotes them; the rest is every other kind.
CLASSIC = {"design": 0.7184, "requirement": 0.1424, "test": 0.0209}


@dataclass(frozen=True)
class Span:
    """Part of a comment's text that speaks for the finding."""

    what: str
    start: int
    end: int


@dataclass(frozen=True)
class GistFinding:
    """What a comment admits; ages and authors are known with git only."""

    comment: Comment
    is_ai_authorship: bool
    is_debt: bool
    debt_type: str | None
    role: str
    uncertainty: bool
    confidence: float
    evidence: tuple[Span, ...] = ()
    age_days: int | None = None
    introduced: date | None = None
    author_hash: str | None = None

    @property
    def rule(self) -> str:
        """Name of the kind of finding in reports of rules: GIST-source-design."""
        return f"GIST-{self.role}-{self.debt_type}"


@dataclass(frozen=True)
class Comparison:
    """Kinds of debt against the shares of earlier studies: chi squared over design, requirement, test and the rest."""

    n: int
    chi2: float
    p: float
    cramers_v: float


@dataclass(frozen=True)
class GistReport:
    """One search. `files` are (path, lines, comments) of those read; comments are counted only where a tool may be
    named, `skipped` are (path, why)."""

    root: str
    files: tuple[tuple[str, int, int], ...]
    skipped: tuple[tuple[str, str], ...]
    ai_comments: int
    findings: tuple[GistFinding, ...]
    survival: Survival | None = None

    @property
    def lines(self) -> int:
        """Lines of the files that were read."""
        return sum(lines for _, lines, _ in self.files)

    def by_role(self) -> dict[str, int]:
        """Findings of each role."""
        count = Counter(f.role for f in self.findings)
        return {role: count[role] for role in ROLES[1:]}

    def by_type(self) -> dict[str, int]:
        """Findings of each kind of debt."""
        count = Counter(f.debt_type for f in self.findings)
        return {kind: count[kind] for kind in TYPES}

    def by_month(self) -> dict[str, int]:
        """Findings by the month in which they were written; empty without git."""
        count = Counter(f"{f.introduced:%Y-%m}" for f in self.findings if f.introduced)
        return dict(sorted(count.items()))

    def densest(self, most: int = 20) -> list[dict[str, Any]]:
        """Files with findings, most findings per thousand lines first."""
        count = Counter(f.comment.path for f in self.findings)
        lines = {path: n for path, n, _ in self.files}
        order = sorted(count, key=lambda path: (-count[path] / lines[path], path))
        return [
            {"path": p, "lines": lines[p], "gist": count[p], "per_kloc": round(1000 * count[p] / lines[p], 3)}
            for p in order[:most]
        ]

    def summary(self) -> dict[str, Any]:
        """Counts of the whole search."""
        skipped = Counter(why for _, why in self.skipped)
        return {
            "files": len(self.files),
            "lines": self.lines,
            "skipped": dict(sorted(skipped.items())),
            "comments": sum(n for _, _, n in self.files),
            "ai_comments": self.ai_comments,
            "gist": len(self.findings),
            "uncertainty_driven": sum(f.uncertainty for f in self.findings),
            "by_role": self.by_role(),
            "by_type": self.by_type(),
            "per_kloc": round(1000 * len(self.findings) / self.lines, 4) if self.lines else 0.0,
        }

    def comparison(self) -> Comparison | None:
        """How the kinds differ from earlier studies; None without findings."""
        return compare(self.by_type())

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, in the form that `gist_report.schema.json` describes."""
        compared = self.comparison()
        return {
            "schema": SCHEMA,
            "tool": "assay gist_miner",
            "version": assay_version(),
            "root": self.root,
            "summary": self.summary(),
            "comparison": asdict(compared) if compared else None,
            "by_month": self.by_month(),
            "survival": asdict(self.survival) if self.survival else None,
            "densest": self.densest(),
            "skipped": [{"path": path, "why": why} for path, why in self.skipped],
            "findings": [finding_dict(f) for f in self.findings],
        }

    def to_json(self) -> str:
        """The report as JSON text with sorted keys."""
        return json.dumps(self.to_dict(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def finding_dict(f: GistFinding) -> dict[str, Any]:
    """A finding under the names of the JSON report."""
    return {
        **described(f.comment),
        "role": f.role,
        "debt_type": f.debt_type,
        "is_ai_authorship": f.is_ai_authorship,
        "uncertainty": f.uncertainty,
        "confidence": f.confidence,
        "evidence": [asdict(span) for span in f.evidence],
        "introduced": f.introduced.isoformat() if f.introduced else None,
        "age_days": f.age_days,
        "author_hash": f.author_hash,
    }


def compare(by_type: dict[str, int]) -> Comparison | None:
    """Chi-squared test of counts by kind against `CLASSIC`, and Cramér's V: 0 for the same shares, 1 when all comments
    are of the rarest kind. With equal shares that is the usual V, the root of chi squared over n (k - 1)."""
    n = sum(by_type.values())
    if not n:
        return None
    from scipy.stats import chi2

    seen = [*(by_type[kind] for kind in CLASSIC), n - sum(by_type[kind] for kind in CLASSIC)]
    shares = [*CLASSIC.values(), 1 - sum(CLASSIC.values())]
    statistic = sum((o - n * share) ** 2 / (n * share) for o, share in zip(seen, shares, strict=True))
    farthest = n * (1 / min(shares) - 1)
    return Comparison(n, statistic, float(chi2.sf(statistic, len(seen) - 1)), math.sqrt(statistic / farthest))


@cache
def report_schema() -> dict[str, Any]:
    """The JSON Schema of `GistReport.to_dict`."""
    schema: dict[str, Any] = json.loads(
        files(__package__).joinpath("gist_report.schema.json").read_text(encoding="utf-8")
    )
    return schema
