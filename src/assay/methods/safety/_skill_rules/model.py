"""The words the rules are written in: the fourteen patterns, a rule, a piece of evidence.

The four dimensions and the number of patterns are the paper's (section 3); the wording of the fourteen is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from .._skill_files import Skill, SkillFile

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
META = "META"  # findings about the skill's form, not about its safety

SNIPPET = 200  # characters of a line that a piece of evidence may quote


@dataclass(frozen=True)
class Pattern:
    """One way in which a skill is unsafe."""

    id: str
    dimension: str
    title: str
    severity: Severity


PATTERNS: dict[str, Pattern] = {
    p.id: p
    for p in (
        Pattern("P1", "prompt injection", "instruction override", "high"),
        Pattern("P2", "prompt injection", "hidden instructions", "high"),
        Pattern("P3", "prompt injection", "exfiltration commands in prose", "critical"),
        Pattern("P4", "prompt injection", "behaviour manipulation", "medium"),
        Pattern("E1", "data exfiltration", "external data transmission", "medium"),
        Pattern("E2", "data exfiltration", "environment-variable harvesting", "high"),
        Pattern("E3", "data exfiltration", "file-system enumeration", "medium"),
        Pattern("E4", "data exfiltration", "context leakage", "high"),
        Pattern("PE1", "privilege escalation", "excessive permissions", "low"),
        Pattern("PE2", "privilege escalation", "sudo or root execution", "medium"),
        Pattern("PE3", "privilege escalation", "credential access", "critical"),
        Pattern("SC1", "supply chain", "unpinned dependencies", "low"),
        Pattern("SC2", "supply chain", "fetched scripts executed", "critical"),
        Pattern("SC3", "supply chain", "obfuscated code", "critical"),
    )
}
DIMENSIONS: tuple[str, ...] = tuple(dict.fromkeys(p.dimension for p in PATTERNS.values()))


@dataclass(frozen=True)
class Evidence:
    """Where a rule matched. Lines and columns count from 1; `end_col` is one past the last character.

    `weight` in (0, 1] says how much the place itself speaks for a flaw: text that forbids or quotes an attack
    weighs 0.2, a network call whose host the skill declares weighs less than one to an unknown host.
    """

    rule_id: str
    path: str
    start_line: int
    start_col: int
    end_line: int
    end_col: int
    snippet: str
    why: str
    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ValueError(f"Evidence.weight: got {self.weight}, wanted a number in (0, 1]")


@dataclass(frozen=True)
class Rule:
    """One named check. `check(file, skill)` is called for each file whose kind is in `kinds`."""

    id: str
    pattern: str
    severity: Severity
    title: str
    kinds: tuple[str, ...]
    check: Callable[[SkillFile, Skill], Iterable[Evidence]]


def evidence(
    rule_id: str, file: SkillFile, line: int, col: int, end_line: int, end_col: int, why: str, weight: float
) -> Evidence:
    """Evidence with the quoted line taken from `file`; a place outside the file is moved to its last line."""
    lines = file.lines
    line = min(max(line, 1), max(len(lines), 1))
    end_line = min(max(end_line, line), max(len(lines), 1))
    text = lines[line - 1] if lines else ""
    col = min(max(col, 1), len(text) + 1)
    if end_line == line:
        end_col = min(max(end_col, col), len(text) + 1)
    snippet = text.strip() if len(text.strip()) <= SNIPPET else text[col - 1 : col - 1 + SNIPPET].strip()
    return Evidence(rule_id, file.path, line, col, end_line, max(end_col, 1), snippet, why, weight)
