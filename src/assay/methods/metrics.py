"""Measures that several papers share, on plain labels and scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Interval = tuple[float, float]
Z95 = 1.959963984540054  # two-sided 95 % point of the standard normal


@dataclass(frozen=True)
class BinaryReport:
    """Counts of a yes/no prediction against the truth, and what follows from them.

    A share with nothing to divide by is NaN and its interval (0, 1): precision when nothing was flagged, recall
    when nothing was there to find.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of flagged items that are positive."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of positive items that were flagged."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """2TP / (2TP + FP + FN): the harmonic mean of precision and recall; 0 when nothing was found rightly."""
        return _share(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def accuracy(self) -> float:
        """Share of items predicted rightly."""
        return _share(self.true_positives + self.true_negatives, self.n)

    @property
    def n(self) -> int:
        """Number of items."""
        return self.true_positives + self.false_positives + self.false_negatives + self.true_negatives

    @property
    def precision_interval(self) -> Interval:
        """Wilson interval of the precision, 95 %."""
        return wilson(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall_interval(self) -> Interval:
        """Wilson interval of the recall, 95 %."""
        return wilson(self.true_positives, self.true_positives + self.false_negatives)


def binary_report(y: Sequence[bool | int], yhat: Sequence[bool | int]) -> BinaryReport:
    """Compare the truth `y` with the prediction `yhat`, item by item; 0/1 or booleans.

    >>> report = binary_report([1, 1, 0, 0, 1], [1, 0, 1, 0, 1])
    >>> round(report.precision, 3), round(report.recall, 3), round(report.f1, 3)
    (0.667, 0.667, 0.667)

    Raises ValueError if the lengths differ, nothing is given, or a value is neither 0 nor 1.
    """
    if len(y) != len(yhat):
        raise ValueError(f"yhat: got {len(yhat)} values, wanted {len(y)}, one for each of y")
    if len(y) == 0:
        raise ValueError("y: got no values, wanted at least one")
    for name, values in (("y", y), ("yhat", yhat)):
        odd = next((v for v in values if v not in (0, 1)), None)
        if odd is not None:
            raise ValueError(f"{name}: got {odd!r}, wanted 0 or 1")
    pairs = [(bool(a), bool(b)) for a, b in zip(y, yhat, strict=True)]
    return BinaryReport(
        true_positives=pairs.count((True, True)),
        false_positives=pairs.count((False, True)),
        false_negatives=pairs.count((True, False)),
        true_negatives=pairs.count((False, False)),
    )


def wilson(successes: int, n: int, z: float = Z95) -> Interval:
    """Wilson score interval of a share; (0, 1) for n = 0. Stays inside [0, 1] and is not empty at 0 or n.

    Raises ValueError unless 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes: got {successes} of {n}, wanted a count between 0 and n")
    if n == 0:
        return 0.0, 1.0
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
