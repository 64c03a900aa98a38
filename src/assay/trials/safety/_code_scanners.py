"""What a user would run on a folder of skills today: bandit, semgrep, shellcheck and detect-secrets.

Each tool is run once over all skills at its most talkative setting; `tuned_levels` then picks, for each tool, the
severity from which a finding flags a skill (or that the tool is left out), by F1 on labelled skills.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from assay.methods.metrics import binary_report

LEVELS: dict[str, tuple[str, ...]] = {  # of each tool, mildest first
    "bandit": ("LOW", "MEDIUM", "HIGH"),
    "semgrep": ("INFO", "WARNING", "ERROR"),
    "shellcheck": ("style", "info", "warning", "error"),
    "detect-secrets": ("secret",),
}
SHELL_SUFFIXES = (".sh", ".bash")
Levels = dict[str, int]  # tool -> index of its mildest level that counts; one past the last: left out


@dataclass(frozen=True)
class ToolFinding:
    """One finding of one tool; `path` is relative to the skill's folder."""

    tool: str
    level: str
    path: str
    line: int

    def counts(self, levels: Levels) -> bool:
        """Whether the finding flags its skill."""
        return LEVELS[self.tool].index(self.level) >= levels[self.tool]


def tool_findings(skills: Mapping[str, Path], semgrep_rules: Path) -> dict[str, list[ToolFinding]]:
    """Findings of all four tools by skill. Raises RuntimeError for a tool that did not do its work."""
    places = {path.resolve(): name for name, path in skills.items()}
    findings: dict[str, list[ToolFinding]] = {name: [] for name in skills}
    roots = [str(path.resolve()) for path in skills.values()]
    for tool, level, path, line in (
        *_bandit(roots),
        *_semgrep(roots, semgrep_rules),
        *_shellcheck(roots),
        *_secrets(roots),
    ):
        folder = next((p for p in path.parents if p in places), None)
        if folder is not None:
            findings[places[folder]].append(ToolFinding(tool, level, path.relative_to(folder).as_posix(), line))
    return findings


def flagged(findings: Iterable[ToolFinding], levels: Levels) -> bool:
    """Whether any finding counts at these levels."""
    return any(f.counts(levels) for f in findings)


def tuned_levels(findings: Mapping[str, Sequence[ToolFinding]], vulnerable: Mapping[str, bool]) -> Levels:
    """The levels with the best F1 over the labelled skills; among equals the most talkative."""
    names = sorted(vulnerable)
    truth = [vulnerable[n] for n in names]

    def f1(levels: Levels) -> float:
        return binary_report(truth, [flagged(findings[n], levels) for n in names]).f1

    choices = [
        dict(zip(LEVELS, levels, strict=True)) for levels in product(*(range(len(ls) + 1) for ls in LEVELS.values()))
    ]
    return max(choices, key=f1)


Raw = tuple[str, str, Path, int]  # tool, level, file, line


def _bandit(roots: list[str]) -> list[Raw]:
    report = _run([sys.executable, "-m", "bandit", "-r", *roots, "-f", "json", "-q"], (0, 1))
    return [("bandit", r["issue_severity"], Path(r["filename"]).resolve(), r["line_number"]) for r in report["results"]
            if r["issue_severity"] in LEVELS["bandit"]]  # fmt: skip


def _semgrep(roots: list[str], rules: Path) -> list[Raw]:
    quiet = ["--metrics=off", "--disable-version-check", "--no-git-ignore", "--quiet", "--jobs", "1"]
    report = _run(["semgrep", "scan", "--config", str(rules), "--json", *quiet, *roots], (0, 1))
    return [
        ("semgrep", r["extra"]["severity"], Path(r["path"]).resolve(), r["start"]["line"]) for r in report["results"]
    ]


def _shellcheck(roots: list[str]) -> list[Raw]:
    scripts = [
        str(p) for root in roots for p in sorted(Path(root).rglob("*")) if p.is_file() and p.suffix in SHELL_SUFFIXES
    ]
    if not scripts:
        return []
    report = _run(["shellcheck", "--format", "json", "--severity", "style", *scripts], (0, 1, 2))
    return [("shellcheck", r["level"], Path(r["file"]).resolve(), r["line"]) for r in report]


def _secrets(roots: list[str]) -> list[Raw]:
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    found = []
    with default_settings():
        for root in roots:
            for path in sorted(p for p in Path(root).rglob("*") if p.is_file()):
                secrets = SecretsCollection()
                secrets.scan_file(str(path))
                found += [("detect-secrets", "secret", path.resolve(), s.line_number) for _, s in secrets]
    return found


def _run(command: list[str], fine: tuple[int, ...]) -> Any:
    """JSON that a tool prints. Exit codes in `fine` mean that it did its work, with or without findings."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)
