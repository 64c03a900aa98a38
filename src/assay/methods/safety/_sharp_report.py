"""Judges' scores of several models, brought into one shape, and all that SHARP says of them as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assay.methods.safety._sharp_compare import LARGE, compare, judge_agreement, ranks_without
from assay.methods.safety._sharp_rubric import DIMENSIONS, MOST_SEVERE, RUBRIC
from assay.methods.safety.sharp import (
    Aggregate,
    Floats,
    RiskProfile,
    check_tail,
    harm,
    inequity,
    tail_dependence,
    tails_by_group,
)

Score = tuple[str, str, str, str, str, float]  # model, prompt, judge, dimension, sub-question, severity


@dataclass(frozen=True)
class Ratings:
    """`scores[model][dimension]` is (judges, prompts, sub-questions), NaN where a score is missing."""

    prompts: tuple[str, ...]
    judges: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Floats]]

    @property
    def missing(self) -> int:
        """Scores that are not there."""
        return sum(int(np.isnan(x).sum()) for own in self.scores.values() for x in own.values())

    @property
    def complete(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(prompts,) whether every judge answered every question about every model's reply."""
        gaps = [np.isnan(x).any(axis=(0, 2)) for own in self.scores.values() for x in own.values()]
        return ~np.any(gaps, axis=0)


@dataclass(frozen=True)
class SharpReport:
    """`content` is JSON; the profiles and risks behind it are over `prompts`, in their order."""

    content: dict[str, Any]
    profiles: Mapping[str, RiskProfile]
    prompts: tuple[str, ...]


def ratings(rows: Iterable[Score]) -> Ratings:
    """Scores in any order as arrays; sub-questions of a dimension are those that occur, in the rubric's order.

    Raises ValueError for a severity outside 0 to 10, a dimension that SHARP has not, one that is missing, a score
    given twice, and models that were rated on different prompts.
    """
    table: dict[Score | tuple[str, ...], float] = {}
    for *key, value in rows:
        _check_row(key, value)
        if tuple(key) in table:
            raise ValueError(f"scores: got two for {' / '.join(key)}, wanted one")
        table[tuple(key)] = float(value)
    models, prompts, judges = (tuple(dict.fromkeys(str(key[i]) for key in table)) for i in range(3))
    _check_prompts(models, [(str(key[0]), str(key[1])) for key in table])
    asked = {d: _in_order(d, {str(key[4]) for key in table if key[3] == d}) for d in DIMENSIONS}
    if absent := [d for d, names in asked.items() if not names]:
        raise ValueError(f"scores: got none of {', '.join(absent)}, wanted all of {', '.join(DIMENSIONS)}")
    scores = {m: {d: np.full((len(judges), len(prompts), len(asked[d])), np.nan) for d in DIMENSIONS} for m in models}
    places = [{name: i for i, name in enumerate(names)} for names in (prompts, judges)]
    columns = {(d, name): i for d, names in asked.items() for i, name in enumerate(names)}
    for (model, prompt, judge, dimension, question), value in table.items():
        at = places[1][str(judge)], places[0][str(prompt)], columns[str(dimension), str(question)]
        scores[str(model)][str(dimension)][at] = value
    return Ratings(prompts, judges, scores)


def report(
    given: Ratings,
    attributes: Sequence[str] | None = None,
    alpha: float = 0.95,
    judge_aggregate: Aggregate = "lse",
    *,
    allow_missing: bool = False,
) -> SharpReport:
    """What SHARP says of the models.

    Prompts with a missing score are left out for all models, or kept with `allow_missing` where some judge gave each
    dimension one. `attributes` names a group for each of `given.prompts`.
    """
    harms = {m: harm(own, judge_aggregate, allow_missing=allow_missing) for m, own in given.scores.items()}
    known = ~np.any([np.isnan(h).any(axis=1) for h in harms.values()], axis=0)
    check_tail(int(known.sum()), alpha)
    profiles = {model: RiskProfile(h[known]) for model, h in harms.items()}
    groups = None if attributes is None else [name for name, keep in zip(attributes, known, strict=True) if keep]
    content = {
        "schema": "assay.sharp/1",
        "alpha": alpha,
        "judge_aggregate": judge_aggregate,
        "judges": list(given.judges),
        "prompts": int(known.sum()),
        "prompts_left_out": int((~known).sum()),
        "scores_missing": given.missing,
        "models": {model: _of_model(profile, alpha, groups) for model, profile in profiles.items()},
        "comparisons": [
            {**asdict(row), "flip": row.flip}
            for row in compare({model: profile.risk for model, profile in profiles.items()}, alpha)
        ],
        "agreement": _agreement(given),
        "order_without_judge": _without(given, alpha, judge_aggregate),
    }
    prompts = tuple(name for name, keep in zip(given.prompts, known) if keep)
    return SharpReport(content, profiles, prompts)


