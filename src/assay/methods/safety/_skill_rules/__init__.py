"""The static rules of `skill_scan`: what a rule is (`model`), how code and prose are read, and the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from .._skill_files import Skill
from .code_rules import code_rules
from .entropy import entropy_rules
from .hidden import hidden_rules
from .instructions import prose_rules
from .manifests import manifest_rules
from .model import DIMENSIONS, META, PATTERNS, SEVERITIES, Evidence, Pattern, Rule, Severity
from .permissions import permission_rules

__all__ = [
    "DIMENSIONS", "META", "PATTERNS", "RULES", "SEVERITIES", "Evidence", "Pattern", "Rule", "Severity", "find_evidence",
    "rules_version", "select_rules",
]  # fmt: skip

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (*prose_rules(), *hidden_rules(), *code_rules(), *permission_rules(), *manifest_rules(), *entropy_rules()),
        key=lambda rule: rule.id,
    )
)


def find_evidence(skill: Skill, rules: Iterable[Rule] = RULES) -> list[Evidence]:
    """Everything the rules find in a skill, ordered by place and rule, each once."""
    found = {
        e: None for rule in rules for file in skill.files if file.kind in rule.kinds for e in rule.check(file, skill)
    }
    return sorted(found, key=lambda e: (e.path, e.start_line, e.start_col, e.rule_id, e.why))


def select_rules(words: str, rules: Iterable[Rule] = RULES) -> tuple[Rule, ...]:
    """Rules named by a comma-separated list of ids, id prefixes or patterns (`E2,SS-P1-01`); `-E3` leaves out.

    Raises ValueError for a word that names no rule.
    """
    rules = tuple(rules)
    keep: set[str] = set()
    drop: set[str] = set()
    for word in filter(None, (w.strip() for w in words.split(","))):
        name = word.lstrip("-")
        named = {
            r.id
            for r in rules
            if r.pattern == name or r.id == name or r.id.startswith(f"SS-{name}-") or r.id.startswith(f"{name}-")
        }
        if not named:
            raise ValueError(
                f"rules: got {name!r}, wanted a rule id such as SS-E1-02 or a pattern such as {', '.join(PATTERNS)}"
            )
        (drop if word.startswith("-") else keep).update(named)
    return tuple(r for r in rules if (not keep or r.id in keep) and r.id not in drop)


@lru_cache(maxsize=1)
def rules_version() -> str:
    """Digest of the rules' source: cached results of other rules are not used."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*.py"), folder / "prose.toml", folder.parent / "_skill_files.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
