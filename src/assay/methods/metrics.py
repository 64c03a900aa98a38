"""Measures that several papers share, on plain labels and scores.

Repeated samples (`pass_at_k` ...), votes, calibration, yes/no predictions, intervals and tails, agreement of raters.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Answer = TypeVar("Answer", bound=Hashable)
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


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples is right, from n drawn of which c were: 1 - C(n - c, k) / C(n, k).

    Unbiased (2107.03374, section 2.1), unlike 1 - (1 - c/n)^k. Raises ValueError unless 0 <= c <= n and 1 <= k <= n.

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    _check_samples(n, c, k)
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def pass_hat_k(n: int, c: int, k: int) -> float:
    """Chance that all of k samples are right, from n drawn of which c were: C(c, k) / C(n, k) (2406.12045)."""
    _check_samples(n, c, k)
    return math.comb(c, k) / math.comb(n, k)


def avg_at_k(scores: Sequence[Sequence[float]], k: int) -> float:
    """Mean score of the first k samples of each problem, then of the problems. Each needs at least k samples."""
    if not scores:
        raise ValueError("scores: got no problems, wanted at least one")
    shortest = min(map(len, scores))
    if not 1 <= k <= shortest:
        raise ValueError(f"k: got {k}, wanted 1 to {shortest}, the fewest samples of a problem")
    return sum(sum(row[:k]) / k for row in scores) / len(scores)


def auc_at_k(pass_curve: Sequence[float]) -> float:
    """Area under pass@1 ... pass@K by trapezoids, divided by K - 1: the curve's mean height, in [0, 1]."""
    if len(pass_curve) < 2:
        raise ValueError(f"pass_curve: got {len(pass_curve)} values, wanted pass@1 ... pass@K with K >= 2")
    return (sum(pass_curve) - (pass_curve[0] + pass_curve[-1]) / 2) / (len(pass_curve) - 1)


def _check_samples(n: int, c: int, k: int) -> None:
    if not 0 <= c <= n:
        raise ValueError(f"c: got {c} right of n = {n}, wanted a count between 0 and n")
    if not 1 <= k <= n:
        raise ValueError(f"k: got {k}, wanted 1 to n = {n}")


@dataclass(frozen=True)
class Vote(Generic[Answer]):
    """A plurality's answer (None where nobody answered), each answer's weight, the winner's share, and whether another
    had as much."""

    answer: Answer | None
    counts: Mapping[Answer, float]
    share: float
    tie: bool


def vote(
    answers: Sequence[Answer | None],
    weights: Sequence[float] | None = None,
    ties: Literal["first", "random", "lexical"] = "first",
    generator: np.random.Generator | None = None,
) -> Vote[Answer]:
    """Plurality of `answers`; None abstains. A tie goes to the answer given first, to the first in the order of their
    text ("lexical"), or to one drawn by `generator` ("random").

    >>> vote(["4", "5", None, "5"]).answer
    '5'
    """
    if ties not in ("first", "random", "lexical"):
        raise ValueError(f"ties: got {ties!r}, wanted 'first', 'random' or 'lexical'")
    if ties == "random" and generator is None:
        raise ValueError("generator: got None, wanted a numpy.random.Generator for ties='random'")
    if weights is None:
        weights = [1.0] * len(answers)
    if len(weights) != len(answers):
        raise ValueError(f"weights: got {len(weights)}, wanted {len(answers)}, one an answer")
    odd = next((w for w in weights if not (w >= 0 and math.isfinite(w))), None)
    if odd is not None:
        raise ValueError(f"weights: got {odd}, wanted finite numbers >= 0")

    counts: dict[Answer, float] = {}
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            counts[answer] = counts.get(answer, 0.0) + weight
    if not counts:
        return Vote(None, {}, math.nan, False)
    most = max(counts.values())
    first = [answer for answer, count in counts.items() if count == most]
    if ties == "lexical":
        first.sort(key=str)
    place = int(generator.integers(len(first))) if ties == "random" and generator is not None else 0
    return Vote(first[place], counts, _share(most, sum(counts.values())), len(first) > 1)


@dataclass(frozen=True)
class CalibrationBin:
    """Predictions of similar confidence: their range, number, mean confidence and share right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far confidence can be taken at its word.

    ece, mce     mean (by number) and largest |confidence - accuracy| of a bin
    brier        mean (confidence - right)^2
    reliability, resolution, uncertainty   Murphy's parts over the bins: brier = reliability - resolution +
                 uncertainty exactly where all confidences of a bin are the same
    auroc        chance that a right answer has more confidence than a wrong one; NaN where all are right, or wrong
    confidence_when_wrong   mean confidence of the wrong ones; NaN without any
    bins         those that hold something, by rising confidence: the reliability diagram
    """

    n: int
    accuracy: float
    confidence: float
    ece: float
    mce: float
    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    auroc: float
    confidence_when_wrong: float
    bins: tuple[CalibrationBin, ...]


