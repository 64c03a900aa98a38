"""Fitting the offline judge and the injection classifier on labelled skills."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocols import Embed
from ._skill_files import Skill, load_skill
from ._skill_judges import OfflineJudge, features
from ._skill_rules import META, PATTERNS, Evidence, find_evidence
from ._skill_scanners import (
    InjectionClassifier,
    InvisibleText,
    PromptInjection,
    PurposeMismatch,
    Secrets,
    SemanticScanner,
    embed_name,
    embedded,
    instruction_text,
    windows_of,
)

FOLDS = 5


@dataclass(frozen=True)
class Example:
    """One labelled skill as stages 1 and 2 left it: `features`, the patterns it carries, its family."""

    rows: NDArray[np.float64]
    patterns: frozenset[str]
    group: str

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Whether the skill carries each pattern, shape (14,)."""
        return np.array([p in self.patterns for p in PATTERNS])


def fit_judge(examples: Sequence[Example]) -> OfflineJudge:
    """Fit the regression on all examples, and the calibration on out-of-fold scores (folds of whole families).

    Raises ValueError unless both flawed and sound skills from at least two families are there.
    """
    from sklearn.isotonic import IsotonicRegression

    groups = sorted({e.group for e in examples})
    if len(groups) < 2 or len({bool(e.patterns) for e in examples}) < 2:
        raise ValueError(f"examples: got {len(examples)}, wanted flawed and sound skills from at least two families")
    scores, truths = [], []
    for fold in range(min(FOLDS, len(groups))):
        held = set(groups[fold::FOLDS])
        rest, judged = [e for e in examples if e.group not in held], [e for e in examples if e.group in held]
        if not any(e.patterns for e in rest):
            continue  # the fold holds all flawed skills: nothing to learn from what is left
        weights, bias = _regression(rest)
        for e in judged:
            scores.append(1.0 / (1.0 + np.exp(-(e.rows @ weights + bias))))
            truths.append(e.truth)
    isotonic = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    isotonic.fit(np.concatenate(scores), np.concatenate(truths))
    steps = tuple(zip(map(float, isotonic.X_thresholds_), map(float, isotonic.y_thresholds_), strict=True))
    weights, bias = _regression(examples)
    return OfflineJudge(tuple(map(float, weights)), bias, steps)


def _regression(examples: Sequence[Example]) -> tuple[NDArray[np.float64], float]:
    from sklearn.linear_model import LogisticRegression

    x, y = np.concatenate([e.rows for e in examples]), np.concatenate([e.truth for e in examples])
    fitted = LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000).fit(x, y)
    return fitted.coef_[0], float(fitted.intercept_[0])


def fit_classifier(embed: Embed, labelled: Iterable[tuple[Skill, Sequence[tuple[str, int]]]]) -> InjectionClassifier:
    """Fit the injection classifier: windows over a line that shows a P pattern against all others.

    `labelled` pairs each skill with the (path, line) of its injections. Raises ValueError if there are none.
    """
    from sklearn.linear_model import LogisticRegression

    texts: list[str] = []
    targets: list[bool] = []
    for skill, places in labelled:
        windows = windows_of(skill)
        for text, line, path in windows:
            texts.append(text)
            targets.append(any(p == path and line <= n <= line + text.count("\n") + 2 for p, n in places))
    if len(set(targets)) < 2:
        raise ValueError("labelled: no window over an injection in the prose of these skills")
    fitted = LogisticRegression(C=10.0, class_weight="balanced", max_iter=2000).fit(
        embedded(embed, tuple(texts)), targets
    )
    return InjectionClassifier(
        tuple(float(round(w, 6)) for w in fitted.coef_[0]), float(round(fitted.intercept_[0], 6))
    )


def _flaws(skill: Skill) -> list[Evidence]:
    return [e for e in find_evidence(skill) if not e.rule_id.startswith(f"SS-{META}-")]


def read_corpus(folder: Path) -> list[dict[str, Any]]:
    """Labels of a corpus folder (`labels.jsonl`, paths `family/skill`), those of the train families if it has a
    `split.json`.

    Raises FileNotFoundError without `labels.jsonl`, ValueError for a row that lacks a field.
    """
    path = folder / "labels.jsonl"
    if not path.exists():
        raise FileNotFoundError(f"no labels.jsonl in {folder}")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for number, row in enumerate(rows, 1):
        missing = {"id", "family", "patterns", "evidence"} - set(row)
        if missing:
            raise ValueError(f"{path}:{number} lacks {', '.join(sorted(missing))}")
    split = folder / "split.json"
    train = (
        set(json.loads(split.read_text(encoding="utf-8"))["train"]) if split.exists() else {r["family"] for r in rows}
    )
    return [r for r in rows if r["family"] in train]


Labelled = tuple[Skill, Mapping[str, Any]]  # a skill and its row of labels


def cross_fitted(
    loaded: Sequence[Labelled], embed: Embed, evidence: Mapping[str, Sequence[Evidence]] | None = None
) -> list[Example]:
    """Examples whose injection scores come from classifiers that have not seen the skill's family, as in use.

    `evidence` by the id of a row spares finding it again.
    """
    families = sorted({row["family"] for _, row in loaded})
    examples: list[Example] = []
    for fold in range(min(FOLDS, len(families))):
        held = set(families[fold::FOLDS])
        rest = [(skill, injections(row)) for skill, row in loaded if row["family"] not in held]
        scanners = scanners_with(embed, fit_classifier(embed, rest))
        for skill, row in loaded:
            if row["family"] in held:
                found = _flaws(skill) if evidence is None else evidence[row["id"]]
                hits = [hit for scanner in scanners for hit in scanner.scan(instruction_text(skill), skill)]
                examples.append(Example(features(skill, found, hits), frozenset(row["patterns"]), row["family"]))
    return examples


def scanners_with(embed: Embed, classifier: InjectionClassifier) -> list[SemanticScanner]:
    """The built-in scanners around a classifier."""
    return [InvisibleText(), Secrets(), PromptInjection(embed, classifier), PurposeMismatch(embed)]


def retrain(folder: Path, embeds: Sequence[Embed]) -> dict[str, Any]:
    """Fit a classifier for each of `embeds` and the judge (on the first of them) from a labelled corpus folder."""
    rows = read_corpus(folder)
    loaded: list[Labelled] = [(load_skill(_folder_of(folder, row)), row) for row in rows]
    injection = {}
    for embed in embeds:
        fitted = fit_classifier(embed, [(skill, injections(row)) for skill, row in loaded])
        injection[embed_name(embed)] = {"weights": list(fitted.weights), "bias": fitted.bias}
    families = {row["family"] for row in rows}
    return {
        "judge": fit_judge(cross_fitted(loaded, embeds[0])).to_dict(),
        "injection": injection,
        "trained_on": {"skills": len(rows), "families": len(families)},
    }


def injections(row: Mapping[str, Any]) -> list[tuple[str, int]]:
    """(path, line) of the evidence of a label that shows a pattern of prompt injection."""
    return [
        (e["path"], e["line"])
        for e in row["evidence"]
        if str(e.get("pattern", "P")).startswith("P") and not str(e.get("pattern", "P")).startswith("PE")
    ]


def _folder_of(folder: Path, row: Mapping[str, Any]) -> Path:
    direct = folder / row["id"]
    return direct if direct.is_dir() else folder / row["family"] / row["id"]
