"""The skill-scan trial: its parts on skills that are not the corpus, and a quick run to a verdict."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from assay.engine.trial import Bar
from assay.trials.safety._code_scanners import LEVELS, ToolFinding, flagged, tool_findings, tuned_levels
from assay.trials.safety.skill_scan import measured, trial
from assay.worlds.skillcorpus import RULES, SkillCorpus

SKILLS = Path(__file__).parents[3] / "examples" / "skills"
tools = pytest.mark.skipif(
    not (shutil.which("semgrep") and shutil.which("shellcheck")), reason="needs semgrep, shellcheck"
)


def finding(tool: str, level: str) -> ToolFinding:
    return ToolFinding(tool, level, "a.py", 1)


def test_the_bar_is_the_specified_one() -> None:
    assert trial.bar == Bar(versus="baseline", absolute=0.20)
    assert (trial.pairs, trial.seeds, trial.needs) == ("case", SkillCorpus.cases, ("shellcheck", "semgrep"))


def test_levels_are_tuned_to_what_separates_flawed_from_sound() -> None:
    findings = {
        "a": [finding("bandit", "HIGH")],
        "b": [finding("bandit", "HIGH"), finding("semgrep", "INFO")],
        "c": [finding("bandit", "LOW"), finding("detect-secrets", "secret")],
        "d": [finding("shellcheck", "style")],
    }
    levels = tuned_levels(findings, {"a": True, "b": True, "c": False, "d": False})
    assert {name: flagged(found, levels) for name, found in findings.items()} == {
        "a": True,
        "b": True,
        "c": False,
        "d": False,
    }
    assert levels["detect-secrets"] == len(LEVELS["detect-secrets"])


def test_verdicts_become_f1_and_the_figures_beside_it() -> None:
    split = SkillCorpus().sample(0)
    right = measured(split, {s.id: s.vulnerable for s in split.test})
    assert (right.value, right.extra["precision"], right.extra["recall"]) == (1.0, 1.0, 1.0)
    none = measured(split, {s.id: False for s in split.test})
    assert none.value == 0.0
    assert none.extra["twin_pairs_right"] == 0
    assert none.extra["twin_pairs"] == right.extra["twin_pairs_right"] > 0
    # Wilson's interval of n right out of n is [n / (n + z^2), 1]
    n = right.extra["true_positives"]
    assert right.extra["recall_low"] == pytest.approx(n / (n + 1.959964**2), abs=1e-6)
    assert right.extra["recall_high"] == 1.0


@tools
@pytest.mark.slow
def test_the_tools_report_into_the_skill_they_looked_at() -> None:
    found = tool_findings({p.name: p for p in SKILLS.iterdir() if p.is_dir()}, RULES)
    assert {f.tool for f in found["theme-switcher"]} >= {"semgrep"}
    assert not any(f.level == "ERROR" for f in found["tidy-csv"])


@tools
@pytest.mark.slow
def test_a_quick_run_gives_every_arm_a_value() -> None:
    from assay.engine.runner import run

    result = run(trial, seeds=trial.quick_seeds, quick=True, isolation="inline")
    assert not result.failed
    assert "method" in result.table()
