"""SkillScan on labelled skills: does reading prose and code together find flawed skills that code scanners miss?

A seed is one of eight family splits: two families of the test half are judged, the judge and the injection
classifier are fitted on all other families, the rules are fixed. The rules were written with the train half in
view only.

baseline     bandit, semgrep, shellcheck and detect-secrets together, severities tuned on the fitted families
placebo      SkillScan without its idea: static rules on code files alone, the same judge fitted on them
method       SkillScan: rules on prose and code, semantic scanners, judge

A part of eight skills says little by itself: `python benchmarks/skill_scan.py` prints precision and recall over all
parts, with intervals, beside each scanner alone, and which skills and lines they flag in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assay.engine.trial import Bar, Fixture, Measures, Metric, Models, Trial
from assay.methods.metrics import BinaryReport
from assay.methods.safety._skill_files import Skill, load_skill
from assay.methods.safety._skill_judges import CODE_KINDS, features
from assay.methods.safety._skill_rules import Evidence, find_evidence
from assay.methods.safety._skill_scanners import HashedWords, instruction_text
from assay.methods.safety._skill_training import (
    Example,
    cross_fitted,
    fit_classifier,
    fit_judge,
    injections,
    scanners_with,
)
from assay.trials.safety._code_scanners import ToolFinding, flagged, tool_findings, tuned_levels
from assay.worlds.skillcorpus import RULES, LabelledSkill, SkillCorpus, Split

THRESHOLD = 0.5


@dataclass(frozen=True)
class Scanned:
    """What no split changes, by skill: findings of the four tools, and evidence of the static rules."""

    tools: Mapping[str, list[ToolFinding]]
    evidence: Mapping[str, list[Evidence]]


def scan_corpus(split: Split, models: Models, seed: int) -> Scanned:
    """All tools and all rules over all skills, once for all splits."""
    skills = [*split.train, *split.test]
    return Scanned(
        tool_findings({s.id: s.path for s in skills}, RULES),
        {s.id: [e for e in find_evidence(load_skill(s.path)) if "META" not in e.rule_id] for s in skills},
    )


def code_scanners(split: Split, models: Models, seed: int, scanned: Scanned) -> Measures:
    """Baseline."""
    levels = tuned_levels(scanned.tools, {s.id: s.vulnerable for s in split.train})
    verdicts = {s.id: flagged(scanned.tools[s.id], levels) for s in split.test}
    return measured(split, verdicts, notes={"levels": ", ".join(f"{t} {i}" for t, i in levels.items())})


def code_alone(split: Split, models: Models, seed: int, scanned: Scanned) -> Measures:
    """Placebo: nothing that stands in prose is seen, neither by a rule nor by a scanner."""

    def example(label: LabelledSkill) -> Example:
        skill = load_skill(label.path)
        kinds = {f.path: f.kind for f in skill.files}
        seen = [e for e in scanned.evidence[label.id] if kinds[e.path] in CODE_KINDS]
        return Example(features(skill, seen, []), frozenset(label.patterns), label.family)

    judge = fit_judge([example(s) for s in split.train])
    verdicts = {s.id: max(judge.probabilities(example(s).rows).values()) >= THRESHOLD for s in split.test}
    return measured(split, verdicts)


def skill_scan(split: Split, models: Models, seed: int, scanned: Scanned) -> Measures:
    """Method."""
    embed = HashedWords()
    train = [(load_skill(s.path), label_row(s)) for s in split.train]
    judge = fit_judge(cross_fitted(train, embed, scanned.evidence))
    scanners = scanners_with(embed, fit_classifier(embed, [(skill, injections(row)) for skill, row in train]))

    def vulnerable(skill: Skill, evidence: list[Evidence]) -> bool:
        hits = [hit for scanner in scanners for hit in scanner.scan(instruction_text(skill), skill)]
        return max(judge.probabilities(features(skill, evidence, hits)).values()) >= THRESHOLD

    verdicts = {s.id: vulnerable(load_skill(s.path), scanned.evidence[s.id]) for s in split.test}
    return measured(split, verdicts, overlap(split, scanned))


def measured(
    split: Split,
    verdicts: dict[str, bool],
    extra: Mapping[str, float] | None = None,
    notes: Mapping[str, str] | None = None,
) -> Measures:
    """F1 of the verdicts, with what else the specification reports."""
    score = SkillCorpus().check(split, verdicts)
    right, pairs = score.twins
    shares = BinaryReport(score.true_positives, score.false_positives, score.false_negatives, score.true_negatives)
    counts = {
        **dict(zip(("precision_low", "precision_high"), shares.precision_interval, strict=True)),
        **dict(zip(("recall_low", "recall_high"), shares.recall_interval, strict=True)),
        "precision": score.precision,
        "recall": score.recall,
        "true_positives": score.true_positives,
        "false_positives": score.false_positives,
        "false_negatives": score.false_negatives,
        "true_negatives": score.true_negatives,
        "twin_pairs": pairs,
        "twin_pairs_right": right,
    }
    for pattern, (found, carriers) in score.found.items():
        counts |= {f"found_{pattern}": found, f"carry_{pattern}": carriers}
    wrong = sorted(s.id for s in split.test if verdicts[s.id] != s.vulnerable)
    return Measures(
        score.f1,
        extra={k: float(v) for k, v in {**counts, **(extra or {})}.items()},
        notes={"wrong": ", ".join(wrong), **(notes or {})},
    )


def overlap(split: Split, scanned: Scanned) -> dict[str, float]:
    """Marked lines of the test skills: ours alone, bandit's or semgrep's alone, both."""
    ours = {(s.id, e.path, e.start_line) for s in split.test for e in scanned.evidence[s.id] if e.weight >= 0.5}
    theirs = {
        (s.id, f.path, f.line) for s in split.test for f in scanned.tools[s.id] if f.tool in ("bandit", "semgrep")
    }
    return {
        "lines_only_ours": len(ours - theirs),
        "lines_only_theirs": len(theirs - ours),
        "lines_both": len(ours & theirs),
    }


def label_row(label: LabelledSkill) -> dict[str, Any]:
    """A label in the form of a row of labels.jsonl, as the trainer reads it."""
    evidence = [{"path": e.path, "line": e.line, "pattern": e.pattern} for e in label.evidence]
    return {"id": label.id, "family": label.family, "patterns": list(label.patterns), "evidence": evidence}


trial = Trial(
    paper="2601.10338",
    claim="Static rules with semantic judgement over prose and code find flawed agent skills that code scanners miss.",
    headline="precision 86.7 % and recall 82.5 % on 200 labelled skills",
    metric=Metric("F1 on unseen families", better="higher", range=(0.0, 1.0)),
    bar=Bar(versus="baseline", absolute=0.20),
    arms={"baseline": code_scanners, "placebo": code_alone, "method": skill_scan},
    world="skillcorpus",
    pairs="case",
    seeds=8,
    quick_seeds=2,
    fixture=Fixture(scan_corpus, distinct=1, timeout_s=600),
    needs=("shellcheck", "semgrep"),
    extras=("safety",),
    note="Corpus and rules come from one house; the 64 skills that are judged are few.",
)
