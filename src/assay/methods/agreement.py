"""Agreement of raters beyond chance: Cohen's, Fleiss's, Krippendorff's and Gwet's coefficients.

Each comes with what it cannot be read without: how many items, how often two ratings of an item are the same, and how
common each label is. With one label nearly everywhere kappa can be near 0 at 95 % agreement; AC1 is not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Label = Hashable
Ratings = Sequence[Sequence[Any]]  # items x raters; None where a rater gave none


@dataclass(frozen=True)
class Agreement:
    """A coefficient: 1 is full agreement, 0 what chance gives. NaN where chance alone gives full agreement.

    n           items that at least two raters rated
    observed    share of pairs of ratings of one item that are the same, items counting alike
    prevalence  share of each label among all ratings
    """

    value: float
    n: int
    observed: float
    prevalence: Mapping[Label, float]


def cohen_kappa(
    a: Sequence[Label], b: Sequence[Label], weights: Literal["linear", "quadratic"] | None = None
) -> Agreement:
    """Two raters over the same items. With `weights`, labels are ordered and a near miss costs less."""
    from sklearn.metrics import cohen_kappa_score

    if len(a) != len(b):
        raise ValueError(f"b: got {len(b)} labels, wanted {len(a)}, one for each of a")
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f"weights: got {weights!r}, wanted None, 'linear' or 'quadratic'")
    ratings = list(zip(a, b))
    constant = len({*a, *b}) == 1  # chance gives full agreement: undefined
    return _described(ratings, math.nan if constant else float(cohen_kappa_score(a, b, weights=weights)))


def fleiss_kappa(ratings: Ratings) -> Agreement:
    """Any number of raters, the same number for every item; they need not be the same people."""
    import numpy as np

    counts = _counts(ratings)[1]
    raters = counts.sum(axis=1)
    if (raters != raters[0]).any():
        raise ValueError(f"ratings: got {int(raters.min())} to {int(raters.max())} an item, wanted the same number")
    by_chance = float(np.sum((counts.sum(axis=0) / counts.sum()) ** 2))
    return _described(ratings, _beyond(float(_same(counts).mean()), by_chance))


def gwet_ac1(ratings: Ratings) -> Agreement:
    """Gwet's AC1: chance agreement from how hard the labels are to tell apart, so that a rare label does not
    bring it down. Items may have different numbers of ratings. NaN where only one label was ever given."""
    import numpy as np

    counts = _counts(ratings)[1]
    labels = counts.shape[1]
    share = (counts / counts.sum(axis=1, keepdims=True)).mean(axis=0)
    by_chance = float(np.sum(share * (1 - share))) / (labels - 1) if labels > 1 else 1.0
    several = counts[counts.sum(axis=1) > 1]
    return _described(ratings, _beyond(float(_same(several).mean()), by_chance))


def krippendorff_alpha(ratings: Ratings, level: Literal["nominal", "ordinal", "interval"] = "nominal") -> Agreement:
    """Krippendorff's alpha by coincidences: any number of raters, missing ratings allowed.

    `level` says what a disagreement costs: all the same, by ranks between the labels, or by their squared difference.
    """
    import numpy as np

    if level not in ("nominal", "ordinal", "interval"):
        raise ValueError(f"level: got {level!r}, wanted 'nominal', 'ordinal' or 'interval'")
    labels, counts = _counts(ratings)
    counts = counts[counts.sum(axis=1) > 1]
    pairs = np.einsum("ui,uj->uij", counts, counts)
    pairs -= counts[:, :, None] * np.eye(len(labels))
    together = (pairs / (counts.sum(axis=1) - 1)[:, None, None]).sum(axis=0)
    totals = together.sum(axis=0)
    cost = _cost(labels, totals, level)
    observed, expected = float(np.sum(together * cost)), float(totals @ cost @ totals) / (totals.sum() - 1)
    return _described(ratings, 1 - observed / expected if expected > 0 else math.nan)


def _cost(labels: list[Any], totals: NDArray[np.float64], level: str) -> NDArray[np.float64]:
    """Squared distance between each two labels."""
    import numpy as np

    if level == "nominal":
        return 1 - np.eye(len(labels))
    if level == "interval":
        at = np.asarray(labels, dtype=np.float64)
    else:
        at = np.cumsum(totals) - totals / 2  # ranks: half of one's own label, all of those between
    return (at[:, None] - at[None, :]) ** 2


def _counts(ratings: Ratings) -> tuple[list[Any], NDArray[np.float64]]:
    """The labels in order, and how often each item got each, for items with a rating: (items, labels)."""
    import numpy as np

    given = [Counter(label for label in item if label is not None) for item in ratings]
    given = [item for item in given if item]
    if not any(item.total() > 1 for item in given):
        raise ValueError("ratings: got no item with two ratings, wanted at least one")
    labels = {label for item in given for label in item}
    ordered = sorted(labels, key=None if _comparable(labels) else str)
    return ordered, np.array([[item[label] for label in ordered] for item in given], dtype=np.float64)


def _comparable(labels: set[Any]) -> bool:
    return all(isinstance(x, (int, float)) for x in labels) or all(isinstance(x, str) for x in labels)


def _same(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the pairs of an item's ratings that are the same, (items,)."""
    raters = counts.sum(axis=1)
    same: NDArray[np.float64] = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    return same


def _beyond(observed: float, by_chance: float) -> float:
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan


def _described(ratings: Ratings, value: float) -> Agreement:
    labels, counts = _counts(ratings)
    several = counts[counts.sum(axis=1) > 1]
    shares = counts.sum(axis=0) / counts.sum()
    prevalence = {label: float(share) for label, share in zip(labels, shares)}
    return Agreement(float(value), len(several), float(_same(several).mean()), prevalence)