def calibration_report(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 10, kind: Literal["width", "mass"] = "width"
) -> Calibration:
    """Compare confidence (n,) in [0, 1] with whether the answer was right (n,), in `bins` bins of equal width, or of
    (nearly) equal number ("mass"). A confidence on an inner edge counts to the bin above it."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    said, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if said.ndim != 1 or said.shape != right.shape or len(said) == 0:
        raise ValueError(f"confidence, correct: got shapes {said.shape}, {right.shape}, wanted one (n,), n >= 1")
    if not ((said >= 0) & (said <= 1)).all():
        raise ValueError("confidence: got a value outside [0, 1] or NaN, wanted probabilities")
    if not np.isin(right, (0, 1)).all():
        raise ValueError("correct: got a value other than 0 and 1")
    if bins < 1:
        raise ValueError(f"bins: got {bins}, wanted at least 1")
    if kind not in ("width", "mass"):
        raise ValueError(f"kind: got {kind!r}, wanted 'width' or 'mass'")

    edges = np.linspace(0, 1, bins + 1) if kind == "width" else np.quantile(said, np.linspace(0, 1, bins + 1))
    place = np.clip(np.searchsorted(edges, said, side="right") - 1, 0, bins - 1)
    n, accuracy = len(said), float(right.mean())
    found = []
    for b in np.unique(place):
        of = place == b
        row = (edges[b], edges[b + 1], of.sum(), said[of].mean(), right[of].mean())
        found.append(CalibrationBin(float(row[0]), float(row[1]), int(row[2]), float(row[3]), float(row[4])))
    gap = np.array([abs(b.confidence - b.accuracy) for b in found])
    share, rate = np.array([b.n / n for b in found]), np.array([b.accuracy for b in found])
    return Calibration(
        n=n,
        accuracy=accuracy,
        confidence=float(said.mean()),
        ece=float(share @ gap),
        mce=float(gap.max()),
        brier=float(np.mean((said - right) ** 2)),
        reliability=float(share @ gap**2),
        resolution=float(share @ (rate - accuracy) ** 2),
        uncertainty=accuracy * (1 - accuracy),
        auroc=float(roc_auc_score(right, said)) if 0 < accuracy < 1 else math.nan,
        confidence_when_wrong=float(said[right == 0].mean()) if accuracy < 1 else math.nan,
        bins=tuple(found),
    )


def bootstrap_ci(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    method: Literal["bca", "percentile", "basic"] = "bca",
    *,
    level: float = 0.95,
    resamples: int = 9999,
    generator: np.random.Generator | None = None,
) -> Interval:
    """Bootstrap interval of `statistic` (default: the mean) over the rows of `values`, (n,) or (n, d); rows stay whole.

    `generator` defaults to one of seed 0, so that a table prints the same twice. Where every resample gives the same
    figure the interval is that point. Raises ValueError where the statistic is not finite on a resample.
    """
    import numpy as np
    from scipy.stats import DegenerateDataWarning, bootstrap

    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim not in (1, 2) or len(rows) < 2:
        raise ValueError(f"values: got shape {rows.shape}, wanted (n,) or (n, d) with n >= 2")
    measure = statistic if statistic is not None else np.mean
    if (rows == rows[0]).all():
        point = float(measure(rows))
        return point, point

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)  # told below, as a point or an error
        drawn = bootstrap(
            (np.arange(len(rows)),),
            lambda index: measure(rows[index]),
            vectorized=False,
            n_resamples=resamples,
            confidence_level=level,
            method="BCa" if method == "bca" else method,
            rng=generator if generator is not None else np.random.default_rng(0),
        )
    figures = drawn.bootstrap_distribution
    if not np.isfinite(figures).all():
        raise ValueError("statistic: is not finite on some resample, wanted one that is defined on all of them")
    if np.ptp(figures) == 0:
        return float(figures[0]), float(figures[0])
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def cvar(losses: ArrayLike, alpha: float = 0.95) -> float:
    """Mean of the worst (largest) share 1 - alpha of the losses; the one on the border counts with its fraction
    (Rockafellar and Uryasev).

    >>> cvar([1, 2, 3, 4], alpha=0.5)
    3.5
    """
    import numpy as np

    weights = tail_weights(losses, alpha)
    return float(weights @ np.asarray(losses, dtype=np.float64).ravel())


def tail_weights(losses: ArrayLike, alpha: float = 0.95) -> NDArray[np.float64]:
    """What each loss counts in their `cvar`: (n,) with sum 1, 0 outside the worst share; of equal ones the first
    counts first."""
    import numpy as np

    values = np.asarray(losses, dtype=np.float64).ravel()
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"losses: got {len(values)} values, wanted at least one, all finite")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha: got {alpha}, wanted a share in (0, 1)")
    tail = (1 - alpha) * len(values)
    weights = np.empty(len(values))
    weights[np.argsort(-values, kind="stable")] = np.clip(tail - np.arange(len(values)), 0, 1) / tail
    return weights


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being read together, in their order (Holm's step-down rule).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = highest
    return adjusted
