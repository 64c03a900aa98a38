"""How far confidence can be taken at its word, by kind of tool, and one temperature to mend it afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.methods.metrics import Calibration, Interval, bootstrap_ci, calibration_report

Floats = NDArray[np.float64]

LEAST_CHANCE = 1e-3  # what a log score and a logit take for 0
ENOUGH = 20  # rows below which no AUROC is given
MANY = 2000  # rows from which intervals are percentiles: BCa's correction is gone there and costs a pass a row
RESAMPLES = 999


@dataclass(frozen=True)
class ToolCalibration:
    """How far the confidence in answers can be taken at its word, after tools of one kind.

    intervals   95 % bootstrap intervals of "ece", "brier", "auroc" and "confidence_when_wrong" (the paper's MCIP),
                without those that are not defined on every resample
    auroc_note  why there is no AUROC; "" where there is
    """

    calibration: Calibration
    intervals: Mapping[str, Interval]
    auroc_note: str = ""


def by_tool(
    confidence: ArrayLike,
    correct: ArrayLike,
    tool: Sequence[str],
    *,
    bins: int = 10,
    kind: Literal["width", "mass"] = "width",
) -> dict[str, ToolCalibration]:
    """Calibration of answers after each kind of tool, kinds in alphabetical order.

    `tool` names each row's kind, as `tool_kind` gives it or any name of one's own. Raises ValueError for a row whose
    confidence is no share in [0, 1], naming it.
    """
    right, said = checked(correct, confidence)
    if len(tool) != len(said):
        raise ValueError(f"tool: got {len(tool)} rows, wanted {len(said)}, one a confidence")
    if len(said) and np.isnan(said).any():
        raise ValueError(f"confidence: row {int(np.isnan(said).argmax()) + 1} has none, wanted a share in [0, 1]")
    names = np.asarray(tool)
    return {str(name): _described(said[names == name], right[names == name], bins, kind) for name in np.unique(names)}


def _described(said: Floats, right: Floats, bins: int, kind: Literal["width", "mass"]) -> ToolCalibration:
    whole = calibration_report(said, right, bins, kind)
    note = ""
    if len(said) < ENOUGH:
        note = f"only {len(said)} rows, at least {ENOUGH} wanted"
    elif not 0 < whole.accuracy < 1:
        note = "all answers are " + ("right" if whole.accuracy else "wrong")
    rows = np.stack([said, right], axis=1)
    measures = {"ece": _ece(bins, kind), "brier": _brier, "confidence_when_wrong": _when_wrong}
    if not note:
        measures["auroc"] = _auroc
    intervals = {}
    for name, measure in measures.items():
        try:
            method: Literal["bca", "percentile"] = "bca" if len(rows) < MANY else "percentile"
            intervals[name] = bootstrap_ci(rows, measure, method, resamples=RESAMPLES)
        except ValueError:  # fewer than two rows, or a resample without a wrong answer
            continue
    return ToolCalibration(whole, intervals, note)


def _ece(bins: int, kind: Literal["width", "mass"]) -> Callable[[Floats], float]:
    def ece(rows: Floats) -> float:
        said, right = rows.T
        edges = np.linspace(0, 1, bins + 1) if kind == "width" else np.quantile(said, np.linspace(0, 1, bins + 1))
        place = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, bins - 1)
        return float(np.abs(np.bincount(place, said - right, bins)).sum() / len(rows))

    return ece


def _brier(rows: Floats) -> float:
    return float(np.mean((rows[:, 0] - rows[:, 1]) ** 2))


def _when_wrong(rows: Floats) -> float:
    wrong = rows[rows[:, 1] == 0, 0]
    return float(wrong.mean()) if len(wrong) else math.nan


def _auroc(rows: Floats) -> float:
    """The rank sum of the right answers, ties at their mean rank."""
    from scipy.stats import rankdata

    right = rows[:, 1] == 1
    n, m = int(right.sum()), int((~right).sum())
    if not n or not m:
        return math.nan
    return float((rankdata(rows[:, 0])[right].sum() - n * (n + 1) / 2) / (n * m))


def fit_temperature(confidence: ArrayLike, correct: ArrayLike) -> float:
    """The temperature that makes `with_temperature` likeliest on held-out answers (Guo et al., 1706.04599)."""
    from scipy.optimize import minimize_scalar

    right, said = checked(correct, confidence)
    if len(said) == 0 or np.isnan(said).any():
        raise ValueError("confidence: got no rows, or one without a value, wanted a share in [0, 1] for each")
    signed = _logit(said) * (2 * right - 1)
    sharpness = minimize_scalar(lambda s: np.logaddexp(0, -s * signed).mean(), bounds=(1e-3, 1e3), method="bounded")
    return float(1 / sharpness.x)


def with_temperature(confidence: ArrayLike, temperature: float) -> Floats:
    """Confidence whose log-odds are divided by `temperature`: above 1 it is drawn towards a half."""
    if not temperature > 0:
        raise ValueError(f"temperature: got {temperature}, wanted > 0")
    return 1 / (1 + np.exp(-_logit(np.asarray(confidence, dtype=np.float64)) / temperature))


def _logit(chance: Floats) -> Floats:
    inside = np.clip(chance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    return np.log(inside / (1 - inside))


def checked(correct: ArrayLike, confidence: ArrayLike) -> tuple[Floats, Floats]:
    """The two as arrays (B,). Raises ValueError naming the row that is neither right nor wrong, or no share."""
    right, said = np.asarray(correct, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    if right.ndim != 1 or right.shape != said.shape:
        raise ValueError(f"correct, confidence: got shapes {right.shape}, {said.shape}, wanted one (B,) each")
    if not np.isin(right, (0, 1)).all():
        raise ValueError(f"correct: row {int((~np.isin(right, (0, 1))).argmax()) + 1} is neither 0 nor 1")
    odd = (said < 0) | (said > 1)
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(f"confidence: row {row + 1} has {said[row]:g}, wanted a share in [0, 1]")
    return right, said