def _of_model(profile: RiskProfile, alpha: float, groups: Sequence[str] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mean": profile.mean,
        "std": profile.std,
        "var": profile.var(alpha),
        "cvar": profile.cvar(alpha),
        "excess": profile.excess(alpha),
        "intervals": profile.intervals(alpha) if len(profile.risk) < LARGE else None,
        "shortfall_by_dimension": profile.shortfall_by_dimension(alpha),
        "cvar_of_dimension": profile.marginal_cvar(alpha),
        "upper_tail_dependence": _square(tail_dependence(profile.harm, alpha)),
        "lower_tail_dependence": _square(tail_dependence(profile.harm, alpha, "lower")),
        "capped": profile.capped,
    }
    if groups is not None:
        tails = tails_by_group(profile.risk, groups, alpha)
        found["cvar_of_group"] = {name: _or_none(value) for name, value in tails.items()}
        found["group_ratio"] = _or_none(inequity(tails))
    return found


def _agreement(given: Ratings) -> dict[str, Any]:
    if len(given.judges) < 2:
        return {}
    found = {}
    for dimension in DIMENSIONS:
        every = np.concatenate([own[dimension] for own in given.scores.values()], axis=1)
        agreed = judge_agreement(every, given.judges)
        kappa = {f"{a} / {b}": _or_none(value) for (a, b), value in agreed.kappa.items()}
        found[dimension] = {"alpha": _or_none(agreed.alpha), "kappa": kappa}
    return found


def _without(given: Ratings, alpha: float, judge_aggregate: Aggregate) -> dict[str, list[str]]:
    keep = given.complete
    if len(given.judges) < 2 or keep.sum() * (1 - alpha) < 1 - 1e-9:
        return {}
    whole = {model: {d: x[:, keep] for d, x in own.items()} for model, own in given.scores.items()}
    return ranks_without(whole, given.judges, alpha, judge_aggregate)


def _check_row(key: Sequence[str], value: float) -> None:
    if not 0 <= value <= MOST_SEVERE:
        raise ValueError(f"score of {' / '.join(key)}: got {value:g}, wanted a severity from 0 to {MOST_SEVERE}")
    if key[3] not in RUBRIC:
        raise ValueError(f"dimension: got {key[3]!r}, wanted one of {', '.join(DIMENSIONS)}")


def _check_prompts(models: Sequence[str], rated: Sequence[tuple[str, str]]) -> None:
    own: dict[str, set[str]] = {model: set() for model in models}
    for model, prompt in rated:
        own[model].add(prompt)
    first = models[0] if models else ""
    for model in models[1:]:
        if odd := sorted(own[first] ^ own[model]):
            shown = ", ".join(odd[:5]) + (" …" if len(odd) > 5 else "")
            raise ValueError(f"{model} and {first} were not rated on the same prompts; {len(odd)} differ: {shown}")


def _in_order(dimension: str, names: set[str]) -> list[str]:
    return sorted(
        names, key=lambda name: (list(RUBRIC[dimension]).index(name) if name in RUBRIC[dimension] else 99, name)
    )


def _square(values: Floats) -> dict[str, dict[str, float | None]]:
    return {a: {b: _or_none(x) for b, x in zip(DIMENSIONS, row)} for a, row in zip(DIMENSIONS, values.tolist())}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
